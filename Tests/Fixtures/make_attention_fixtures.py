"""Makes the numbers that the tests of sparse attention compare with, by PyTorch: dense attention with the mask added.

    .build/venv/bin/python Tests/Fixtures/make_attention_fixtures.py

As in make_model_fixtures.py, everything is computed in float64 and stored as float32. The whole prior has the weights of
that script's fixture.
"""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import make_model_fixtures as models
from make_model_fixtures import FOLDER, GRID, LAYERS, TEXT_LENGTH, random, store

models.generator.manual_seed(20250211)


def mask(kind, kernel, text, side, length):
    """Which of `length` positions (rows) see which (columns), after figure 11 of Ramesh et al. 2021."""
    seen = torch.ones(length, length, dtype=torch.bool).tril()
    for query in range(text, length):
        for key in range(text, query):
            i, j = query - text, key - text
            seen[query, key] = {
                "full": True,
                "row": i - j <= side,
                "column": i % side == j % side,
                "conv": any(
                    i - j == row * side + column
                    for row in range(kernel // 2 + 1)
                    for column in range(-(kernel // 2), kernel // 2 + 1)),
            }[kind]
    return seen


def attention(qkv, heads, seen):
    B, T, width = qkv.shape
    q, k, v = (
        part.reshape(B, T, heads, width // (3 * heads)).transpose(1, 2) for part in qkv.split(width // 3, dim=2)
    )
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)
    return y.transpose(1, 2).reshape(B, T, width // 3)


def make_operations():
    tensors = {}
    for kind in ["row", "column", "conv"]:
        # A whole grid of 4, the paper's figure; one of 16 without its last token, as in training.
        for name, B, heads, D, text, side, kernel, length in [
            ("small", 2, 2, 3, 6, 4, 3, 22), ("large", 1, 1, 2, 3, 16, 5, 258),
        ]:
            qkv = random(B, length, 3 * heads * D).requires_grad_()
            y = attention(qkv, heads, mask(kind, kernel, text, side, length))
            cotangent = random(*y.shape)
            tensors[f"{kind}/{name}/input"] = qkv
            tensors[f"{kind}/{name}/output"] = y
            tensors[f"{kind}/{name}/cotangent"] = cotangent
            tensors[f"{kind}/{name}/gradient"] = torch.autograd.grad((y * cotangent).sum(), qkv)[0]
    return tensors


def make_prior():
    """The image logits of the fixture's prior with other masks than its own."""
    fixture = load_file(FOLDER / "prior.safetensors")
    weights = {k.removeprefix("initial/"): v.double() for k, v in fixture.items() if k.startswith("initial/")}
    tensors = {}
    for kinds in [["row", "column"], ["conv", "row"]]:
        assert len(kinds) == LAYERS
        masks = iter([mask(kind, 3, TEXT_LENGTH, GRID, TEXT_LENGTH + GRID * GRID - 1) for kind in kinds])
        models.attention = lambda x, heads, causal: attention(x, heads, next(masks))
        tensors[f"prior/{','.join(kinds)}"] = models.prior_logits(weights, fixture["images"].long())[1]
    return tensors


if __name__ == "__main__":
    store("attention.safetensors", make_operations() | make_prior())
    print((FOLDER / "attention.safetensors").stat().st_size)
