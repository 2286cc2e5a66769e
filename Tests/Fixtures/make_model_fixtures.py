"""Makes the numbers that the tests of TensorCore, NN, LatentModels and Priors compare with, by PyTorch.

    python3 -m venv .build/venv && .build/venv/bin/pip install torch numpy safetensors
    .build/venv/bin/python Tests/Fixtures/make_model_fixtures.py

Everything is computed in float64 from inputs that float32 holds exactly, and stored as float32, integers included, so
that what a test measures is the error of the code under test alone.
"""

import math
import pathlib

import numpy
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent / "models"
generator = torch.Generator().manual_seed(20240607)


def random(*shape, scale=1.0):
    """Normal numbers that float32 holds exactly."""
    return (torch.randn(shape, generator=generator) * scale).double()


def away_from_zero(*shape, least=0.1, positive=False):
    """Numbers with |x| >= least, for functions with a kink or a pole at zero."""
    x = random(*shape)
    magnitude = (x.abs() + least).float().double()
    return magnitude if positive else magnitude * torch.where(x < 0, -1.0, 1.0)


def store(name, tensors):
    FOLDER.mkdir(exist_ok=True)
    save_file({k: v.detach().to(torch.float32).contiguous() for k, v in tensors.items()}, FOLDER / name)


# MARK: - Operations

operations = {}


def operation(name, inputs, function, integers=None):
    """Stores inputs, output, a random cotangent and the gradients of sum(output * cotangent)."""
    inputs = [x.float().double().requires_grad_() for x in inputs]
    output = function(*inputs)
    cotangent = random(*output.shape)
    gradients = torch.autograd.grad((output * cotangent).sum(), inputs, allow_unused=True)
    operations[f"{name}/output"] = output
    operations[f"{name}/cotangent"] = cotangent
    for i, (x, gradient) in enumerate(zip(inputs, gradients)):
        operations[f"{name}/input/{i}"] = x
        operations[f"{name}/gradient/{i}"] = torch.zeros_like(x) if gradient is None else gradient
    if integers is not None:
        operations[f"{name}/integers"] = torch.tensor(integers)


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1)


def convolution(x, weight, bias=None, stride=1, padding=0):
    """x [B,H,W,C], weight [O,KH,KW,C]"""
    return channels_last(F.conv2d(channels_first(x), channels_first(weight), bias, stride, padding))


def transposed_convolution(x, weight, bias=None, stride=1, padding=0):
    """x [B,H,W,O], weight [O,KH,KW,C]"""
    return channels_last(F.conv_transpose2d(channels_first(x), channels_first(weight), bias, stride, padding))


def group_norm(x, gain, bias, groups):
    """x [B,H,W,C]"""
    return channels_last(F.group_norm(channels_first(x), groups, gain, bias, eps=1e-5))


