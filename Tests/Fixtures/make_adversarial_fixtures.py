"""Makes the numbers that the tests of the patch discriminator compare with, by PyTorch.

    .build/venv/bin/python Tests/Fixtures/make_adversarial_fixtures.py

Everything is computed in float64 from inputs that float32 holds exactly, and stored as float32.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FILE = pathlib.Path(__file__).parent / "models" / "adversarial.safetensors"
generator = torch.Generator().manual_seed(20261129)
stored = {}


def random(*shape, scale=1.0):
    return (torch.randn(shape, generator=generator) * scale).double().requires_grad_()


def pictures(*shape):
    return torch.rand(shape, generator=generator).double().requires_grad_()


def store(**tensors):
    for name, tensor in tensors.items():
        stored[name.replace("__", "/")] = tensor.detach().to(torch.float32).contiguous()


def differentiate(name, output, inputs):
    """Stores a random cotangent and the gradients of sum(output * cotangent)."""
    cotangent = random(*output.shape).detach()
    gradients = torch.autograd.grad((output * cotangent).sum(), inputs)
    store(**{f"{name}__output": output, f"{name}__cotangent": cotangent, f"{name}__gradient": gradients[0]})


def convolution(x, weight, bias, stride, padding):
    """x [B,H,W,C], weight [O,KH,KW,C]"""
    y = F.conv2d(x.permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2), bias, stride, padding)
    return y.permute(0, 2, 3, 1)


def depth_to_space(x, s):
    B, H, W, C = x.shape
    return x.reshape(B, H, W, s, s, C // (s * s)).permute(0, 1, 3, 2, 4, 5).reshape(B, H * s, W * s, C // (s * s))


def augmented(x, views):
    """x [B,H,W,3] with grey at 0; each picture through (brightness, saturation, contrast, down, right, rows, columns)."""
    seen = []
    for picture, (brightness, saturation, contrast, down, right, rows, columns) in zip(x, views):
        y = picture + brightness
        grey = y.mean(-1, keepdim=True)
        y = (y - grey) * saturation + grey
        y = (y - y.mean()) * contrast + y.mean()
        H, W, _ = y.shape
        padded = F.pad(y.permute(2, 0, 1), (W, W, H, H)).permute(1, 2, 0)
        y = padded[H - down : 2 * H - down, W - right : 2 * W - right]
        mask = torch.ones_like(y)
        mask[rows[0] : rows[1], columns[0] : columns[1]] = 0
        seen.append(y * mask)
    return torch.stack(seen)


# The tests have the same.
VIEWS = [(0.25, 1.5, 0.75, 2, -1, (1, 5), (0, 3)), (-0.125, 0.5, 1.25, -1, 3, (6, 8), (2, 8))]

x = (torch.randn(3, 7, generator=generator).double() + 0.2).requires_grad_()
store(leaky__input=x)
differentiate("leaky", F.leaky_relu(x, 0.2), [x])

x = random(2, 8, 8, 3)
store(augmentation__input=x)
differentiate("augmentation", augmented(x, VIEWS), [x])

# A discriminator of two halvings, four channels first, over pictures of 16 pixels a side.
W = {
    "downsampling.0.weight": random(4, 4, 4, 3, scale=0.2), "downsampling.0.bias": random(4, scale=0.2),
    "downsampling.1.weight": random(8, 4, 4, 4, scale=0.2), "downsampling.1.bias": random(8, scale=0.2),
    "norms.0.weight": random(8, scale=0.5), "norms.0.bias": random(8, scale=0.5),
    "output.weight": random(1, 3, 3, 8, scale=0.3), "output.bias": random(1, scale=0.3),
}


def discriminator(x):
    x = augmented(x * 2 - 1, VIEWS)
    x = F.leaky_relu(convolution(x, W["downsampling.0.weight"], W["downsampling.0.bias"], 2, 1), 0.2)
    x = convolution(x, W["downsampling.1.weight"], W["downsampling.1.bias"], 2, 1)
    x = F.group_norm(x.permute(0, 3, 1, 2), 1, W["norms.0.weight"], W["norms.0.bias"], 1e-5).permute(0, 2, 3, 1)
    return convolution(F.leaky_relu(x, 0.2), W["output.weight"], W["output.bias"], 1, 1)


real, made = pictures(2, 16, 16, 3), pictures(2, 16, 16, 3)
averages = torch.tensor([0.25, -0.5]).double()
logits_real, logits_made = discriminator(real), discriminator(made)
hinge = 0.5 * F.relu(1 - logits_real).mean() + 0.5 * F.relu(1 + logits_made).mean()
distance = (logits_real - averages[1]).square().mean() + (logits_made - averages[0]).square().mean()
loss = hinge + 0.3 * distance
gradients = torch.autograd.grad(loss, list(W.values()))
store(real=real, made=made, averages=averages, logits__real=logits_real, logits__made=logits_made, hinge=hinge, loss=loss)
for (name, weight), gradient in zip(W.items(), gradients):
    store(**{f"initial__{name}": weight, f"gradient__{name}": gradient})

# The end of a VQ-VAE's decoder: features of 4x4 places, six channels, to blocks of 4x4 pixels.
features = random(2, 4, 4, 6)
weight, bias = random(48, 3, 3, 6, scale=0.1), random(48, scale=0.1)
reconstruction = depth_to_space(convolution(features, weight, bias, 1, 1), 4) * 0.5 + 0.5
near = 4 * (reconstruction - real.detach()).square().mean()
judged = -discriminator(reconstruction).mean()
norm = lambda loss: torch.cat(
    [g.flatten() for g in torch.autograd.grad(loss, [weight, bias], retain_graph=True)]).norm()
factor = 0.8 * norm(near) / (norm(judged) + 1e-4)
gradients = torch.autograd.grad(near + factor.detach() * judged, [features, weight, bias])
store(
    tokenizer__features=features, tokenizer__weight=weight, tokenizer__bias=bias, tokenizer__factor=factor,
    tokenizer__reconstruction=reconstruction)
for name, gradient in zip(["features", "weight", "bias"], gradients):
    store(**{f"tokenizer__gradient__{name}": gradient})

save_file(stored, FILE)
