"""Makes the numbers that the tests of the discrete VAE, VQ-VAE-2 and PixelCNN compare with, by PyTorch.

    .build/venv/bin/python Tests/Fixtures/make_discrete_fixtures.py

As in make_model_fixtures.py, everything is computed in float64 and stored as float32.
"""

import math

import torch
import torch.nn.functional as F

import make_model_fixtures as models
from make_model_fixtures import (
    convolution, depth_to_space, group_norm, random, space_to_depth, store)

models.generator.manual_seed(20240915)
CHANNELS, CODES, DIMENSIONS, COMMITMENT = 8, 12, 4, 0.25


def rounded(x):
    return x.float().double()


def with_gradients(weights, loss):
    """Weights, loss and gradients."""
    parameters = {k: v.clone().requires_grad_() for k, v in weights.items()}
    value = loss(parameters)
    value.backward()
    tensors = {"loss": value}
    for name, parameter in parameters.items():
        tensors[f"initial/{name}"] = parameter.clone()
        tensors[f"gradient/{name}"] = parameter.grad.clone()
    return tensors


def convolution_weights(weights, name, inputs, outputs, kernel, gain=1.0):
    weights[f"{name}.weight"] = rounded(
        random(outputs, kernel, kernel, inputs, scale=gain / math.sqrt(kernel * kernel * inputs)))
    weights[f"{name}.bias"] = rounded(random(outputs, scale=0.1))


def network_weights(weights, name, inputs, outputs, kernel):
    """One residual block between a stem and a last convolution."""
    convolution_weights(weights, f"{name}.stem", inputs, CHANNELS, 3, gain=2)
    for i in (1, 2):
        weights[f"{name}.blocks.0.norm{i}.weight"] = rounded(random(CHANNELS, scale=0.2) + 1)
        weights[f"{name}.blocks.0.norm{i}.bias"] = rounded(random(CHANNELS, scale=0.2))
        convolution_weights(weights, f"{name}.blocks.0.convolution{i}", CHANNELS, CHANNELS, 3)
    weights[f"{name}.norm.weight"] = rounded(random(CHANNELS, scale=0.2) + 1)
    weights[f"{name}.norm.bias"] = rounded(random(CHANNELS, scale=0.2))
    convolution_weights(weights, f"{name}.output", CHANNELS, outputs, kernel)


