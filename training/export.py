"""Write a trained generator as models/default/checkpoint.pt: fp16 tensors, rosinality's names.

    python training/export.py --state RUN_FOLDER/state.pt [--out FILE] [--size N]
    python training/export.py --state RUN_FOLDER/state.pt --resume-state training/state/resume.pt

The second form also keeps what training needs to go on: the averaged generator and the
discriminator in fp16, without optimiser moments.
"""

import argparse
import collections
import hashlib
import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from train import stage_at  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def plain(tensors):
    """A bare OrderedDict of contiguous fp16 tensors, each with its own storage."""
    return collections.OrderedDict((k, v.detach().half().contiguous().clone()) for k, v in tensors.items())


def cut(tensors, size):
    """The generator's tensors up to the given resolution."""
    levels = size.bit_length() - 3                         # 8 -> 1, 16 -> 2, ...
    kept = {}
    for key, value in tensors.items():
        head, _, rest = key.partition(".")
        if head == "latent_avg":
            continue
        if head == "convs" and int(rest.split(".")[0]) >= 2 * levels:
            continue
        if head == "to_rgbs" and int(rest.split(".")[0]) >= levels:
            continue
        if head == "noises" and int(rest.split("_")[1]) > 2 * levels:
            continue
        kept[key] = value
    return kept


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--state", required=True)
    ap.add_argument("--out", default=str(ROOT / "models/default/checkpoint.pt"))
    ap.add_argument("--size", type=int, help="resolution; the one in training unless told")
    ap.add_argument("--resume-state", help="also write a small state to go on from")
    a = ap.parse_args()
    state = torch.load(a.state, map_location="cpu", weights_only=True)
    ema = state["g_ema"]
    size = a.size or state.get("size") or stage_at(state["recipe"], state["seen"])[0]["size"]
    out = Path(a.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"g_ema": plain(cut(ema, size)), "latent_avg": ema["latent_avg"].half()}, out)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    print(json.dumps({"size": size, "seen": state["seen"], "seconds": round(state["seconds"]),
                      "bytes": out.stat().st_size, "sha256": digest}))
    if a.resume_state:
        keep = Path(a.resume_state)
        keep.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"g_ema": plain(ema), "d": plain(state["d"]), "step": state["step"],
                    "seen": state["seen"], "seconds": state["seconds"], "size": state.get("size")}, keep)
        print(f"{keep}: {keep.stat().st_size} bytes")


if __name__ == "__main__":
    main()