def space_to_depth(x, s):
    """The channel is (row in the block * s + column in the block) * C + c, unlike pixel_unshuffle's."""
    B, H, W, C = x.shape
    return x.reshape(B, H // s, s, W // s, s, C).permute(0, 1, 3, 2, 4, 5).reshape(B, H // s, W // s, s * s * C)


def depth_to_space(x, s):
    B, H, W, C = x.shape
    return x.reshape(B, H, W, s, s, C // (s * s)).permute(0, 1, 3, 2, 4, 5).reshape(B, H * s, W * s, C // (s * s))


def attention(qkv, heads, causal):
    B, T, width = qkv.shape
    q, k, v = (
        part.reshape(B, T, heads, width // (3 * heads)).transpose(1, 2) for part in qkv.split(width // 3, dim=2)
    )
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).reshape(B, T, width // 3)


BYTES = [0, 1, 255, 254, 128, 60, 200, 3]


def discretized_logistic(byte, parameters):
    """The logarithm of a mixture of discretised logistics, [.., 3K] being logits, centres and log-scales."""
    logits, centre, log_scale = parameters.chunk(3, -1)
    byte = byte[..., None].double()
    cumulative = lambda edge: torch.sigmoid((edge - centre) * torch.exp(-log_scale))
    above = torch.where(byte == 255, torch.ones_like(centre), cumulative((byte + 1) / 128 - 1))
    below = torch.where(byte == 0, torch.zeros_like(centre), cumulative(byte / 128 - 1))
    return torch.logsumexp(F.log_softmax(logits, -1) + torch.log(above - below), -1)


def make_operations():
    operation("linear", [random(2, 3, 5), random(4, 5), random(4)], F.linear)
    operation("linear without bias", [random(2, 3, 5), random(4, 5)], F.linear)
    operation("matrix product", [random(3, 5), random(5, 4)], torch.matmul)
    for name, x, weight, stride, padding in [
        # The sizes choose the ways that the engines know: few inputs, few outputs, pointwise, and the rest.
        ("convolution", (2, 5, 6, 3), (4, 3, 3, 3), 1, 1),
        ("convolution with stride", (2, 7, 6, 3), (5, 3, 3, 3), 2, 1),
        ("convolution to many", (1, 4, 5, 3), (16, 3, 3, 3), 1, 1),
        ("convolution to few", (1, 5, 4, 16), (3, 3, 3, 16), 1, 1),
        ("convolution of many", (1, 4, 4, 16), (16, 4, 4, 16), 2, 1),
        ("convolution pointwise", (2, 3, 3, 16), (12, 1, 1, 16), 1, 0),
    ]:
        function = lambda x, w, b, stride=stride, padding=padding: convolution(x, w, b, stride, padding)
        operation(name, [random(*x), random(*weight, scale=0.3), random(weight[0])], function)
    operation("convolution without bias", [random(1, 4, 4, 3), random(2, 3, 3, 3)], convolution)
    for name, x, weight, stride, padding in [
        ("transposed convolution", (2, 3, 4, 5), (5, 3, 3, 4), 1, 1),
        ("transposed convolution with stride", (2, 3, 4, 5), (5, 4, 4, 3), 2, 1),
        ("transposed convolution of many", (1, 3, 3, 16), (16, 4, 4, 16), 2, 1),
    ]:
        function = lambda x, w, b, stride=stride, padding=padding: transposed_convolution(x, w, b, stride, padding)
        operation(name, [random(*x), random(*weight, scale=0.3), random(weight[3])], function)
    operation(
        "transposed convolution without bias", [random(1, 3, 3, 4), random(4, 2, 2, 3)],
        lambda x, w: transposed_convolution(x, w, None, 2, 0))
    operation(
        "layer norm", [random(2, 3, 10) + 0.5, random(10), random(10)],
        lambda x, g, b: F.layer_norm(x, (10,), g, b, eps=1e-5))
    operation(
        "group norm", [random(2, 3, 3, 8) + 0.5, random(8), random(8)], lambda x, g, b: group_norm(x, g, b, 2))
    operation(
        "group norm with silu", [random(2, 3, 3, 8) + 0.5, random(8), random(8)],
        lambda x, g, b: F.silu(group_norm(x, g, b, 4)))
    operation("l2 normalized", [random(2, 3, 5)], lambda x: F.normalize(x, dim=-1))
    for name, function, x in [
        ("relu", F.relu, away_from_zero(3, 7)),
        ("silu", F.silu, random(3, 7, scale=2)),
        ("gelu", lambda x: F.gelu(x, approximate="tanh"), random(3, 7, scale=2)),
        ("geluExact", F.gelu, random(3, 7, scale=2)),
        ("sigmoid", torch.sigmoid, random(3, 7, scale=2)),
        ("tanh", torch.tanh, random(3, 7, scale=2)),
        ("exp", torch.exp, random(3, 7)),
        ("log", torch.log, away_from_zero(3, 7, least=0.3, positive=True)),
        ("sqrt", torch.sqrt, away_from_zero(3, 7, least=0.3, positive=True)),
        ("square", torch.square, random(3, 7)),
        ("abs", torch.abs, away_from_zero(3, 7)),
        ("softplus", F.softplus, random(3, 7, scale=2)),
    ]:
        operation(name, [x], function)
    operation("sum of two", [random(3, 5), random(3, 5)], torch.add)
    operation("difference", [random(3, 5), random(3, 5)], torch.sub)
    operation("product", [random(3, 5), random(3, 5)], torch.mul)
    operation("quotient", [random(3, 5), away_from_zero(3, 5, least=0.5)], torch.div)
    operation("scaled", [random(3, 5)], lambda x: x * -1.75)
    operation("adding rows", [random(2, 6, 4), random(3, 4)], lambda x, rows: x + rows.repeat(2, 1))
    operation("softmax", [random(3, 4, 5, scale=2)], lambda x: torch.softmax(x, -1))
    targets = [4, -1, 0, 2, -1, 2]
    operation(
        "cross entropy", [random(2, 3, 5, scale=2)],
        lambda x: F.cross_entropy(x.reshape(6, 5), torch.tensor(targets), ignore_index=-1, reduction="sum") * 0.25,
        targets)
    operation("attention", [random(2, 7, 24)], lambda x: attention(x, 2, False))
    operation("causal attention", [random(2, 7, 24)], lambda x: attention(x, 2, True))
    # Longer than the 64 rows that are worked on at once.
    operation("long attention", [random(1, 70, 12)], lambda x: attention(x, 1, False))
    operation("long causal attention", [random(1, 70, 12)], lambda x: attention(x, 1, True))
    tokens = [3, 0, 3, 6, 5, 3]
    operation("embedding", [random(7, 4)], lambda t: t[torch.tensor(tokens)].reshape(2, 3, 4), tokens)
    operation(
        "grid embedding", [random(3, 4), random(2, 4)], lambda r, c: (r[:, None] + c[None, :]).reshape(6, 4))
    operation("space to depth", [random(2, 4, 6, 3)], lambda x: space_to_depth(x, 2))
    operation("depth to space", [random(2, 2, 3, 12)], lambda x: depth_to_space(x, 2))
    operation("positions", [random(2, 6, 4)], lambda x: x[:, 1:4])
    operation(
        "concatenated", [random(2, 3, 4), random(2, 1, 4), random(2, 2, 4)], lambda *parts: torch.cat(parts, 1))
    operation("stacked", [random(3, 4), random(2, 4)], lambda a, b: torch.cat([a, b]))
    operation("reshaped", [random(3, 4)], lambda x: x.reshape(2, 6))
    operation("cast", [random(3, 4)], lambda x: x.clone())
    operation("sum", [random(3, 4)], torch.sum)
    operation("mean", [random(3, 4)], torch.mean)
    operation("mean squared error", [random(3, 4), random(3, 4)], F.mse_loss)
    operation("straight through", [random(3, 4), random(3, 4)], lambda a, b: b + (a - b).detach())
    # Added after the fixtures that follow were made: what they draw stays as it was.
    state = generator.get_state()
    operation(
        "discretized logistic",
        [random(8, 6) * 0.7 + torch.tensor([0, 0, 0, 0, -1, -0.5]).double()],
        lambda p: discretized_logistic(torch.tensor(BYTES), p), BYTES)
    operation("mean over positions", [random(2, 3, 5, 4)], lambda x: x.mean((1, 2)))
    rows = [4, 0, 4, 5, 2]
    operation("rows", [random(2, 3, 4)], lambda x: x.reshape(6, 4)[torch.tensor(rows)], rows)
    generator.set_state(state)
    store("operations.safetensors", operations)


# MARK: - The optimizer

LEARNING_RATE = 0.01
WEIGHT_DECAY = 0.1
BETAS = (0.9, 0.95)
# Large enough that a gradient that is zero but for rounding (attention's key bias) stays without effect; the models'
# gradients are about a hundred times as large.
EPSILON = 1e-4


def optimizer_over(parameters, decays):
    return torch.optim.AdamW(
        [
            {"params": [p for k, p in parameters.items() if decays(k)], "weight_decay": WEIGHT_DECAY},
            {"params": [p for k, p in parameters.items() if not decays(k)], "weight_decay": 0.0},
        ],
        lr=LEARNING_RATE, betas=BETAS, eps=EPSILON)


def make_optimizer():
    """Three steps of PyTorch's AdamW, the gradient of the second one small enough not to be clipped."""
    parameters = {
        "matrix": random(5, 7).requires_grad_(),
        "bias": random(3).requires_grad_(),
    }
    tensors = {f"initial/{k}": v.clone() for k, v in parameters.items()}
    optimizer = optimizer_over(parameters, lambda name: name == "matrix")
    averages = {k: v.detach().clone() for k, v in parameters.items()}
    for step in range(3):
        for name, parameter in parameters.items():
            parameter.grad = random(*parameter.shape, scale=0.01 if step == 1 else 1)
            tensors[f"gradient/{step}/{name}"] = parameter.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        tensors[f"norm/{step}"] = norm
        optimizer.step()
        # The moving average's decay starts small: min(0.5, (1 + t) / (10 + t)) for t = 1, 2, …
        decay = min(0.5, (2 + step) / (11 + step))
        for name, parameter in parameters.items():
            averages[name] += (1 - decay) * (parameter.detach() - averages[name])
            tensors[f"weight/{step}/{name}"] = parameter.clone()
            tensors[f"average/{step}/{name}"] = averages[name].clone()
    store("optimizer.safetensors", tensors)


def train_once(weights, decays, loss):
    """Stores weights, loss, gradients and the weights after one step."""
    parameters = {k: v.clone().requires_grad_() for k, v in weights.items()}
    value = loss(parameters)
    value.backward()
    tensors = {"loss": value}
    for name, parameter in parameters.items():
        tensors[f"initial/{name}"] = parameter.clone()
        tensors[f"gradient/{name}"] = parameter.grad.clone()
    optimizer = optimizer_over(parameters, decays)
    norm = torch.nn.utils.clip_grad_norm_(parameters.values(), 0.5)
    assert norm > 0.6, f"the gradient of norm {norm} is to be clipped"
    tensors["norm"] = norm
    optimizer.step()
    for name, parameter in parameters.items():
        tensors[f"updated/{name}"] = parameter.clone()
    return tensors


# MARK: - The transformer prior

TEXT_LENGTH, GRID, TEXT_CODES, IMAGE_CODES, WIDTH, LAYERS, HEADS = 5, 3, 11, 13, 16, 2, 2
# A full caption, a short one, none at all, one that is too long, one of a single token.
TEXTS = [[1, 4, 10, 0, 7], [3, 3], [], [2, 9, 5, 8, 6, 1, 4], [10]]


def prior_weights():
    shapes = {
        "textEmbedding.weight": (TEXT_CODES, WIDTH),
        "padding.weight": (TEXT_LENGTH, WIDTH),
        "textPosition.weight": (TEXT_LENGTH, WIDTH),
        "imageEmbedding.weight": (IMAGE_CODES, WIDTH),
        "rowPosition.weight": (GRID, WIDTH),
        "columnPosition.weight": (GRID, WIDTH),
    }
    for i in range(LAYERS):
        shapes |= {
            f"blocks.{i}.norm1.weight": (WIDTH,),
            f"blocks.{i}.norm1.bias": (WIDTH,),
            f"blocks.{i}.attention.queryKeyValue.weight": (3 * WIDTH, WIDTH),
            f"blocks.{i}.attention.queryKeyValue.bias": (3 * WIDTH,),
            f"blocks.{i}.attention.output.weight": (WIDTH, WIDTH),
            f"blocks.{i}.attention.output.bias": (WIDTH,),
            f"blocks.{i}.norm2.weight": (WIDTH,),
            f"blocks.{i}.norm2.bias": (WIDTH,),
            f"blocks.{i}.mlp.hidden.weight": (4 * WIDTH, WIDTH),
            f"blocks.{i}.mlp.hidden.bias": (4 * WIDTH,),
            f"blocks.{i}.mlp.output.weight": (WIDTH, 4 * WIDTH),
            f"blocks.{i}.mlp.output.bias": (WIDTH,),
        }
    shapes |= {
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
        "textHead.weight": (TEXT_CODES, WIDTH),
        "textHead.bias": (TEXT_CODES,),
        "imageHead.weight": (IMAGE_CODES, WIDTH),
        "imageHead.bias": (IMAGE_CODES,),
    }
    weights = {}
    for name, shape in shapes.items():
        # Biases and gains away from where they start, so that each has a part in the result.
        scale = 0.3 if len(shape) == 2 else 0.2
        offset = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        weights[name] = (random(*shape, scale=scale) + offset).float().double()
    return weights


def prior_logits(w, images):
    """Text logits [B, TEXT_LENGTH - 1, TEXT_CODES] and image logits [B, GRID * GRID, IMAGE_CODES]."""

    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-5)

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    rows = []
    for text in TEXTS:
        known = [w["textEmbedding.weight"][token] for token in text[:TEXT_LENGTH]]
        rows.append(torch.stack(known + [w["padding.weight"][t] for t in range(len(known), TEXT_LENGTH)]))
    text = torch.stack(rows) + w["textPosition.weight"]
    places = torch.stack(
        [w["rowPosition.weight"][i // GRID] + w["columnPosition.weight"][i % GRID] for i in range(GRID * GRID)])
    image = w["imageEmbedding.weight"][images[:, :-1]] + places[:-1]
    x = torch.cat([text, image], 1)
    for i in range(LAYERS):
        h = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attention.queryKeyValue")
        x = x + linear(attention(h, HEADS, True), f"blocks.{i}.attention.output")
        h = linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.hidden")
        x = x + linear(F.gelu(h, approximate="tanh"), f"blocks.{i}.mlp.output")
    x = norm(x, "norm")
    return linear(x[:, : TEXT_LENGTH - 1], "textHead"), linear(x[:, TEXT_LENGTH - 1 :], "imageHead")


def make_prior():
    images = torch.randint(0, IMAGE_CODES, (len(TEXTS), GRID * GRID), generator=generator)
    weights = prior_weights()

    def loss(w):
        text_logits, image_logits = prior_logits(w, images)
        targets = torch.full((len(TEXTS), TEXT_LENGTH - 1), -1)
        for b, text in enumerate(TEXTS):
            for t in range(1, min(len(text), TEXT_LENGTH)):
                targets[b, t - 1] = text[t]
        text_loss = F.cross_entropy(text_logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        image_loss = F.cross_entropy(image_logits.flatten(0, 1), images.flatten())
        return text_loss / 8 + image_loss * 7 / 8

    decays = lambda name: name.endswith("weight") and ("Head" in name or ".attention." in name or ".mlp." in name)
    tensors = train_once(weights, decays, loss)
    tensors["images"] = images
    tensors["image logits"] = prior_logits(weights, images)[1]
    store("prior.safetensors", tensors)


# MARK: - The VQ-VAE

SIDE, PATCH, CHANNELS, BLOCKS, CODES, DIMENSIONS, COMMITMENT, DECAY = 8, 2, 16, 1, 12, 4, 0.25, 0.98


def vqvae_weights(network):
    weights = {}

    def convolution_weights(name, inputs, outputs, kernel, gain=1.0):
        weights[f"{name}.weight"] = random(
            outputs, kernel, kernel, inputs, scale=gain / math.sqrt(kernel * kernel * inputs)).float().double()
        weights[f"{name}.bias"] = random(outputs, scale=0.1).float().double()

    def norm_weights(name, channels):
        weights[f"{name}.weight"] = (random(channels, scale=0.2) + 1).float().double()
        weights[f"{name}.bias"] = random(channels, scale=0.2).float().double()

    if network == "strided":
        convolution_weights("encoder.downsampling.0", 3, CHANNELS, 4, gain=2)
        convolution_weights("encoder.middle", CHANNELS, CHANNELS, 3, gain=2)
        convolution_weights("decoder.middle", DIMENSIONS, CHANNELS, 3, gain=2)
        for part in ["encoder", "decoder"]:
            for i in range(BLOCKS):
                convolution_weights(f"{part}.blocks.{i}.convolution1", CHANNELS, CHANNELS, 3, gain=2)
                convolution_weights(f"{part}.blocks.{i}.convolution2", CHANNELS, CHANNELS, 1)
        convolution_weights("encoder.output", CHANNELS, DIMENSIONS, 1)
        # A transposed convolution's weight is that of the convolution it reverses: [in, kernel, kernel, out].
        weights["decoder.upsampling.0.weight"] = random(
            CHANNELS, 4, 4, 3, scale=2 / math.sqrt(16 * CHANNELS)).float().double()
        weights["decoder.upsampling.0.bias"] = random(3, scale=0.1).float().double()
        return weights
    for part, inputs, outputs, kernel in [
        ("encoder", 3 * PATCH * PATCH, DIMENSIONS, 1),
        ("decoder", DIMENSIONS, 3 * PATCH * PATCH, 3),
    ]:
        convolution_weights(f"{part}.stem", inputs, CHANNELS, 3, gain=2)
        for i in range(BLOCKS):
            norm_weights(f"{part}.blocks.{i}.norm1", CHANNELS)
            convolution_weights(f"{part}.blocks.{i}.convolution1", CHANNELS, CHANNELS, 3)
            norm_weights(f"{part}.blocks.{i}.norm2", CHANNELS)
            convolution_weights(f"{part}.blocks.{i}.convolution2", CHANNELS, CHANNELS, 3)
        norm_weights(f"{part}.norm", CHANNELS)
        convolution_weights(f"{part}.output", CHANNELS, outputs, kernel)
    return weights


def make_vqvae(network, file):
    pictures = torch.rand(4, SIDE, SIDE, 3, generator=generator).double()
    weights = vqvae_weights(network)
    # The state of a codebook that has seen steps before, in even use, so that one step brings no code back to life.
    tokens_in_all = 4 * (SIDE // PATCH) ** 2
    codebook = F.normalize(random(CODES, DIMENSIONS), dim=1).float().double()
    counts = torch.full((CODES,), tokens_in_all / CODES).double() * (1 + 0.2 * random(CODES).clamp(-1, 1))
    counts = counts.float().double()
    sums = (codebook * counts[:, None] * 0.9).float().double()

    def norm(w, x, name):
        return F.silu(group_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], 1))

    def convolved(w, x, name):
        kernel = w[f"{name}.weight"].shape[1]
        return convolution(x, w[f"{name}.weight"], w[f"{name}.bias"], 1, kernel // 2)

    def trunk(w, x, part):
        x = convolved(w, x, f"{part}.stem")
        for i in range(BLOCKS):
            h = convolved(w, norm(w, x, f"{part}.blocks.{i}.norm1"), f"{part}.blocks.{i}.convolution1")
            x = x + convolved(w, norm(w, h, f"{part}.blocks.{i}.norm2"), f"{part}.blocks.{i}.convolution2")
        return convolved(w, norm(w, x, f"{part}.norm"), f"{part}.output")

    def plain_blocks(w, x, part):
        for i in range(BLOCKS):
            h = convolved(w, F.relu(x), f"{part}.blocks.{i}.convolution1")
            x = x + convolved(w, F.relu(h), f"{part}.blocks.{i}.convolution2")
        return x

    def encoder(w):
        x = pictures * 2 - 1
        if network == "patches":
            return trunk(w, space_to_depth(x, PATCH), "encoder")
        name = "encoder.downsampling.0"
        x = F.relu(convolution(x, w[f"{name}.weight"], w[f"{name}.bias"], 2, 1))
        x = plain_blocks(w, convolved(w, x, "encoder.middle"), "encoder")
        return convolved(w, F.relu(x), "encoder.output")

    def encode(w):
        z = F.normalize(encoder(w), dim=-1)
        distances = torch.cdist(z.reshape(-1, DIMENSIONS), codebook)
        nearest = distances.topk(2, dim=1, largest=False).values
        assert (nearest[:, 1] - nearest[:, 0]).min() > 1e-4, "a token is too close to call in float32"
        return z, distances.argmin(1)

    def decode(w, codes):
        if network == "patches":
            return depth_to_space(trunk(w, codes, "decoder"), PATCH) * 0.5 + 0.5
        x = plain_blocks(w, convolved(w, codes, "decoder.middle"), "decoder")
        name = "decoder.upsampling.0"
        return transposed_convolution(F.relu(x), w[f"{name}.weight"], w[f"{name}.bias"], 2, 1) * 0.5 + 0.5

    def loss(w):
        z, tokens = encode(w)
        codes = codebook[tokens].reshape(z.shape)
        error = F.mse_loss(decode(w, z + (codes - z).detach()), pictures)
        return 4 * error + COMMITMENT / 4 * DIMENSIONS * F.mse_loss(z, codes)

    decays = lambda name: name.endswith("weight") and "norm" not in name
    tensors = train_once(weights, decays, loss)
    z, tokens = encode(weights)
    chosen = F.one_hot(tokens, CODES).double()
    new_counts = DECAY * counts + (1 - DECAY) * chosen.sum(0)
    new_sums = DECAY * sums + (1 - DECAY) * chosen.T @ z.reshape(-1, DIMENSIONS)
    assert (new_counts > 0.02 * tokens_in_all / CODES).all(), "no code is to be brought back to life"
    tensors |= {
        "pictures": pictures,
        "tokens": tokens,
        "reconstruction": decode(weights, codebook[tokens].reshape(z.shape)),
        "initial/quantizer.codebook": codebook,
        "initial/quantizer.counts": counts,
        "initial/quantizer.sums": sums,
        "updated/quantizer.codebook": F.normalize(new_sums, dim=1),
        "updated/quantizer.counts": new_counts,
        "updated/quantizer.sums": new_sums,
    }
    store(file, tensors)


# MARK: - Random numbers


def philox(key, counter):
    """Philox 4x32-10 as in Salmon et al. 2011, by Python's whole numbers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def print_philox():
    """The known answers in PhiloxTests.swift."""
    full = 0xFFFFFFFF
    for key, counter in [
        ((0, 0), (0, 0, 0, 0)),
        ((full, full), (full, full, full, full)),
        ((0xA4093822, 0x299F31D0), (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)),
    ]:
        print(" ".join(f"{word:08x}" for word in philox(key, counter)))


if __name__ == "__main__":
    make_operations()
    make_optimizer()
    make_prior()
    make_vqvae("patches", "vqvae.safetensors")
    make_vqvae("strided", "vqvae-strided.safetensors")
    print_philox()
    print({path.name: path.stat().st_size for path in FOLDER.iterdir()})
