"""Makes the numbers that the tests of the variational auto-encoders compare with, by PyTorch, in float64.

    python3 -m venv .build/venv && .build/venv/bin/pip install torch numpy safetensors
    .build/venv/bin/python Tests/Fixtures/make_vae_fixtures.py
"""

import math

import torch
import torch.nn.functional as F

import make_model_fixtures as models

models.generator = torch.Generator().manual_seed(20260101)
random = models.random

ROWS, D, WIDTH, Z, COMPONENTS, BETA = 5, 6, 7, 2, 2, 0.75


def log_density(kind, w, x, decoded):
    if kind == "bernoulli":
        return torch.distributions.Bernoulli(logits=decoded, validate_args=False).log_prob(x)
    if kind == "gaussian":
        log_variance = F.softplus(20 * w["observation.variance"]) - 16
        return torch.distributions.Normal(decoded, torch.exp(log_variance / 2)).log_prob(x)
    parameters = decoded.reshape(*x.shape, 3 * COMPONENTS)
    return models.discretized_logistic(torch.floor(256 * x), parameters) + math.log(256)


def mlp_weights(outputs):
    """Of both sides, with one hidden layer each."""
    w = {}
    for part, widths in [("encoder", [D, WIDTH, 2 * Z]), ("decoder", [Z, WIDTH, outputs])]:
        for i in range(2):
            w[f"{part}.layers.{i}.weight"] = random(widths[i + 1], widths[i], scale=0.5)
            w[f"{part}.layers.{i}.bias"] = random(widths[i + 1], scale=0.2)
    return w


def mlp(w, part, h):
    h = F.linear(h, w[f"{part}.layers.0.weight"], w[f"{part}.layers.0.bias"])
    return F.linear(F.silu(h), w[f"{part}.layers.1.weight"], w[f"{part}.layers.1.bias"])


def store(name, w, loss, tensors):
    """With the initial weights and the gradients of the loss."""
    gradients = torch.autograd.grad(loss, list(w.values()))
    tensors = tensors | {"loss": loss}
    tensors |= {f"initial/{name}": value for name, value in w.items()}
    tensors |= {f"gradient/{name}": value for name, value in zip(w, gradients)}
    models.store(name, tensors)


def make_vae(kind):
    w = mlp_weights(D * (3 * COMPONENTS if kind == "discretized_logistic" else 1))
    if kind == "gaussian":
        w["observation.variance"] = (0.75 + random(D, scale=0.02)).float().double()
    x = torch.rand(ROWS, D, generator=models.generator).double()
    x[0, 0], x[1, 1] = 0, 255.5 / 256
    epsilon = random(ROWS, Z)
    for tensor in w.values():
        tensor.requires_grad_()

    mean, log_variance = mlp(w, "encoder", x).chunk(2, -1)
    q = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    z = mean + torch.exp(log_variance / 2) * epsilon
    reconstruction = log_density(kind, w, x, mlp(w, "decoder", z)).sum(1)
    loss = (BETA * kl - reconstruction).sum() / x.numel()
    tensors = {"x": x, "epsilon": epsilon, "kl": kl, "reconstruction": reconstruction}
    store(f"vae-{kind.replace('_', '-')}.safetensors", w, loss, tensors)


# MARK: - The one with a mixture as its prior

CLUSTERS, LIMIT = 3, 8


def make_gaussian_mixture_vae():
    w = mlp_weights(D)
    w["observation.variance"] = (0.75 + random(D, scale=0.02)).float().double()
    w["logits"] = random(1, CLUSTERS)
    w["means"] = random(CLUSTERS, Z)
    w["logVariances"] = random(CLUSTERS, Z)
    x, epsilon = random(ROWS, D), random(ROWS, Z)
    for tensor in w.values():
        tensor.requires_grad_()

    def bounded(x):
        return LIMIT * torch.tanh(x / LIMIT)

    mean, log_variance = mlp(w, "encoder", x).chunk(2, -1)
    q = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    z = mean + q.scale * epsilon
    p_y = torch.distributions.Categorical(logits=bounded(w["logits"])[0])
    p_z = torch.distributions.Normal(w["means"], torch.exp(bounded(w["logVariances"]) / 2))
    q_y = torch.distributions.Categorical(logits=p_y.logits + p_z.log_prob(z[:, None]).sum(-1))
    each = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.mean[:, None], q.scale[:, None]), p_z
    ).sum(-1)
    continuous = (q_y.probs * each).sum(1)
    discrete = torch.distributions.kl_divergence(q_y, p_y)
    reconstruction = log_density("gaussian", w, x, mlp(w, "decoder", z)).sum(1)
    loss = (BETA * (continuous + discrete) - reconstruction).sum() / x.numel()
    joint = p_y.logits + p_z.log_prob(mean[:, None]).sum(-1)
    tensors = {"x": x, "epsilon": epsilon, "responsibilities": torch.softmax(joint, -1)}
    store("gaussian-mixture-vae.safetensors", w, loss, tensors)


# MARK: - The hierarchical one

SIDE, PATCH, CHANNELS, CODE, LATENT = 8, 2, 4, 3, 2
GRIDS = [2, 4]  # the coarsest first


