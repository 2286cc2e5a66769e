"""Makes the numbers that the tests of residual codes compare with, by PyTorch: a VQ-VAE with three codes a place, and a
prior that predicts them.

    .build/venv/bin/python Tests/Fixtures/make_residual_fixtures.py

As in make_model_fixtures.py, everything is computed in float64 and stored as float32.
"""

import torch
import torch.nn.functional as F

import make_discrete_fixtures as discrete
import make_model_fixtures as models
from make_discrete_fixtures import network, network_weights, rounded
from make_model_fixtures import GRID, TEXT_LENGTH, TEXTS, WIDTH, depth_to_space, random, space_to_depth, store

models.generator.manual_seed(20261126)
DEPTH = 3


# MARK: - The VQ-VAE


def make_vqvae():
    """Places of 4×4 pixels, convolutions at those of 2×2, codes of 8 dimensions: 2 for each place of the convolutions."""
    side, patch, ratio, dimensions, codes, commitment, decay = 8, 2, 2, 8, 12, 0.25, 0.98
    pictures = rounded(torch.rand(4, side, side, 3, generator=models.generator).double())
    places = 4 * (side // (patch * ratio)) ** 2
    weights = {}
    network_weights(weights, "encoder", 3 * patch * patch, dimensions // ratio**2, 1)
    network_weights(weights, "decoder", dimensions // ratio**2, 3 * patch * patch, 3)
    # The first codes are of length one, the further ones as short as what they stand for.
    codebooks = [F.normalize(random(codes, dimensions), dim=1)]
    codebooks += [random(codes, dimensions, scale=0.25 / 2**d) for d in range(DEPTH - 1)]
    codebooks = [rounded(codebook) for codebook in codebooks]
    counts = [rounded(places / codes * (1 + 0.2 * random(codes).clamp(-1, 1))) for _ in range(DEPTH)]
    sums = [rounded(codebook * count[:, None] * 0.9) for codebook, count in zip(codebooks, counts)]

    def encode(w):
        z = F.normalize(space_to_depth(network(w, space_to_depth(pictures * 2 - 1, patch), "encoder"), ratio), dim=-1)
        residual, found = z.detach().reshape(-1, dimensions), []
        for codebook in codebooks:
            distances = torch.cdist(residual, codebook)
            nearest = distances.topk(2, dim=1, largest=False).values
            assert (nearest[:, 1] - nearest[:, 0]).min() > 1e-4, "a token is too close to call in float32"
            tokens = distances.argmin(1)
            found.append((residual, tokens))
            residual = residual - codebook[tokens]
        return z, found, (z.detach().reshape(-1, dimensions) - residual).reshape(z.shape)

    def decode(w, sum_of_codes):
        x = depth_to_space(sum_of_codes, ratio) * ratio
        return depth_to_space(network(w, x, "decoder"), patch) * 0.5 + 0.5

    def loss(w):
        z, _, sum_of_codes = encode(w)
        error = F.mse_loss(decode(w, z + (sum_of_codes - z).detach()), pictures)
        return 4 * error + commitment / 4 * dimensions * F.mse_loss(z, sum_of_codes)

    tensors = models.train_once(weights, lambda name: name.endswith("weight") and "norm" not in name, loss)
    _, found, sum_of_codes = encode(weights)
    tensors |= {
        "pictures": pictures,
        "tokens": torch.stack([tokens + d * codes for d, (_, tokens) in enumerate(found)], 1).flatten(),
        "reconstruction": decode(weights, sum_of_codes),
    }
    for d, (residual, tokens) in enumerate(found):
        name = "quantizer" if d == 0 else f"refinements.{d - 1}"
        chosen = F.one_hot(tokens, codes).double()
        new_counts = decay * counts[d] + (1 - decay) * chosen.sum(0)
        new_sums = decay * sums[d] + (1 - decay) * chosen.T @ residual
        assert (new_counts > 0.02 * places / codes).all(), "no code is to be brought back to life"
        tensors |= {
            f"initial/{name}.codebook": codebooks[d],
            f"initial/{name}.counts": counts[d],
            f"initial/{name}.sums": sums[d],
            f"updated/{name}.codebook": F.normalize(new_sums, dim=1) if d == 0 else new_sums / new_counts[:, None],
            f"updated/{name}.counts": new_counts,
            f"updated/{name}.sums": new_sums,
        }
    store("vqvae-residual.safetensors", tensors)


# MARK: - The prior


def make_prior():
    codes = models.IMAGE_CODES
    images = torch.randint(0, codes, (len(TEXTS), GRID * GRID, DEPTH), generator=models.generator)
    weights = models.prior_weights()
    for name, shape in {"imageEmbedding.weight": (DEPTH * codes, WIDTH)}.items():
        weights[name] = rounded(random(*shape, scale=0.3))
    for d in range(DEPTH - 1):
        for part, shape in {
            "codes.weight": (codes, WIDTH),
            "norm1.weight": (WIDTH,), "norm1.bias": (WIDTH,),
            "mlp.hidden.weight": (4 * WIDTH, WIDTH), "mlp.hidden.bias": (4 * WIDTH,),
            "mlp.output.weight": (WIDTH, 4 * WIDTH), "mlp.output.bias": (WIDTH,),
            "norm2.weight": (WIDTH,), "norm2.bias": (WIDTH,),
            "head.weight": (codes, WIDTH), "head.bias": (codes,),
        }.items():
            offset = 1.0 if "norm" in part and part.endswith("weight") else 0.0
            weights[f"refinements.{d}.{part}"] = rounded(random(*shape, scale=0.3) + offset)

    def logits(w):
        """Text logits, and those of each place's codes, [B, GRID * GRID, DEPTH, IMAGE_CODES]."""

        def norm(x, name):
            return F.layer_norm(x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-5)

        def linear(x, name):
            return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

        # The transformer sees the sum of a place's embeddings: a table with one row for each place of each picture.
        offsets = torch.arange(DEPTH) * codes
        table = w["imageEmbedding.weight"][images + offsets].sum(2).flatten(0, 1)
        rows = torch.arange(images.shape[0] * GRID * GRID).reshape(images.shape[0], -1)
        inner = w | {
            "imageEmbedding.weight": table,
            # What comes out of the last norm, seen through heads that change nothing.
            "imageHead.weight": torch.eye(WIDTH).double(), "imageHead.bias": torch.zeros(WIDTH).double(),
        }
        text, h = models.prior_logits(inner, rows)
        found = [linear(h, "imageHead")]
        for d in range(DEPTH - 1):
            name = f"refinements.{d}"
            h = h + w[f"{name}.codes.weight"][images[:, :, d]]
            inside = F.gelu(linear(norm(h, f"{name}.norm1"), f"{name}.mlp.hidden"), approximate="tanh")
            h = h + linear(inside, f"{name}.mlp.output")
            found.append(linear(norm(h, f"{name}.norm2"), f"{name}.head"))
        return text, torch.stack(found, 2)

    def loss(w):
        text_logits, image_logits = logits(w)
        targets = torch.full((len(TEXTS), TEXT_LENGTH - 1), -1)
        for b, text in enumerate(TEXTS):
            for t in range(1, min(len(text), TEXT_LENGTH)):
                targets[b, t - 1] = text[t]
        text_loss = F.cross_entropy(text_logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
        code_losses = [F.cross_entropy(image_logits[:, :, d].flatten(0, 1), images[:, :, d].flatten()) for d in range(DEPTH)]
        weights = [1 / 2**d for d in range(DEPTH)]
        image_loss = sum(weight * loss for weight, loss in zip(weights, code_losses)) / sum(weights)
        return text_loss / 8 + image_loss * 7 / 8

    decays = lambda name: name.endswith("weight") and any(
        part in name for part in ["Head", "head.", ".attention.", ".mlp."])
    tensors = models.train_once(weights, decays, loss)
    tensors["images"] = (images + torch.arange(DEPTH) * codes).flatten()
    tensors["image logits"] = logits(weights)[1].flatten(1, 2)
    store("prior-residual.safetensors", tensors)


if __name__ == "__main__":
    make_vqvae()
    make_prior()
