"""Measure a model against the drawing program: python training/measure.py

For generated pictures against drawn ones, and, as the floor, for two disjoint sets of drawn ones:

swd_R      sliced Wasserstein distance x1000 between 7x7 patches of the Laplacian pyramid level of
           size R (64 patches a picture, each colour normalised, 256 directions)
frechet    Fréchet distance of picture features; the extractor is the fixed random network below
           (three strided 5x5 convolutions, seed 1, mean and deviation of every map at every depth),
           so the number compares runs of this file and is not the usual FID
diversity  mean distance between 2000 pairs of pictures, pixels at 32x32 and features
twins      mean absolute pixel difference (range 2) between the generated and the drawn picture of
           the same seed, beside the same for unrelated pairs
smooth     along 32 arcs of 48 steps between two seeds: the mean of the largest step over the mean
           step (1 is perfectly even), and the mean step relative to the distance of unrelated pairs
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent))
import plain  # noqa: E402
from creatures import draw, latents, sheet  # noqa: E402
from network import Generator  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def load_generator(path):
    """The exported file in network.py's Generator, sized by its tensors."""
    tensors, average = plain.load(path)
    levels = sum(k.endswith(".bias") and k.startswith("to_rgbs.") and k.count(".") == 2 for k in tensors)
    widths = {4: tensors["input.input"].shape[1]}
    for i in range(levels):
        widths[8 << i] = tensors[f"convs.{2 * i}.conv.weight"].shape[1]
    depth = sum(k.startswith("style.") and k.endswith(".weight") for k in tensors)
    g = Generator(4 << levels, widths, tensors["style.1.weight"].shape[1], depth)
    g.load_state_dict({**tensors, "latent_avg": average})
    return g.eval()


class Extractor:
    def __init__(self):
        rng = torch.Generator().manual_seed(1)
        self.kernels = []
        for n_in, n_out in ((3, 32), (32, 48), (48, 64)):
            self.kernels.append(torch.randn(n_out, n_in, 5, 5, generator=rng) / math.sqrt(n_in * 25))

    def __call__(self, x):
        x, found = F.interpolate(x, size=(64, 64), mode="bilinear", antialias=True, align_corners=False), []
        for k in self.kernels:
            x = F.relu(F.conv2d(x, k, stride=2, padding=2)) * 1.6
            found += [x.mean((2, 3)), x.std((2, 3))]
        return torch.cat(found, 1)


def frechet(a, b):
    a, b = a.double().numpy(), b.double().numpy()
    ca, cb = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(ca)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cb @ root).clip(0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * cross)


def pyramid(x):
    levels = []
    while x.shape[-1] > 16:
        low = F.avg_pool2d(x, 2)
        levels.append((x.shape[-1], x - F.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)))
        x = low
    return levels + [(x.shape[-1], x)]


def patches(x, rng, per_picture=64):
    b, c, h, w = x.shape
    every = x.unfold(2, 7, 1).unfold(3, 7, 1)
    ys = torch.randint(h - 6, (b, per_picture), generator=rng)
    xs = torch.randint(w - 6, (b, per_picture), generator=rng)
    got = every[torch.arange(b)[:, None], :, ys, xs].reshape(-1, c, 49)
    return got


def sliced(a, b):
    """{size: distance} over the pyramid levels."""
    rng = torch.Generator().manual_seed(2)
    out = {}
    for (size, x), (_, y) in zip(pyramid(a), pyramid(b)):
        p, q = patches(x, rng), patches(y, rng)
        mean, dev = q.mean((0, 2), keepdim=True), q.std((0, 2), keepdim=True)
        p, q = ((p - mean) / dev).flatten(1), ((q - mean) / dev).flatten(1)
        directions = torch.randn(p.shape[1], 256, generator=rng)
        directions /= directions.norm(dim=0)
        p, q = (p @ directions).sort(0).values, (q @ directions).sort(0).values
        out[size] = round(float((p - q).abs().mean()) * 1000, 1)
    return out


def spread(x, rng):
    n = x.shape[0]
    i, j = torch.randint(n, (2, 2000), generator=rng)
    keep = i != j
    return float((x[i[keep]] - x[j[keep]]).flatten(1).norm(dim=1).mean())


def smoothness(picture, extract, unrelated):
    worst, mean = [], []
    for k in range(32):
        a, b = latents([50_000 + 2 * k, 50_001 + 2 * k])
        angle = torch.arccos((a @ b / a.norm() / b.norm()).clamp(-1, 1))
        t = torch.linspace(0, 1, 49)[:, None]
        walk = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
        steps = extract(picture(walk)).diff(dim=0).norm(dim=1)
        worst.append(float(steps.max() / steps.mean()))
        mean.append(float(steps.mean()) / unrelated)
    return {"worst_over_mean": round(float(np.mean(worst)), 3), "mean_step": round(float(np.mean(mean)), 4)}


@torch.no_grad()
def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", default=str(ROOT / "models/default/checkpoint.pt"))
    ap.add_argument("--count", type=int, default=1024, help="pictures in each set")
    ap.add_argument("--out", default=str(ROOT / "models/default/measured.json"))
    ap.add_argument("--sheet", help="also write a contact sheet of 64 seeds, untouched")
    a = ap.parse_args()
    began = time.time()
    g = load_generator(a.model)
    size, extract, rng = g.size, Extractor(), torch.Generator().manual_seed(3)
    make = lambda z: g(z, fixed_noise=True).clamp(-1, 1)
    paint = lambda z: draw(z, size)
    batched = lambda f, z: torch.cat([f(part) for part in z.split(32)])
    n = a.count
    z_a, z_b = latents(range(10_000, 10_000 + n)), latents(range(30_000, 30_000 + n))
    fake, drawn_a, drawn_b = batched(make, z_a), batched(paint, z_a), batched(paint, z_b)
    f_fake, f_a, f_b = (batched(extract, x) for x in (fake, drawn_a, drawn_b))
    small = lambda x: F.adaptive_avg_pool2d(x, 32)
    unrelated = spread(f_b, rng)
    report = {"size": size, "pictures_a_set": n, "gflop_a_picture": round(g.flops() / 1e9, 3)}
    for name, x, f in (("generated", fake, f_fake), ("floor", drawn_a, f_a)):
        report[name] = {**{f"swd_{k}": v for k, v in sliced(x, drawn_b).items()},
                        "frechet": round(frechet(f, f_b), 4),
                        "diversity_pixels": round(spread(small(x), rng), 3),
                        "diversity_features": round(spread(f, rng), 3)}
    report["twins"] = {"same_seed": round(float((fake - drawn_a).abs().mean()), 4),
                       "unrelated": round(float((fake - drawn_b).abs().mean()), 4)}
    report["smooth_generated"] = smoothness(make, extract, unrelated)
    report["smooth_drawn"] = smoothness(paint, extract, unrelated)
    report["seconds"] = round(time.time() - began)
    Path(a.out).write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    if a.sheet:
        from PIL import Image
        Path(a.sheet).parent.mkdir(parents=True, exist_ok=True)
        page = Image.fromarray(sheet(make(latents(range(64))), 8))
        scale = max(1, 96 // size)
        page.resize((page.width * scale, page.height * scale), Image.BICUBIC).save(a.sheet)


if __name__ == "__main__":
    main()
