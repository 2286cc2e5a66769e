"""Times `dalle-cli benchmark` and PyTorch on the same networks, shapes and threads, in turn, and prints a table of medians:

    pip install torch
    python Tests/Fixtures/torch_peers.py prior-training --program .build/release/dalle-cli
    python Tests/Fixtures/torch_peers.py prior-training --precision float32
    python Tests/Fixtures/torch_peers.py prior-generation --batch 8
    python Tests/Fixtures/torch_peers.py prior-generation --dim 512 --layers 6 --heads 8 --text 24 --image 64 --batch 16
    python Tests/Fixtures/torch_peers.py tokenizer-training

Flags and what they are where they are not given are those of `dalle-cli benchmark`. Each measurement is a process of its own, so that its
memory is, too: the program, PyTorch as it is ("eager"), and PyTorch compiled (its compiler needs a C++ compiler on the machine).
Where PyTorch is faster with pictures whose channels lie last, these are taken as well. The ratio is against the best of PyTorch's.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

SHAPES = dict(
    dim=384, layers=8, heads=6, text=32, image=256, text_vocab=4096, image_vocab=1024,
    size=64, down=2, channels=128, codes=1024, code_dim=64)
WORKLOADS = {"prior-training": 16, "prior-generation": 1, "tokenizer-training": 32}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    for name, value in SHAPES.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    parser.add_argument("--batch", type=int, help="16 sequences in training, one in drawing, 32 pictures unless given")
    parser.add_argument("--steps", type=int, default=6, help="steps of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each, in turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--program", default=".build/release/dalle-cli")
    parser.add_argument("--peer", choices=["eager", "compiled", "eager, channels last", "compiled, channels last"],
                        help="measure this one of PyTorch's in this process, and print JSON")
    options = parser.parse_args()
    options.batch = options.batch or WORKLOADS[options.workload]
    return options


# What PyTorch does. It is imported where it is measured, so that the process which compares stays small.


def peer(options):
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    work = {"prior-training": prior_training, "prior-generation": prior_generation,
            "tokenizer-training": tokenizer_training}[options.workload]
    seconds = work(torch, options)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_resident_bytes": memory}))


def median_seconds(body, count, warm_up):
    for _ in range(warm_up):
        body()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        body()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def autocast(torch, options):
    return torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bfloat16")


def training_seconds(torch, options, model, loss):
    """Of a step. `loss` is given the model as it is called, compiled or not."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=True)
    forward = torch.compile(model) if options.peer.startswith("compiled") else model

    def step():
        loss(forward).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return median_seconds(step, options.steps, warm_up=2)


def make_prior(torch, options):
    """The network of TransformerPrior.swift with one code a place and no padding: all texts fill their places."""
    nn, F = torch.nn, torch.nn.functional
    width, heads = options.dim, options.heads

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))

        def forward(self, x, cache=None, start=0):
            B, T, _ = x.shape
            q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
            if cache is not None:
                cache[0, :, :, start:start + T], cache[1, :, :, start:start + T] = k, v
                k, v = cache[:, :, :, :start + T]
            seen = F.scaled_dot_product_attention(q, k, v, is_causal=T > 1)
            x = x + self.output(seen.transpose(1, 2).reshape(B, T, width))
            return x + self.mlp(self.norm2(x))

    class Prior(nn.Module):
        def __init__(self):
            super().__init__()
            side = round(options.image ** 0.5)
            self.text_embedding = nn.Embedding(options.text_vocab, width)
            self.image_embedding = nn.Embedding(options.image_vocab, width)
            self.text_position = nn.Parameter(torch.zeros(options.text, width))
            self.row, self.column = (nn.Parameter(torch.zeros(side, width)) for _ in range(2))
            self.blocks = nn.ModuleList(Block() for _ in range(options.layers))
            self.norm = nn.LayerNorm(width)
            self.text_head = nn.Linear(width, options.text_vocab)
            self.image_head = nn.Linear(width, options.image_vocab)

        def positions(self):
            return (self.row[:, None] + self.column[None]).reshape(-1, width)

        def forward(self, texts, images):
            x = torch.cat([self.text_embedding(texts) + self.text_position,
                           self.image_embedding(images[:, :-1]) + self.positions()[:-1]], dim=1)
            for block in self.blocks:
                x = block(x)
            x = self.norm(x)
            return self.text_head(x[:, :options.text - 1]), self.image_head(x[:, options.text - 1:])

    return Prior()


def random_tokens(torch, options):
    return (torch.randint(options.text_vocab, (options.batch, options.text)),
            torch.randint(options.image_vocab, (options.batch, options.image)))


def prior_training(torch, options):
    F = torch.nn.functional
    texts, images = random_tokens(torch, options)

    def loss(forward):
        with autocast(torch, options):
            text_logits, image_logits = forward(texts, images)
        return (F.cross_entropy(text_logits.float().flatten(0, 1), texts[:, 1:].flatten()) / 8
                + F.cross_entropy(image_logits.float().flatten(0, 1), images.flatten()) * 7 / 8)

    return training_seconds(torch, options, make_prior(torch, options), loss)