def ladder_weights():
    w = {}

    def convolution(name, inputs, outputs, kernel):
        w[f"{name}.weight"] = random(outputs, kernel, kernel, inputs, scale=1 / math.sqrt(kernel * kernel * inputs))
        w[f"{name}.bias"] = random(outputs, scale=0.1)

    def norm(name):
        w[f"{name}.weight"] = (1 + random(CHANNELS, scale=0.1)).float().double()
        w[f"{name}.bias"] = random(CHANNELS, scale=0.1)

    def block(name):
        for i in (1, 2):
            norm(f"{name}.norm{i}")
            convolution(f"{name}.convolution{i}", CHANNELS, CHANNELS, 3)

    convolution("encoder.stem", 3 * PATCH * PATCH, CHANNELS, 3)
    block("encoder.cells.0")
    block("encoder.cells.1")
    convolution("encoder.downsampling.0", 4 * CHANNELS, CHANNELS, 1)
    norm("encoder.norm")
    spread = GRIDS[0] ** 2 * CHANNELS
    for name, inputs, outputs in [("encoder.output", spread, 2 * CODE), ("code", CODE, spread)]:
        w[f"{name}.weight"] = random(outputs, inputs, scale=1 / math.sqrt(inputs))
        w[f"{name}.bias"] = random(outputs, scale=0.1)
    convolution("grids.1.upsampling", CHANNELS, 4 * CHANNELS, 1)
    w["grids.1.bias"] = random(GRIDS[1] ** 2, CHANNELS, scale=0.5)
    for grid in range(len(GRIDS)):
        name = f"grids.{grid}"
        block(f"{name}.cell")
        norm(f"{name}.priorNorm")
        convolution(f"{name}.priorOutput", CHANNELS, 2 * LATENT, 1)
        convolution(f"{name}.posteriorStem", CHANNELS, CHANNELS, 1)
        convolution(f"{name}.posteriorFeatures", CHANNELS, CHANNELS, 1)
        norm(f"{name}.posteriorNorm")
        convolution(f"{name}.posteriorOutput", CHANNELS, 2 * LATENT, 1)
        convolution(f"{name}.input", LATENT, CHANNELS, 1)
    block("cell")
    norm("norm")
    convolution("output", CHANNELS, PATCH * PATCH * 3 * 3 * COMPONENTS, 3)
    return w


def make_hierarchical():
    w = ladder_weights()
    B = 3
    x = torch.rand(B, SIDE, SIDE, 3, generator=models.generator).double()
    x[0, :, :3] = 255.5 / 256
    epsilon = [random(B, CODE)] + [random(B, side, side, LATENT) for side in GRIDS]
    for tensor in w.values():
        tensor.requires_grad_()

    def convolved(x, name):
        kernel = w[f"{name}.weight"].shape[1]
        return models.convolution(x, w[f"{name}.weight"], w[f"{name}.bias"], 1, kernel // 2)

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(x, name):
        return F.silu(models.group_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], 1))

    def block(x, name):
        h = convolved(norm(x, f"{name}.norm1"), f"{name}.convolution1")
        return x + convolved(norm(h, f"{name}.norm2"), f"{name}.convolution2")

    def bounded(x):
        return 5 * torch.tanh(x / 5)

    fine = block(convolved(models.space_to_depth(2 * x - 1, PATCH), "encoder.stem"), "encoder.cells.0")
    coarse = block(convolved(models.space_to_depth(fine, 2), "encoder.downsampling.0"), "encoder.cells.1")

    def divergence(q, p):
        return torch.distributions.kl_divergence(q, p).sum()

    mean, log_deviation = linear(norm(coarse, "encoder.norm").reshape(B, -1), "encoder.output").chunk(2, -1)
    q = torch.distributions.Normal(mean, torch.exp(bounded(log_deviation)))
    kl = divergence(q, torch.distributions.Normal(0.0, 1.0))
    h = linear(q.mean + q.scale * epsilon[0], "code").reshape(B, GRIDS[0], GRIDS[0], CHANNELS)
    for grid, features in enumerate([coarse, fine]):
        name = f"grids.{grid}"
        if grid > 0:
            h = models.depth_to_space(convolved(h, f"{name}.upsampling"), 2)
            h = h + w[f"{name}.bias"].reshape(1, GRIDS[grid], GRIDS[grid], CHANNELS)
        h = block(h, f"{name}.cell")
        mean, log_deviation = convolved(norm(h, f"{name}.priorNorm"), f"{name}.priorOutput").chunk(2, -1)
        p = torch.distributions.Normal(mean, torch.exp(bounded(log_deviation)))
        joined = convolved(h, f"{name}.posteriorStem") + convolved(features, f"{name}.posteriorFeatures")
        shift, log_scale = convolved(norm(joined, f"{name}.posteriorNorm"), f"{name}.posteriorOutput").chunk(2, -1)
        q = torch.distributions.Normal(mean + p.scale * shift, p.scale * torch.exp(bounded(log_scale)))
        kl = kl + divergence(q, p)
        h = h + convolved(q.mean + q.scale * epsilon[grid + 1], f"{name}.input")
    h = block(h, "cell")
    decoded = models.depth_to_space(convolved(norm(h, "norm"), "output"), PATCH)
    parameters = decoded.reshape(B, SIDE, SIDE, 3, 3 * COMPONENTS)
    log_p = models.discretized_logistic(torch.floor(256 * x), parameters) + math.log(256)
    loss = (BETA * kl - log_p.sum()) / x.numel()
    tensors = {"x": x.reshape(B, -1)} | {f"epsilon/{i}": value for i, value in enumerate(epsilon)}
    store("hierarchical-vae.safetensors", w, loss, tensors)


if __name__ == "__main__":
    for kind in ["bernoulli", "gaussian", "discretized_logistic"]:
        make_vae(kind)
    make_hierarchical()
    make_gaussian_mixture_vae()
