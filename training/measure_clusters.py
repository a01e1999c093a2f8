"""What a cluster file's clusters do to the parts of the drawn creatures:

    python training/measure_clusters.py models/default/clusters.yaml

The drawing program knows where each part of a seed's picture is (`creatures.py`, part masks), and the
generated picture of the same seed is nearly its twin. Every cluster is ablated, and the mean change
of the picture within a part (share of its range, weighted by the mask) is compared with the mean
change of the rest. Reads the file with PyYAML and bends in PyTorch: no line of bendwave's runs.

For each part two clusters are named: the one with the greatest ratio of those that change the part by
at least 2 % of the range, and the one that changes the part most, whatever else it changes.
"""

import argparse
import sys
from pathlib import Path

import torch
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from creatures import PARTS, draw, latents  # noqa: E402
from measure import ROOT, load_generator  # noqa: E402

LEAST = 0.02


def layers_of(generator):
    count = 2 * (generator.size.bit_length() - 3) + 1
    return [generator.conv1, *generator.convs][:count]


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clusters", type=Path)
    parser.add_argument("--model", type=Path, default=ROOT / "models/default/checkpoint.pt")
    parser.add_argument("--pictures", type=int, default=64)
    args = parser.parse_args()
    generator = load_generator(args.model)
    clusters = yaml.safe_load(args.clusters.read_text())
    cut = {}

    def hook(layer):
        def bend(_module, _inputs, out):
            if layer not in cut:
                return None
            out = out.clone()
            out[:, cut[layer]] = 0
            return out
        return bend

    for layer, module in enumerate(layers_of(generator)):
        module.register_forward_hook(hook(layer))
    z = latents(range(args.pictures))
    _, masks = draw(z, generator.size, masks=True)
    show = lambda: generator(z, fixed_noise=True).clamp(-1, 1)
    before = show()
    within = masks.sum((0, 2, 3))
    outside = (1 - masks).sum((0, 2, 3))
    rows = []
    for layer, entries in clusters.items():
        names = {e["cluster_index"]: e["name"] for e in entries if "name" in e}
        for index in sorted({e["cluster_index"] for e in entries}):
            cut = {layer: [e["feature_index"] for e in entries if e["cluster_index"] == index]}
            change = (show() - before).abs().mean(1, keepdim=True) / 2
            inside = (change * masks).sum((0, 2, 3)) / within
            rest = (change * (1 - masks)).sum((0, 2, 3)) / outside
            rows.append((layer, index, names.get(index, ""), inside, inside / rest))
    print("| part | cluster | changes the part by | rest × | | changes it most | by | rest × |")
    print("|---|---|---|---|---|---|---|---|")
    above = 0
    for part, name in enumerate(PARTS):
        seen = [r for r in rows if r[3][part] >= LEAST] or rows
        best = max(seen, key=lambda r: r[4][part])
        most = max(rows, key=lambda r: r[3][part])
        above += best[4][part] > 3
        cell = lambda r: (f"layer {r[0]} cluster {r[1]}, {r[2]} | {100 * r[3][part]:.1f} % | "
                          f"{r[4][part]:.1f}")
        print(f"| {name} | {cell(best)} | | {cell(most)} |")
    print(f"\n{above} of {len(PARTS)} parts with a ratio above 3")


if __name__ == "__main__":
    main()