def prior_generation(torch, options):
    element = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    model = make_prior(torch, options).to(element).eval()
    head = options.dim // options.heads
    length = options.text + options.image

    @torch.no_grad()
    def draw():
        caches = [torch.zeros(2, options.batch, options.heads, length, head, dtype=element) for _ in model.blocks]
        positions = model.positions()

        def last(x, start):
            for block, cache in zip(model.blocks, caches):
                x = block(x, cache, start)
            return model.norm(x[:, -1])

        texts, _ = random_tokens(torch, options)
        x = last(model.text_embedding(texts) + model.text_position, 0)
        for place in range(options.image):
            token = torch.multinomial(torch.softmax(model.image_head(x).float(), dim=-1), 1)
            if place < options.image - 1:
                x = last(model.image_embedding(token) + positions[place], options.text + place)

    return median_seconds(draw, options.steps, warm_up=1)


def tokenizer_training(torch, options):
    """The VQ-VAE paper's network as it stands in StridedNetwork.swift, with its three losses."""
    nn, F = torch.nn, torch.nn.functional
    channels, dimensions = options.channels, options.code_dim

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(
                nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 1))

        def forward(self, x):
            return x + self.inner(x)

    widths = [3] + [max(1, channels >> (options.down - 1 - i)) for i in range(options.down)]
    down = [layer for a, b in zip(widths, widths[1:]) for layer in (nn.Conv2d(a, b, 4, 2, 1), nn.ReLU())]
    back = widths[::-1]
    up = [layer for a, b in zip(back, back[1:]) for layer in (nn.ReLU(), nn.ConvTranspose2d(a, b, 4, 2, 1))]

    class Tokenizer(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(*down, nn.Conv2d(channels, channels, 3, padding=1), Residual(), Residual(),
                                         nn.ReLU(), nn.Conv2d(channels, dimensions, 1))
            self.decoder = nn.Sequential(nn.Conv2d(dimensions, channels, 3, padding=1), Residual(), Residual(), *up)
            self.codebook = nn.Parameter(torch.randn(options.codes, dimensions))

        def forward(self, pictures):
            z = self.encoder(pictures)
            rows = z.permute(0, 2, 3, 1).flatten(0, 2).float()
            with torch.no_grad():
                nearest = (self.codebook.square().sum(1) - 2 * rows @ self.codebook.T).argmin(1)
            code = F.embedding(nearest, self.codebook).view(z.shape[0], *z.shape[2:], dimensions).permute(0, 3, 1, 2)
            drawn = self.decoder(z + (code - z).detach()).float()
            return (F.mse_loss(drawn, pictures) + F.mse_loss(code, z.detach()) + 0.25 * F.mse_loss(z, code.detach()))

    model = Tokenizer()
    pictures = torch.rand(options.batch, 3, options.size, options.size)
    if options.peer.endswith("channels last"):
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.to(memory_format=torch.channels_last)

    def loss(forward):
        with autocast(torch, options):
            return forward(pictures)

    return training_seconds(torch, options, model, loss)


# The comparison.


def measured(command):
    """What a process prints as JSON; nil where it fails, with its last line told."""
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        last = (run.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"left out: {' '.join(command)}: {last}", file=sys.stderr)
        return None
    return json.loads(run.stdout)


def compare(options):
    flags = [part for name in list(SHAPES) + ["batch", "steps", "threads", "precision"]
             for part in ("--" + name.replace("_", "-"), str(getattr(options, name)))]
    commands = {"this program": [options.program, "benchmark", options.workload, *flags, "--json"]}
    modes = ["eager"] if options.workload == "prior-generation" else ["eager", "compiled"]
    if options.workload == "tokenizer-training":
        modes += [mode + ", channels last" for mode in modes]
    for mode in modes:
        commands["PyTorch, " + mode] = [sys.executable, __file__, options.workload, *flags, "--peer", mode]
    results = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            result = measured(command)
            if result is None:
                continue
            seconds = result["seconds"] if "seconds" in result else result["milliseconds_per_step"] / 1000
            results[name].append((seconds, result["peak_resident_bytes"]))
    rows = {name: (statistics.median(s for s, _ in found), max(b for _, b in found))
            for name, found in results.items() if found}
    print(f"{options.workload}, {options.precision}, batch {options.batch}, {options.threads} threads, "
          f"median of {options.rounds}\n")
    print("| | milliseconds | memory, GB |\n| --- | --- | --- |")
    for name, (seconds, memory) in rows.items():
        print(f"| {name} | {1000 * seconds:.1f} | {memory / 1e9:.2f} |")
    own = rows.pop("this program", None)
    if own and rows:
        name, best = min(rows.items(), key=lambda row: row[1][0])
        print(f"\n{best[0] / own[0]:.2f} times the speed of {name}")
    return 0 if own and rows else 1


if __name__ == "__main__":
    chosen = arguments()
    sys.exit(peer(chosen) if chosen.peer else compare(chosen))
