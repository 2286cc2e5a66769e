"""Fits rungs of the ladder and Pythae's models of the same kind, in turn, on the same pictures and networks, and prints a
table: seconds of processor time an epoch, and what held-out pictures cost after as many epochs. With one thread, processor time
is that of an idle machine also where others disturb.

    pip install torch pythae pillow
    python Tests/Fixtures/pythae_peers.py data/emoji --program .build/release/dalle-cli

Pythae takes the networks as modules, which are written here as they are in RowNetwork.swift and PatchNetwork.swift. Its own
observation model is a Gaussian of variance one; a subclass gives it the mixture of discretised logistics that ours have, so that
bits compare. All else is Pythae's: models, trainer, samplers.
"""

import argparse
import json
import logging
import math
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from pythae.data.datasets import BaseDataset
from pythae.models import AE, VAE, VAE_IAF, VQVAE, AEConfig, BetaVAE, BetaVAEConfig, VAE_IAF_Config, VAEConfig, VQVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig

logging.disable(logging.INFO)
SIDE, WIDTH, LATENT, PATCH, LOGISTICS = 32, 128, 64, 4, 3
GRID = SIDE // PATCH


# The rungs' networks.


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(channels // 16, channels), nn.GroupNorm(channels // 16, channels)
        self.convolution1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.convolution2 = nn.Conv2d(channels, channels, 3, padding=1)
        with torch.no_grad():
            self.convolution2.weight.mul_(0.3)

    def forward(self, x):
        h = self.convolution1(F.silu(self.norm1(x)))
        return x + self.convolution2(F.silu(self.norm2(h)))


class Trunk(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.stem = nn.Conv2d(inputs, WIDTH, 3, padding=1)
        self.blocks = nn.Sequential(Block(WIDTH), Block(WIDTH))
        self.norm = nn.GroupNorm(WIDTH // 16, WIDTH)

    def forward(self, x):
        return F.silu(self.norm(self.blocks(self.stem(x))))


class Encoder(BaseEncoder):
    """Patches into channels, two residual blocks, and one linear layer over all of it."""

    def __init__(self, is_variational):
        super().__init__()
        self.trunk, self.is_variational = Trunk(3 * PATCH * PATCH), is_variational
        self.output = nn.Linear(GRID * GRID * WIDTH, LATENT * (2 if is_variational else 1))

    def forward(self, x):
        h = self.output(self.trunk(F.pixel_unshuffle(2 * x - 1, PATCH)).flatten(1))
        if not self.is_variational:
            return ModelOutput(embedding=h)
        mean, log_variance = h.chunk(2, 1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    def __init__(self, numbers):
        super().__init__()
        self.stem = nn.Linear(LATENT, GRID * GRID * WIDTH)
        self.blocks = nn.Sequential(Block(WIDTH), Block(WIDTH))
        self.norm = nn.GroupNorm(WIDTH // 16, WIDTH)
        self.output = nn.Conv2d(WIDTH, 3 * PATCH * PATCH * numbers, 3, padding=1)
        with torch.no_grad():
            self.output.weight.mul_(0.3)

    def forward(self, z):
        x = F.silu(self.norm(self.blocks(self.stem(z).reshape(-1, WIDTH, GRID, GRID))))
        return ModelOutput(reconstruction=F.pixel_shuffle(self.output(x), PATCH))


class TokenEncoder(BaseEncoder):
    def __init__(self, dimensions=32):
        super().__init__()
        self.trunk, self.output = Trunk(3 * PATCH * PATCH), nn.Conv2d(WIDTH, dimensions, 1)

    def forward(self, x):
        return ModelOutput(embedding=self.output(self.trunk(F.pixel_unshuffle(2 * x - 1, PATCH))))


class TokenDecoder(BaseDecoder):
    def __init__(self, dimensions=32):
        super().__init__()
        self.trunk, self.output = Trunk(dimensions), nn.Conv2d(WIDTH, 3 * PATCH * PATCH, 3, padding=1)

    def forward(self, codes):
        x = F.pixel_shuffle(self.output(self.trunk(codes)), PATCH)
        return ModelOutput(reconstruction=x / 2 + 0.5)


# The rungs' observation model.


def log_probability(x, parameters):
    """log P of each byte, [B, 3, S, S], by a mixture of discretised logistics (Salimans et al. 2017)."""
    B, _, S, _ = x.shape
    logits, centres, scales = parameters.reshape(B, 3, 3, LOGISTICS, S, S).unbind(2)
    lower = (torch.floor(256 * x).clamp(0, 255) / 128 - 1)[:, :, None]
    inverse = torch.exp(-scales.clamp(-7, 7))
    delta = inverse / 128
    low = (lower - centres) * inverse
    high = low + delta
    is_first, is_last = lower < -1 + 1 / 256, lower > 1 - 3 / 256
    above = torch.where(is_last, 0.0, F.softplus(-high))
    below = torch.where(is_first, 0.0, F.softplus(low))
    inside = torch.where(is_first | is_last, 0.0, torch.log(-torch.expm1(-delta)))
    return torch.logsumexp(inside - above - below + F.log_softmax(logits, 2), 2)


def make_likelihood(model_class):
    class WithLikelihood(model_class):
        def loss_function(self, recon_x, x, mu, log_var, *more):
            reconstruction = -log_probability(x, recon_x).flatten(1).sum(1)
            if more and model_class is VAE_IAF:
                z0, z, log_determinant = more
                prior = -0.5 * (z * z).sum(1)
                posterior = -0.5 * (log_var + (z0 - mu) ** 2 / log_var.exp()).sum(1) - log_determinant
                divergence = posterior - prior
            else:
                divergence = 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(1)
            self.bound = (reconstruction + divergence).detach()
            weight = getattr(self, "beta", 1)
            # In nats a dimension, as the rungs' losses are.
            D = x[0].numel()
            loss = (reconstruction + weight * divergence).mean() / D
            return loss, reconstruction.mean(), divergence.mean()

    WithLikelihood.__name__ = model_class.__name__
    return WithLikelihood


def shape(config, **more):
    return config(input_dim=(3, SIDE, SIDE), latent_dim=LATENT, **more)


def bits(model, x):
    """The bound of held-out pictures with one draw each, in bits a dimension."""
    bounds = []
    for batch in x.split(32):
        model({"data": batch})
        bounds.append(model.bound)
    return (torch.cat(bounds).mean() / x[0].numel() / math.log(2)).item()


def squares(model, x):
    """The mean squared error of held-out pictures."""
    parts = [model({"data": batch}).recon_x for batch in x.split(32)]
    return F.mse_loss(torch.cat(parts), x).item()


# What is compared: the rung and its options, Pythae's model, what of held-out pictures is measured, and its name.
PEERS = {
    "vae": (["vae"], lambda: make_likelihood(VAE)(shape(VAEConfig), Encoder(True), Decoder(3 * LOGISTICS)), bits),
    "beta-vae": (
        ["vae", "--kl-weight", "4"],
        lambda: make_likelihood(BetaVAE)(shape(BetaVAEConfig, beta=4.0), Encoder(True), Decoder(3 * LOGISTICS)),
        bits,
    ),
    "hierarchical-vae": (
        ["hierarchical-vae"],
        lambda: make_likelihood(VAE_IAF)(
            shape(VAE_IAF_Config, n_made_blocks=2, hidden_size=256), Encoder(True), Decoder(3 * LOGISTICS)),
        bits,
    ),
    "generative-auto-encoder": (
        ["generative-auto-encoder"], lambda: AE(shape(AEConfig), Encoder(False), Decoder(1)), squares,
    ),
    "vqvae": (
        ["vqvae"],
        lambda: VQVAE(shape(VQVAEConfig, num_embeddings=512, use_ema=True), TokenEncoder(), TokenDecoder()),
        squares,
    ),
}


def fit_theirs(name, train, held_out, epochs, batch_size, learning_rate, seed, folder):
    torch.manual_seed(seed)
    model = PEERS[name][1]()
    data = [BaseDataset(x, torch.zeros(len(x))) for x in (train, held_out)]
    trainer = BaseTrainer(
        model, data[0], None, BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, per_device_train_batch_size=batch_size, learning_rate=learning_rate,
            seed=seed, no_cuda=True, scheduler_cls="CosineAnnealingLR", scheduler_params={"T_max": epochs}))
    seconds, step = [], trainer.train_step

    # The trainer also copies and saves the model, which is not counted.
    def timed(epoch):
        start = time.process_time()
        loss = step(epoch)
        seconds.append(time.process_time() - start)
        return loss

    trainer.train_step = timed
    trainer.train()
    model = trainer.model.eval()
    result = {"seconds": sum(seconds) / epochs, "parameters": sum(p.numel() for p in model.parameters())}
    with torch.no_grad():
        result["held out"] = PEERS[name][2](model, held_out)
    if name == "generative-auto-encoder":
        start = time.process_time()
        sampler = GaussianMixtureSampler(model, GaussianMixtureSamplerConfig(n_components=10))
        train[0, 0, 0, 0] = 1
        sampler.fit(train)
        result["mixture, seconds"] = time.process_time() - start
    return result


def fit_ours(name, program, pictures, epochs, batch_size, precision, threads, seed, folder):
    def run(*arguments):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        output = subprocess.run(
            [program, "baselines", *map(str, arguments), "--json"], check=True, capture_output=True, text=True).stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return json.loads(output), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    model = Path(folder) / "model.safetensors"
    command = [
        "fit", *PEERS[name][0], pictures, "--size", SIDE, "--batch-size", batch_size, "--threads", threads,
        "--precision", precision, "--seed", seed, "--output", model]
    # What is not fitting: reading the pictures, a mixture, measuring.
    _, beside = run(*command, "--steps", 1)
    fitted, seconds = run(*command, "--epochs", epochs)
    scored, _ = run("score", model, pictures, "--threads", threads)
    key = "bits_per_dimension" if PEERS[name][2] is bits else "reconstruction_error"
    seconds -= beside
    # Of the rungs of tokens the first stage is compared, whose share of the time they tell.
    if "tokenizer_seconds" in fitted:
        seconds *= fitted["tokenizer_seconds"] / fitted["seconds"]
    return {"seconds": seconds / epochs, "parameters": fitted["parameters"], "held out": scored[key]}


def small_pictures(folder, to, every):
    """The same bytes for both: pictures of 32×32 pixels, and as arrays of each split, [N, 3, 32, 32]."""
    splits = {"train": [], "held out": []}
    lines, counts = [], {name: 0 for name in splits}
    for line in (Path(folder) / "metadata.jsonl").read_text().splitlines():
        entry = json.loads(line)
        split = "train" if entry["split"] == "train" else "held out"
        counts[split] += 1
        if (counts[split] - 1) % every[split] != 0:
            continue
        picture = Image.open(Path(folder) / entry["file_name"]).convert("RGB").resize((SIDE, SIDE), Image.BOX)
        picture.save(Path(to) / entry["file_name"])
        lines.append(json.dumps({"file_name": entry["file_name"], "text": "a picture", "split": entry["split"]}))
        array = (np.asarray(picture, np.float32) + 0.5) / 256
        splits[split].append(array.transpose(2, 0, 1))
    (Path(to) / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return (torch.from_numpy(np.stack(splits[name])) for name in ("train", "held out"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="a folder of pictures with metadata.jsonl that names splits")
    parser.add_argument("--program", default=".build/release/dalle-cli")
    parser.add_argument("--models", default=",".join(PEERS))
    parser.add_argument("--every", default="1,1", help="of the pictures for fitting and held out, every so manieth is taken")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rates", default="1e-3,3e-3,5e-4", help="of Pythae, one a round; its best round counts")
    parser.add_argument("--precisions", default="float32,bfloat16", help="of this program")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rates = [float(rate) for rate in options.learning_rates.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        train, held_out = small_pictures(options.data, pictures, dict(zip(("train", "held out"), map(int, options.every.split(",")))))
        print(f"{len(train)} pictures for fitting, {len(held_out)} held out, {options.epochs} epochs", flush=True)
        for name in options.models.split(","):
            results = {}
            for round in range(options.rounds):
                theirs = fit_theirs(
                    name, train, held_out, options.epochs, options.batch_size, rates[round % len(rates)], round, folder)
                results.setdefault("Pythae", []).append(theirs)
                for precision in options.precisions.split(","):
                    results.setdefault(precision, []).append(
                        fit_ours(
                            name, options.program, pictures, options.epochs, options.batch_size, precision,
                            options.threads, round, folder))
                print(name, json.dumps({key: rounds[-1] for key, rounds in results.items()}), flush=True)
            for key, rounds in results.items():
                # Neighbours on the machine disturb: the ratio of neighbouring runs, and the median of these.
                ratios = [a["seconds"] / b["seconds"] for a, b in zip(results["Pythae"], rounds)]
                costs = [result["held out"] for result in rounds]
                cost = min(costs) if key == "Pythae" else statistics.median(costs)
                print(
                    f"| {name} | {key} | {statistics.median(r['seconds'] for r in rounds):.2f} s | "
                    f"{statistics.median(ratios):.2f} | {cost:.4f} | {rounds[0]['parameters']} |", flush=True)


if __name__ == "__main__":
    main()