def convolved(w, x, name):
    kernel = w[f"{name}.weight"].shape[1]
    return convolution(x, w[f"{name}.weight"], w[f"{name}.bias"], 1, kernel // 2)


def network(w, x, name):
    def norm(x, place):
        return F.silu(group_norm(x, w[f"{name}.{place}.weight"], w[f"{name}.{place}.bias"], 1))

    x = convolved(w, x, f"{name}.stem")
    h = convolved(w, norm(x, "blocks.0.norm1"), f"{name}.blocks.0.convolution1")
    x = x + convolved(w, norm(h, "blocks.0.norm2"), f"{name}.blocks.0.convolution2")
    return convolved(w, norm(x, "norm"), f"{name}.output")


# MARK: - The discrete VAE


def make_dvae():
    side, patch, temperature, kl_weight, epsilon, least_scale, logit_scale = 8, 2, 0.7, 2.0, 0.1, 0.1, 3.0
    grid = side // patch
    pictures = torch.rand(4, side, side, 3, generator=models.generator).double()
    uniform = torch.rand(4, grid, grid, CODES, generator=models.generator).double().clamp(1e-4, 1 - 1e-4)
    gumbel = rounded(-torch.log(-torch.log(uniform)))
    weights = {}
    network_weights(weights, "encoder", 3 * patch * patch, DIMENSIONS, 1)
    weights["codebook.weight"] = rounded(random(CODES, DIMENSIONS))
    network_weights(weights, "decoder", DIMENSIONS, 6 * patch * patch, 3)

    def logits(w):
        z = F.normalize(network(w, space_to_depth(pictures * 2 - 1, patch), "encoder"), dim=-1)
        return logit_scale * z @ codebook(w).T

    def codebook(w):
        return F.normalize(w["codebook.weight"], dim=-1)

    def decode(w, codes):
        outputs = network(w, codes, "decoder")
        mean, log_scale = outputs.split(3 * patch * patch, dim=-1)
        return depth_to_space(mean, patch), depth_to_space(log_scale, patch)

    def loss(w):
        l = logits(w)
        relaxed = torch.softmax((l + gumbel) / temperature, -1)
        mean, log_scale = decode(w, relaxed @ codebook(w))
        v = (1 - 2 * epsilon) * pictures + epsilon
        scale = log_scale.exp() + least_scale
        # torch.distributions' Laplace of the logit, times the logit's derivative.
        log_density = torch.distributions.Laplace(mean, scale).log_prob(torch.logit(v)) - torch.log(v * (1 - v))
        q = torch.distributions.Categorical(logits=l)
        uniform_prior = torch.distributions.Categorical(logits=torch.zeros_like(l))
        kl = torch.distributions.kl_divergence(q, uniform_prior).mean()
        return -log_density.mean() + kl_weight / (3 * patch * patch) * kl

    tensors = with_gradients(weights, loss)
    best = logits(weights).topk(2, -1).values
    assert (best[..., 0] - best[..., 1]).min() > 1e-4, "a token is too close to call in float32"
    tokens = logits(weights).argmax(-1)
    mean, _ = decode(weights, codebook(weights)[tokens])
    tensors |= {
        "pictures": pictures, "gumbel": gumbel, "tokens": tokens.flatten(),
        "settings": torch.tensor([temperature, kl_weight]),
        "reconstruction": (torch.sigmoid(mean) - epsilon) / (1 - 2 * epsilon),
    }
    store("dvae.safetensors", tensors)


# MARK: - VQ-VAE-2


def make_vqvae2():
    side, patch, levels = 16, 2, 3
    pictures = rounded(torch.rand(2, side, side, 3, generator=models.generator).double())
    # The second picture is decoded from its top level alone.
    kept = [[True, True], [True, False], [True, False]]
    weights = {}
    network_weights(weights, "encoders.2", 3 * patch * patch, CHANNELS, 1)
    for l in range(levels):
        if l < levels - 1:
            network_weights(weights, f"encoders.{l}", 4 * CHANNELS, CHANNELS, 1)
            network_weights(weights, f"contexts.{l}", CHANNELS, 4 * CHANNELS, 1)
            convolution_weights(weights, f"contextProjections.{l}", CHANNELS, DIMENSIONS, 1)
        convolution_weights(weights, f"featureProjections.{l}", CHANNELS, DIMENSIONS, 1)
        convolution_weights(weights, f"codeStems.{l}", DIMENSIONS, CHANNELS, 3, gain=2)
    network_weights(weights, "decoder", CHANNELS, 3 * patch * patch, 3)
    codebooks = [rounded(F.normalize(random(CODES, DIMENSIONS), dim=1)) for _ in range(levels)]
    counts = [rounded(1 + torch.rand(CODES, generator=models.generator).double()) for _ in range(levels)]

    def context(w, codes, l, upper):
        own = convolved(w, codes, f"codeStems.{l}")
        return own if upper is None else own + upper

    def encode(w):
        features = [network(w, space_to_depth(pictures * 2 - 1, patch), "encoders.2")]
        for l in (1, 0):
            features.insert(0, network(w, space_to_depth(features[0], 2), f"encoders.{l}"))
        found, upper = [], None
        for l in range(levels):
            z = convolved(w, features[l], f"featureProjections.{l}")
            if upper is not None:
                z = z + convolved(w, upper, f"contextProjections.{l - 1}")
            z = F.normalize(z, dim=-1)
            distances = torch.cdist(z.reshape(-1, DIMENSIONS), codebooks[l])
            nearest = distances.topk(2, dim=1, largest=False).values
            assert (nearest[:, 1] - nearest[:, 0]).min() > 5e-5, "a token is too close to call in float32"
            tokens = distances.argmin(1)
            codes = codebooks[l][tokens].reshape(z.shape)
            through = z + (codes - z).detach()
            found.append((z, tokens, codes, through))
            if l < levels - 1:
                upper = depth_to_space(network(w, context(w, through, l, upper), f"contexts.{l}"), 2)
        return found

    def decode(w, codes):
        upper = None
        for l in range(levels - 1):
            upper = depth_to_space(network(w, context(w, codes[l], l, upper), f"contexts.{l}"), 2)
        outputs = network(w, context(w, codes[-1], levels - 1, upper), "decoder")
        return depth_to_space(outputs, patch) * 0.5 + 0.5

    def masked(codes, l):
        mean = (counts[l][:, None] * codebooks[l]).sum(0) / counts[l].sum()
        keep = torch.tensor(kept[l])[:, None, None, None]
        return torch.where(keep, codes, mean)

    def loss(w):
        found = encode(w)
        decoded = decode(w, [masked(through, l) for l, (_, _, _, through) in enumerate(found)])
        commitment = sum(DIMENSIONS * F.mse_loss(z, codes) for z, _, codes, _ in found)
        return 4 * F.mse_loss(decoded, pictures) + COMMITMENT / 4 * commitment

    tensors = with_gradients(weights, loss)
    found = encode(weights)
    # Picture after picture, the top's tokens first, each level in a range of its own.
    tokens = torch.cat(
        [part[1].reshape(2, -1) + CODES * l for l, part in enumerate(found)], 1)
    tensors |= {
        "pictures": pictures, "tokens": tokens.flatten(),
        "reconstruction": decode(weights, [codes for _, _, codes, _ in found]),
        "partial": decode(weights, [masked(codes, l) for l, (_, _, codes, _) in enumerate(found)])[1:],
    }
    for l in range(levels):
        tensors[f"initial/quantizers.{l}.codebook"] = codebooks[l]
        tensors[f"initial/quantizers.{l}.counts"] = counts[l]
        tensors[f"initial/quantizers.{l}.sums"] = codebooks[l] * counts[l][:, None]
    store("vqvae2.safetensors", tensors)


# MARK: - PixelCNN


def make_pixelcnn():
    side, codes, width, layers, reach, text_codes, text_length, upper_side = 4, 7, 8, 2, 1, 5, 3, 2
    texts = [[1, 4], [], [2, 0, 3, 3]]
    images = torch.randint(0, codes, (3, side * side), generator=models.generator)
    uppers = torch.randint(0, codes, (3, upper_side * upper_side), generator=models.generator)
    w = {}

    def matrix(name, *shape, bias=True):
        w[f"{name}.weight"] = rounded(random(*shape, scale=1 / math.sqrt(math.prod(shape[1:]))))
        if bias:
            w[f"{name}.bias"] = rounded(random(shape[0], scale=0.2))

    for name, rows in [("imageEmbedding", codes), ("rowPosition", side), ("columnPosition", side)]:
        w[f"{name}.weight"] = rounded(random(rows, width))
    w["caption.tokens.weight"] = rounded(random(text_codes + 1, width))
    w["caption.positions.weight"] = rounded(random(text_length, width))
    matrix("caption.hidden", width, width)
    matrix("caption.output", width, width)
    w["uppers.0.tokens.weight"] = rounded(random(codes, width))
    matrix("uppers.0.context", width, 3, 3, width)
    matrix("uppers.0.enlargement", 4 * width, 3, 3, width)
    for l in range(layers):
        matrix(f"blocks.{l}.vertical", 2 * width, reach + 1, 2 * reach + 1, width)
        matrix(f"blocks.{l}.horizontal", 2 * width, 1, reach + 1, width)
        matrix(f"blocks.{l}.link", 2 * width, 2 * width)
        matrix(f"blocks.{l}.output", width, width)
        for name in ["verticalCaption", "horizontalCaption", "verticalUpper", "horizontalUpper"]:
            matrix(f"blocks.{l}.{name}", 2 * width, width, bias=False)
    matrix("hidden", 2 * width, width)
    matrix("imageHead", codes, 2 * width)

    def linear(w, x, name):
        return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    def masked(w, x, name):
        """A whole square kernel of which all but what comes before, and the place itself, is zero."""
        kernel = w[f"{name}.weight"]
        whole = torch.zeros(2 * width, 2 * reach + 1, 2 * reach + 1, width).double()
        if kernel.shape[1] == 1:
            whole[:, reach : reach + 1, : reach + 1] = kernel
        else:
            whole[:, : reach + 1] = kernel
        return convolution(x, whole, w[f"{name}.bias"], 1, reach)

    def gated(x):
        a, b = x.split(width, -1)
        return torch.tanh(a) * torch.sigmoid(b)

    def caption(w):
        rows = []
        for text in texts:
            tokens = torch.tensor(text[:text_length] or [text_codes])
            x = w["caption.tokens.weight"][tokens] + w["caption.positions.weight"][: len(tokens)]
            rows.append(F.silu(linear(w, x, "caption.hidden")).mean(0))
        return F.silu(linear(w, torch.stack(rows), "caption.output"))

    def upper(w):
        x = w["uppers.0.tokens.weight"][uppers].reshape(3, upper_side, upper_side, width)
        x = F.silu(convolved(w, x, "uppers.0.context"))
        return F.silu(depth_to_space(convolved(w, x, "uppers.0.enlargement"), 2))

    def logits(w):
        x = w["imageEmbedding.weight"][images].reshape(3, side, side, width)
        places = w["rowPosition.weight"][:, None] + w["columnPosition.weight"][None, :]
        v = F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1] + places
        s = F.pad(x, (0, 0, 1, 0))[:, :, :-1] + places
        h, m = caption(w)[:, None, None, :], upper(w)
        for l in range(layers):
            name = f"blocks.{l}"
            p = masked(w, v, f"{name}.vertical")
            p = p + linear(w, h, f"{name}.verticalCaption") + linear(w, m, f"{name}.verticalUpper")
            q = masked(w, s, f"{name}.horizontal") + linear(w, p, f"{name}.link")
            q = q + linear(w, h, f"{name}.horizontalCaption") + linear(w, m, f"{name}.horizontalUpper")
            v, s = gated(p), s + linear(w, gated(q), f"{name}.output")
        return linear(w, F.relu(linear(w, F.relu(s), "hidden")), "imageHead").reshape(3, side * side, codes)

    tensors = with_gradients(w, lambda w: F.cross_entropy(logits(w).flatten(0, 1), images.flatten()))
    tensors |= {"images": images, "uppers": uppers, "image logits": logits(w)}
    store("pixelcnn.safetensors", tensors)


if __name__ == "__main__":
    make_dvae()
    make_vqvae2()
    make_pixelcnn()
    for name in ["dvae", "vqvae2", "pixelcnn"]:
        print(name, (models.FOLDER / f"{name}.safetensors").stat().st_size)
