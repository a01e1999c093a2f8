"""StyleGAN2's forward pass over a rosinality checkpoint, written a second time and as plainly as
possible, to check network.py and every export against. Modulated weights per picture, zero
stuffing and padding by hand; sizes, widths and depths come from the tensors' shapes."""

import math

import torch
from torch.nn import functional as F


def load(path):
    saved = torch.load(path, map_location="cpu", weights_only=True)
    tensors = {k: v.float() for k, v in saved["g_ema"].items()}
    return tensors, saved["latent_avg"].float()


def upfirdn(x, kernel, up, pad):
    b, c, h, w = x.shape
    if up > 1:
        stuffed = x.new_zeros(b, c, h * up, w * up)
        stuffed[:, :, ::up, ::up] = x
        x = stuffed
    x = F.pad(x, (pad[0], pad[1], pad[0], pad[1]))
    b, c, h, w = x.shape
    k = torch.flip(kernel, (0, 1))[None, None]
    return F.conv2d(x.reshape(b * c, 1, h, w), k).reshape(b, c, h - k.shape[2] + 1, w - k.shape[3] + 1)


def leaky(x):
    return torch.where(x > 0, x, 0.2 * x) * math.sqrt(2)


def modulated(t, name, x, w, demodulate=True, up=False):
    weight, a = t[f"{name}.weight"], t[f"{name}.modulation.weight"]
    _, o, i, k, _ = weight.shape
    s = w @ (a / math.sqrt(a.shape[1])).t() + t[f"{name}.modulation.bias"]
    outs = []
    for n in range(x.shape[0]):
        own = weight[0] / math.sqrt(i * k * k) * s[n][None, :, None, None]
        if demodulate:
            own = own * torch.rsqrt(own.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        if up:
            y = F.conv_transpose2d(x[n:n + 1], own.transpose(0, 1), stride=2)
            y = upfirdn(y, t[f"{name}.blur.kernel"], 1, (1, 1))
        else:
            y = F.conv2d(x[n:n + 1], own, padding=k // 2)
        outs.append(y)
    return torch.cat(outs)


def styled(t, name, x, w, noise, up=False):
    x = modulated(t, f"{name}.conv", x, w, up=up)
    if noise is not None:
        x = x + t[f"{name}.noise.weight"] * noise
    return leaky(x + t[f"{name}.activate.bias"][None, :, None, None])


def mapping(t, z):
    x = z * torch.rsqrt((z * z).mean(1, keepdim=True) + 1e-8)
    n = 1
    while f"style.{n}.weight" in t:
        weight = t[f"style.{n}.weight"]
        x = leaky(x @ (weight * (0.01 / math.sqrt(weight.shape[1]))).t() + 0.01 * t[f"style.{n}.bias"])
        n += 1
    return x


def synthesis(t, w, use_noise=True):
    noise = lambda i: t.get(f"noises.noise_{i}") if use_noise else None
    x = t["input.input"].repeat(w.shape[0], 1, 1, 1)
    x = styled(t, "conv1", x, w, noise(0))
    rgb = modulated(t, "to_rgb1.conv", x, w, demodulate=False) + t["to_rgb1.bias"]
    i = 0
    while f"to_rgbs.{i}.bias" in t:
        x = styled(t, f"convs.{2 * i}", x, w, noise(2 * i + 1), up=True)
        x = styled(t, f"convs.{2 * i + 1}", x, w, noise(2 * i + 2))
        skip = upfirdn(rgb, t[f"to_rgbs.{i}.upsample.kernel"], 2, (2, 1))
        rgb = modulated(t, f"to_rgbs.{i}.conv", x, w, demodulate=False) + t[f"to_rgbs.{i}.bias"] + skip
        i += 1
    return rgb
