"""Makes the numbers that the tests of the ranker compare with, by PyTorch, in float64.

    python3 -m venv .build/venv && .build/venv/bin/pip install torch numpy safetensors
    .build/venv/bin/python Tests/Fixtures/make_ranker_fixtures.py
"""

import math

import torch
import torch.nn.functional as F

import make_model_fixtures as models

models.generator = torch.Generator().manual_seed(20210226)
random = models.random

LENGTH, CODES, WIDTH, LAYERS, HEADS = 4, 11, 16, 2, 2
SIDE, PATCH, CHANNELS, BLOCKS, EMBEDDING = 8, 2, 16, 1, 6
# A full caption, a short one, none at all, one that is too long, and a short one again.
TEXTS = [[1, 4, 10, 0], [3, 3], [], [2, 9, 5, 8, 6, 1], [3, 3]]
# The second and the fifth caption are the same, and the first one goes with the fourth picture, too.
NOT_OTHER = [(1, 4), (4, 1), (0, 3)]


def weights():
    w = {}

    def matrix(name, *shape, scale=0.3):
        w[name] = random(*shape, scale=scale).float().double()

    def norm(name, width):
        w[f"{name}.weight"] = (random(width, scale=0.2) + 1).float().double()
        w[f"{name}.bias"] = random(width, scale=0.2).float().double()

    def convolution(name, inputs, outputs):
        matrix(f"{name}.weight", outputs, 3, 3, inputs, scale=1 / math.sqrt(9 * inputs))
        matrix(f"{name}.bias", outputs, scale=0.1)

    matrix("text.embedding.weight", CODES + LENGTH, WIDTH)
    matrix("text.position.weight", LENGTH, WIDTH)
    for i in range(LAYERS):
        for part, outputs, inputs in [
            ("attention.queryKeyValue", 3 * WIDTH, WIDTH), ("attention.output", WIDTH, WIDTH),
            ("mlp.hidden", 4 * WIDTH, WIDTH), ("mlp.output", WIDTH, 4 * WIDTH),
        ]:
            matrix(f"text.blocks.{i}.{part}.weight", outputs, inputs)
            matrix(f"text.blocks.{i}.{part}.bias", outputs, scale=0.2)
        norm(f"text.blocks.{i}.norm1", WIDTH)
        norm(f"text.blocks.{i}.norm2", WIDTH)
    norm("text.norm", WIDTH)
    matrix("text.output.weight", EMBEDDING, WIDTH)
    convolution("picture.stem", 3 * PATCH * PATCH, CHANNELS)
    for i in range(BLOCKS):
        for part in ["1", "2"]:
            norm(f"picture.blocks.{i}.norm{part}", CHANNELS)
            convolution(f"picture.blocks.{i}.convolution{part}", CHANNELS, CHANNELS)
    norm("picture.norm", CHANNELS)
    matrix("picture.output.weight", EMBEDDING, CHANNELS)
    w["logScale"] = torch.tensor([[math.log(1 / 0.07)]]).float().double()
    return w


def text_tower(w):
    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), w[f"text.{name}.weight"], w[f"text.{name}.bias"], eps=1e-5)

    def linear(x, name):
        return F.linear(x, w[f"text.{name}.weight"], w[f"text.{name}.bias"])

    tokens = [text[:LENGTH] + [CODES + t for t in range(min(len(text), LENGTH), LENGTH)] for text in TEXTS]
    x = w["text.embedding.weight"][torch.tensor(tokens)] + w["text.position.weight"]
    for i in range(LAYERS):
        h = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attention.queryKeyValue")
        x = x + linear(models.attention(h, HEADS, True), f"blocks.{i}.attention.output")
        h = linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.hidden")
        x = x + linear(F.gelu(h, approximate="tanh"), f"blocks.{i}.mlp.output")
    return F.normalize(F.linear(norm(x[:, -1], "norm"), w["text.output.weight"]), dim=-1)


def picture_tower(w, pictures):
    def norm(x, name):
        return F.silu(models.group_norm(x, w[f"picture.{name}.weight"], w[f"picture.{name}.bias"], 1))

    def convolution(x, name):
        return models.convolution(x, w[f"picture.{name}.weight"], w[f"picture.{name}.bias"], 1, 1)

    x = convolution(models.space_to_depth(pictures * 2 - 1, PATCH), "stem")
    for i in range(BLOCKS):
        h = convolution(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.convolution1")
        x = x + convolution(norm(h, f"blocks.{i}.norm2"), f"blocks.{i}.convolution2")
    return F.normalize(F.linear(norm(x, "norm").mean((1, 2)), w["picture.output.weight"]), dim=-1)


def loss(w, pictures, failures=None):
    logits = torch.exp(w["logScale"]) * text_tower(w) @ picture_tower(w, pictures).T
    wrong = logits[:, :0]
    if failures is not None:
        wrong = torch.exp(w["logScale"]) * text_tower(w) @ picture_tower(w, failures).T
    for caption, picture in NOT_OTHER:
        logits = logits.index_put(
            (torch.tensor([caption]), torch.tensor([picture])), torch.tensor([-math.inf]).double())
    answers = torch.arange(len(TEXTS))
    by_caption = torch.cat([logits, wrong], dim=1)
    return (F.cross_entropy(by_caption, answers) + F.cross_entropy(logits.T, answers)) / 2


if __name__ == "__main__":
    pictures = torch.rand(len(TEXTS), SIDE, SIDE, 3, generator=models.generator).double()
    initial = weights()
    decays = lambda name: name.endswith("weight") and not any(
        part in name for part in ["norm", "embedding", "position"])
    tensors = models.train_once(initial, decays, lambda w: loss(w, pictures))
    tensors["pictures"] = pictures
    tensors["text embeddings"] = text_tower(initial)
    tensors["picture embeddings"] = picture_tower(initial, pictures)
    # The same with pictures that go with no caption.
    failures = torch.rand(3, SIDE, SIDE, 3, generator=models.generator).double()
    w = {name: value.clone().requires_grad_() for name, value in initial.items()}
    value = loss(w, pictures, failures)
    value.backward()
    tensors["failures"] = failures
    tensors["loss with failures"] = value.detach()
    for name, parameter in w.items():
        tensors[f"gradient with failures/{name}"] = parameter.grad
    models.store("ranker.safetensors", tensors)
