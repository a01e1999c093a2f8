"""Checks of this folder: python training/test_training.py [--checkpoint FILE --reference NPZ]

With --reference, the plain forward is also held against pictures that another implementation made
from a rosinality checkpoint (arrays z, img_noise_const or img_noise_none)."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import export  # noqa: E402
import plain  # noqa: E402
from creatures import draw, latents  # noqa: E402
from network import Generator, cut  # noqa: E402
from train import Trainer  # noqa: E402

HERE = Path(__file__).resolve().parent


def test_pictures_are_deterministic_and_masks_sum_to_one():
    a, parts = draw(latents([3, 4]), 64, masks=True)
    b = draw(latents([4]), 64)
    assert torch.equal(a[1:], b), "a picture depends only on its own seed"
    assert a.min() >= -1 and a.max() <= 1
    assert (parts.sum(1) - 1).abs().max() < 1e-5


def test_a_window_is_a_part_of_the_picture():
    torch.manual_seed(0)
    g, z, size, side = Generator(256), latents([0, 1, 2]), 256, 128
    for p in g.parameters():
        if p.shape != (1,):                                  # noise strengths stay 0
            p.data += 0.1 * torch.randn_like(p)
    tops, lefts = [0, 48, 128], [128, 20, 0]                 # at the edges and inside
    part = lambda x: cut(x, tops, lefts, side)
    drawn, masks = draw(z, size, masks=True)
    again, masks_again = draw(z, size, masks=True, window=(tops, lefts, side))
    assert (part(drawn) - again).abs().max() < 1e-4 and (part(masks) - masks_again).abs().max() < 1e-4
    with torch.no_grad():
        w = g.mapping(z)
        picture = g.synthesis(w, size)
        worst = lambda a: float((part(picture) - a).abs().max() / picture.abs().max())
        for whole in (64, 128):
            k = size // whole
            window, small = g.windows(w, size, tops, lefts, side, whole)
            assert worst(window) < 1e-5, worst(window)
            assert worst(window.roll(1, 2)) > 1e-2, "a shift by a pixel must be noticed"
            coarse = cut(g.synthesis(w, whole), [t // k for t in tops], [l // k for l in lefts], side // k)
            assert torch.equal(small, coarse)


def test_frozen_layers_stay():
    """A step on windows moves the finest layers and nothing below."""
    recipe = json.loads((HERE / "recipe.json").read_text())
    stage = next(s for s in recipe["stages"] if s.get("frozen"))
    recipe["stages"] = [{**stage, "batch": 2}]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(folder, recipe, torch.device("cpu"))
        before = {k: v.clone() for k, v in trainer.g.named_parameters()}
        trainer.train_step()
        moved = {k for k, v in trainer.g.named_parameters() if not torch.equal(v, before[k])}
    fine = {k for k in before if k.startswith(("convs.10.", "convs.11.", "to_rgbs.5."))}
    assert moved <= fine and len(moved) > len(fine) / 2, moved ^ fine


def test_plain_forward_equals_network():
    torch.manual_seed(0)
    g = Generator(32)
    for p in g.parameters():
        p.data += 0.1 * torch.randn_like(p)                  # biases and noise strengths away from 0
    z = latents([0, 1])
    with torch.no_grad():
        ours = g(z, fixed_noise=True)
        t = {k: v for k, v in g.state_dict().items()}
        theirs = plain.synthesis(t, plain.mapping(t, z))
    assert (ours - theirs).abs().max() < 2e-4 * ours.abs().max(), (ours - theirs).abs().max()


def test_export_equals_average(size=32):
    """Through the file: what export.py writes, plainly run, is the averaged network's picture."""
    recipe = json.loads((HERE / "recipe.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(folder, recipe, torch.device("cpu"))
        trainer.train_step()
        trainer.save()
        argv = sys.argv
        sys.argv = ["export", "--state", f"{folder}/state.pt", "--out", f"{folder}/c.pt", "--size", str(size),
                    "--resume-state", f"{folder}/r.pt"]
        try:
            export.main()
        finally:
            sys.argv = argv
        t, _ = plain.load(f"{folder}/c.pt")
        again = Trainer(folder, recipe, torch.device("cpu"))
        again.load(f"{folder}/r.pt")
        z = latents(range(4))
        with torch.no_grad():
            want = trainer.ema(z, size, fixed_noise=True)
            got = plain.synthesis(t, plain.mapping(t, z))
        assert got.shape[-1] == size
        assert (want - got).abs().mean() < 5e-3, (want - got).abs().mean()
        again.train_step()


def test_stopping_changes_nothing():
    """Two steps straight, and one step, save, load, one step, end in the same weights."""
    recipe = json.loads((HERE / "recipe.json").read_text())
    recipe["stages"] = [dict(recipe["stages"][3], size=16, batch=4)]
    with tempfile.TemporaryDirectory() as folder:
        cpu = torch.device("cpu")
        straight = Trainer(folder, recipe, cpu)
        straight.train_step()
        straight.save()
        straight.train_step()
        stopped = Trainer(folder, recipe, cpu)
        stopped.load(f"{folder}/state.pt")
        stopped.train_step()
        for (k, a), b in zip(straight.ema.state_dict().items(), stopped.ema.state_dict().values()):
            assert (a - b).abs().max() < 1e-3 * max(1.0, float(a.abs().max())), k


def test_against_reference(checkpoint, reference):
    t, _ = plain.load(checkpoint)
    ref = np.load(reference)
    z = torch.from_numpy(ref["z"]).float()
    with torch.no_grad():
        for key, use in (("img_noise_const", True), ("img_noise_none", False)):
            if key in ref:
                worst = (plain.synthesis(t, plain.mapping(t, z), use) - torch.from_numpy(ref[key])).abs().max()
                print(f"{key}: {float(worst):.2e}")
                assert worst < 1e-3


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--checkpoint")
    ap.add_argument("--reference")
    a = ap.parse_args()
    for name, test in list(globals().items()):
        if name.startswith("test_") and name != "test_against_reference":
            test()
            print(f"{name}: ok")
    if a.checkpoint and a.reference:
        test_against_reference(a.checkpoint, a.reference)


if __name__ == "__main__":
    main()
