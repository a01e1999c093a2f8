"""StyleGAN2 in PyTorch: a generator whose state dict has rosinality's names and meaning, and a
discriminator. Both can run at any of their resolutions, so training can grow them.

Widths fall with the resolution so that one 256x256 frame costs about 1.6 GFLOP (2 per MAC).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

Z_DIM = 128
MAPPING_LAYERS = 2
# What a window's edges would lack of their surroundings, in pixels of the last whole resolution, is
# computed and cut off.
MARGIN = 3
WIDTHS = {4: 128, 8: 128, 16: 128, 32: 96, 64: 56, 128: 32, 256: 16}
D_WIDTHS = {4: 128, 8: 96, 16: 64, 32: 40, 64: 24, 128: 16, 256: 12}


def binomial(gain=1.0):
    """The [1,3,3,1] low-pass kernel, 4x4."""
    k = torch.tensor([1.0, 3.0, 3.0, 1.0])
    k = k[:, None] * k[None, :]
    return k / k.sum() * gain


def lrelu(x):
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def filter2d(x, kernel, stride=1, pad=0):
    """The same small kernel on every channel."""
    c = x.shape[1]
    k = kernel.to(x.dtype)[None, None].expand(c, 1, -1, -1)
    return F.conv2d(x, k, stride=stride, padding=pad, groups=c)


class Equal(nn.Module):
    """A linear layer with run-time weight scaling: y = x·(W·lr/√in)ᵀ + bias·lr."""

    def __init__(self, n_in, n_out, bias_init=0.0, lr_mul=1.0, activation=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in) / lr_mul)
        self.bias = nn.Parameter(torch.full((n_out,), float(bias_init)))
        self.scale, self.lr_mul, self.activation = lr_mul / math.sqrt(n_in), lr_mul, activation

    def forward(self, x):
        y = F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)
        return lrelu(y) if self.activation else y


class PixelNorm(nn.Module):
    def forward(self, x):
        return x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-8)


class Kernel(nn.Module):
    def __init__(self, kernel):
        super().__init__()
        self.register_buffer("kernel", kernel)


class ModulatedConv(nn.Module):
    def __init__(self, n_in, n_out, k, w_dim, demodulate=True, up=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, n_out, n_in, k, k))
        self.modulation = Equal(w_dim, n_in, bias_init=1.0)
        self.scale, self.k, self.demodulate, self.up = 1 / math.sqrt(n_in * k * k), k, demodulate, up
        if up:
            self.blur = Kernel(binomial(4.0))

    def forward(self, x, w):
        s = self.modulation(w)
        weight = self.weight[0] * self.scale
        x = x * s[:, :, None, None].to(x.dtype)
        if self.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = filter2d(x, self.blur.kernel, pad=1)
        else:
            x = F.conv2d(x, weight, padding=self.k // 2)
        if self.demodulate:
            d = torch.rsqrt((s * s) @ weight.square().sum((2, 3)).t() + 1e-8)
            x = x * d[:, :, None, None].to(x.dtype)
        return x


class Noise(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class Bias(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n))


class StyledConv(nn.Module):
    def __init__(self, n_in, n_out, w_dim, up=False):
        super().__init__()
        self.conv = ModulatedConv(n_in, n_out, 3, w_dim, up=up)
        self.noise = Noise()
        self.activate = Bias(n_out)

    def forward(self, x, w, noise):
        x = self.conv(x, w)
        return lrelu(x + (self.noise.weight * noise + self.activate.bias[None, :, None, None]).to(x.dtype))


class ToRGB(nn.Module):
    def __init__(self, n_in, w_dim, up=True, init=1.0):
        super().__init__()
        self.conv = ModulatedConv(n_in, 3, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        with torch.no_grad():
            self.conv.weight.mul_(init)
        if up:
            self.upsample = Kernel(binomial(4.0))

    def forward(self, x, w, skip=None):
        y = self.conv(x, w) + self.bias
        if skip is not None:
            y = y + upsample(skip, self.upsample.kernel)
        return y


def cut(x, tops, lefts, size):
    """A square of each of x [B,C,H,W], from its own row and column."""
    return torch.stack([p[:, t:t + size, l:l + size] for p, t, l in zip(x, tops, lefts)])


def upsample(x, kernel):
    """Twice the size: zeros between the pixels, then the low-pass."""
    c = x.shape[1]
    k = kernel.to(x.dtype)[None, None].expand(c, 1, -1, -1)
    return F.conv_transpose2d(x, k, stride=2, padding=1, groups=c)


class Input(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, n, 4, 4))


class Generator(nn.Module):
    """conv1 at 4x4, then two StyledConvs a resolution; pictures are a sum of upsampled ToRGBs."""

    def __init__(self, size=256, widths=WIDTHS, z_dim=Z_DIM, mapping_layers=MAPPING_LAYERS):
        super().__init__()
        self.size, self.z_dim = size, z_dim
        self.style = nn.Sequential(PixelNorm(), *[Equal(z_dim, z_dim, lr_mul=0.01, activation=True)
                                                  for _ in range(mapping_layers)])
        self.input = Input(widths[4])
        self.conv1 = StyledConv(widths[4], widths[4], z_dim)
        self.to_rgb1 = ToRGB(widths[4], z_dim, up=False)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        self.noises.register_buffer("noise_0", torch.randn(1, 1, 4, 4))
        res, n = 4, 1
        while res < size:
            a, b, res = widths[res], widths[res * 2], res * 2
            self.convs.append(StyledConv(a, b, z_dim, up=True))
            self.convs.append(StyledConv(b, b, z_dim))
            self.to_rgbs.append(ToRGB(b, z_dim, init=0.1))
            for _ in range(2):
                self.noises.register_buffer(f"noise_{n}", torch.randn(1, 1, res, res))
                n += 1
        self.register_buffer("latent_avg", torch.zeros(z_dim))

    def mapping(self, z, psi=1.0):
        w = self.style(z)
        return w if psi == 1.0 else self.latent_avg + psi * (w - self.latent_avg)

    def noise(self, i, x, fixed, scale=1):
        if fixed:
            return getattr(self.noises, f"noise_{i}")
        return torch.randn(x.shape[0], 1, x.shape[2] * scale, x.shape[3] * scale, device=x.device)

    def coarse(self, w, size, fixed_noise=False):
        """Features and pictures at `size` of latents w [B,w_dim]."""
        x = self.input.input.expand(w.shape[0], -1, -1, -1)
        x = self.conv1(x, w, self.noise(0, x, fixed_noise))
        return self._grow(x, self.to_rgb1(x, w), w, 4, size, fixed_noise)

    def _grow(self, x, rgb, w, start, size, fixed_noise=False):
        for i in range(int(math.log2(start)) - 2, int(math.log2(size)) - 2):
            for k in (2 * i, 2 * i + 1):
                conv = self.convs[k]
                x = conv(x, w, self.noise(k + 1, x, fixed_noise, 2 if conv.conv.up else 1))
            rgb = self.to_rgbs[i](x, w, rgb)
        return x, rgb

    def synthesis(self, w, size=None, fixed_noise=False):
        return self.coarse(w, size or self.size, fixed_noise)[1]

    def windows(self, w, size, tops, lefts, side, whole, frozen=False):
        """Of each picture at `size` the square of `side` at its own row and column, for the price of a
        part of the layers above the resolution `whole`; places and side are in pixels, multiples of
        size/whole. And the same squares at `whole`. With `frozen` no gradient goes below."""
        with torch.set_grad_enabled(not frozen):
            x, rgb = self.coarse(w, whole)
        scale = size // whole
        around = side // scale + 2 * MARGIN
        start = lambda at: min(max(at // scale - MARGIN, 0), whole - around)  # an edge's padding belongs to it
        rows, columns = [start(t) for t in tops], [start(l) for l in lefts]
        _, made = self._grow(cut(x, rows, columns, around), cut(rgb, rows, columns, around), w, whole, size)
        inside = lambda ats, starts: [at - scale * s for at, s in zip(ats, starts)]
        small = cut(rgb, [t // scale for t in tops], [l // scale for l in lefts], side // scale)
        return cut(made, inside(tops, rows), inside(lefts, columns), side), small

    def forward(self, z, size=None, fixed_noise=False, psi=1.0):
        return self.synthesis(self.mapping(z, psi), size, fixed_noise)

    def flops(self, size=None):
        """FLOP of one picture, two a multiply-add: convolutions, filters, styles, mapping."""
        macs, res = sum(m.weight.numel() for m in self.style if isinstance(m, Equal)), 4
        styled = lambda c, r_in, r_out: (c.conv.weight.numel() * r_in ** 2 + c.conv.modulation.weight.numel()
                                         + (16 * c.activate.bias.numel() * r_out ** 2 if c.conv.up else 0))
        rgb = lambda t, r: t.conv.weight.numel() * r ** 2 + t.conv.modulation.weight.numel() + 12 * r ** 2
        macs += styled(self.conv1, 4, 4) + rgb(self.to_rgb1, 4)
        for i, t in enumerate(self.to_rgbs):
            if res == (size or self.size):
                break
            res *= 2
            macs += styled(self.convs[2 * i], res // 2, res) + styled(self.convs[2 * i + 1], res, res) + rgb(t, res)
        return 2 * macs


class EqualConv(nn.Module):
    def __init__(self, n_in, n_out, k, down=False, activation=True, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_out, n_in, k, k))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None
        self.scale, self.k, self.down, self.activation = 1 / math.sqrt(n_in * k * k), k, down, activation
        self.register_buffer("kernel", binomial(), persistent=False)

    def forward(self, x):
        if self.down:
            x = filter2d(x, self.kernel, pad=2 if self.k == 3 else 1, stride=1 if self.k == 3 else 2)
        stride = 2 if self.down and self.k == 3 else 1
        y = F.conv2d(x, (self.weight * self.scale).to(x.dtype), self.bias if self.bias is None else self.bias.to(x.dtype),
                     stride=stride, padding=0 if self.down else self.k // 2)
        return lrelu(y) if self.activation else y


class ResBlock(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv1 = EqualConv(n_in, n_in, 3)
        self.conv2 = EqualConv(n_in, n_out, 3, down=True)
        self.skip = EqualConv(n_in, n_out, 1, down=True, activation=False, bias=False)

    def forward(self, x):
        return (self.conv2(self.conv1(x)) + self.skip(x)) * math.sqrt(0.5)


class Discriminator(nn.Module):
    def __init__(self, size=256, widths=D_WIDTHS):
        super().__init__()
        sizes = [2 ** k for k in range(3, int(math.log2(size)) + 1)]
        self.from_rgb = nn.ModuleDict({str(r): EqualConv(3, widths[r], 1) for r in sizes})
        self.blocks = nn.ModuleDict({str(r): ResBlock(widths[r], widths[r // 2]) for r in sizes})
        self.last_conv = EqualConv(widths[4] + 1, widths[4], 3)
        self.last_dense = Equal(widths[4] * 16, widths[4], activation=True)
        self.score = Equal(widths[4], 1)

    def forward(self, img, fade=None, group=4):
        """Scores [B], and the features after each block. With a fade in [0, 1] the first block is
        mixed with what the half-size picture would have given."""
        res, feats = img.shape[-1], []
        x, first = self.from_rgb[str(res)](img), res
        while res > 4:
            x = self.blocks[str(res)](x)
            res //= 2
            if fade is not None and res * 2 == first and res > 4:
                x = fade * x + (1 - fade) * self.from_rgb[str(res)](F.avg_pool2d(img, 2))
            feats.append(x)
        b, c, h, w = x.shape
        group = min(group, b)
        while b % group:
            group -= 1
        y = x.float().view(group, -1, c, h, w)
        y = torch.sqrt(y.var(0, unbiased=False) + 1e-8).mean((1, 2, 3), keepdim=True)
        x = torch.cat((x, y.repeat(group, 1, h, w).to(x.dtype)), 1)
        x = self.last_conv(x)
        return self.score(self.last_dense(x.flatten(1)))[:, 0], feats
