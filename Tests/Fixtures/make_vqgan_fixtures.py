"""Makes the numbers that the tests of the VQGAN compare with, by the Janus model of the transformers library.

    .build/venv/bin/pip install transformers
    .build/venv/bin/python Tests/Fixtures/make_vqgan_fixtures.py

Three levels, so that there is one of everything: a change of width, attention, halving and doubling. Group normalisation
with 32 groups makes even so small a model too large to keep, so its weights are uniform random numbers that the tests make
again: of each the fixture holds [scale, offset, shape ...] under its published name, and the number of the stream is its place
in the order of names. Everything is computed from them in float64.
"""

import numpy
import torch
import torch.nn.functional as F
from transformers import JanusVQVAEConfig
from transformers.models.janus.modeling_janus import JanusVQVAE

import make_model_fixtures as models

models.generator.manual_seed(20261130)
SEED, PICTURES, SIDE, PLACES, CODES, DIMENSIONS = 1, 2, 24, 6, 24, 4


def uniform(count, stream):
    """Count numbers in [0, 1), each a multiple of 2⁻²⁴."""
    counter = numpy.arange((count + 3) // 4, dtype=numpy.uint64)
    zeros = numpy.zeros_like(counter)
    words = numpy.stack(models.philox((SEED, 0), (counter, zeros, zeros + numpy.uint64(stream), zeros)), axis=1)
    return (words.reshape(-1)[:count] >> numpy.uint64(8)).astype(numpy.float32) * numpy.float32(2**-24)


def range_of(name, shape):
    """Scale and offset of a tensor's numbers, so that what goes through the model stays at about one."""
    if "norm" in name:
        return (0.5, 1.0) if name.endswith("weight") else (0.3, 0.0)
    if name.endswith("bias"):
        return 0.3, 0.0
    if "embedding" in name:
        # Of unlike lengths, which must not matter.
        return 1.0, 0.0
    return float((3 / numpy.prod(shape[1:])) ** 0.5), 0.0


def main():
    config = JanusVQVAEConfig(
        embed_dim=DIMENSIONS, num_embeddings=CODES, latent_channels=8, base_channels=32, channel_multiplier=[1, 2, 2],
        num_res_blocks=1, num_patches=PLACES)
    model = JanusVQVAE(config).double().eval()
    stored, weights = {}, {}
    for stream, (name, value) in enumerate(sorted(model.state_dict().items())):
        scale, offset = (numpy.float32(number) for number in range_of(name, value.shape))
        numbers = (uniform(value.numel(), stream) * numpy.float32(2) - numpy.float32(1)) * scale + offset
        weights[name] = torch.from_numpy(numbers.reshape(value.shape)).double()
        stored[f"model.vqmodel.{name}"] = torch.tensor([scale, offset, *value.shape])
    model.load_state_dict(weights)

    tokens = torch.randint(0, CODES, (PICTURES, PLACES * PLACES), generator=models.generator)
    pictures = torch.rand(PICTURES, 3, SIDE, SIDE, generator=models.generator).double()
    with torch.no_grad():
        decoded = model.decode(tokens)
        # The library's own encoder of tokens does not bring to length one, as those who trained the codes do.
        vectors = F.normalize(model.quant_conv(model.encoder(pictures * 2 - 1)).permute(0, 2, 3, 1), dim=-1)
    distances = torch.cdist(
        vectors.reshape(-1, DIMENSIONS), F.normalize(weights["quantize.embedding.weight"], dim=1))
    nearest = distances.topk(2, dim=1, largest=False).values
    assert (nearest[:, 1] - nearest[:, 0]).min() > 1e-4, "a token is too close to call in float32"
    chosen = distances.argmin(1)
    print("deviation of what is decoded:", decoded.std().item(), "tokens in use:", len(set(chosen.tolist())))
    models.store(
        "vqgan.safetensors",
        stored
        | {
            "tokens": tokens.flatten(),
            "decoded": decoded.permute(0, 2, 3, 1) / 2 + 0.5,
            "pictures": pictures.permute(0, 2, 3, 1),
            "encoded": chosen,
        })


main()
