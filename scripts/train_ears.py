#!/usr/bin/env python3
"""Trains the small network of the ears, src/audio/network.rs, and writes its numbers.

    python3 scripts/ear_tracks.py --out /tmp/tracks    # and score_tracks.py, module_tracks.py, band_tracks.py
    for f in /tmp/tracks/*.wav; do target/release/bendwave analyze $f --hearing ${f%.wav}.hear --out /dev/null; done
    python3 scripts/train_ears.py --tracks /tmp/tracks --out src/audio/network.f16

It goes on where it was stopped: everything is kept after each epoch, in OUT.state. --again begins a new
schedule there, --grow goes on from the numbers alone, and --fast trains faster (ears_gru.py). Beside OUT, `--check`
writes what PyTorch makes of made-up input, which a test compares with the program's.
Needs numpy and torch; a CPU does. Kept back, to see how it goes and to choose the constants of the bar
pointer on: every tenth track, half of Freedoom's music, a third of Simutrans's, and Planet Blupi's.
"""
import argparse
import glob
import json
import math
import os
import re
import tempfile
import time
import zlib

import numpy as np
import torch
from torch import nn

FRAME_SECS = 512 / 48000
# As in network.rs.
INPUTS, PAST, WIDE, UNITS, UPPER = 69, 4, 64, 192, 128
GROUPS = INPUTS // 3
NAMES = ["onsets_secs", "beats_secs", "downbeats_secs", "kicks_secs", "snares_secs", "hats_secs"]
# Tempi in eighths of an octave, from LEAST_BPM. To tell the tempo is another task to learn by; the program does not ask.
TEMPI, LEAST_BPM = 16, 56
# Lanes of each process.
LANES, WINDOW = 24, 400
# So many tracks of an epoch are swung.
SWUNG = 0.2
# The share of units that is silent in training.
DROPPED = 0.05
# The beats are what is hardest to hear.
WEIGHTS = torch.tensor([1.0, 2.0, 2.0, 0.7, 0.7, 0.7, 0.1])


def targets(truth, frames, downbeats, tempo):
    """What should be told in each frame, and how much that counts. The last is the place of the tempo among the TEMPI."""
    now = (np.arange(frames) + 1) * FRAME_SECS
    want, weight = np.zeros((frames, 7), np.float32), np.ones((frames, 7), np.float32)
    beats = np.unique(truth.get("beats_secs") or [])
    weight[:, 6] = 0
    if tempo and len(beats) > 4:
        bpm = 60 / np.diff(beats)
        want[:, 6] = 8 * np.log2(np.interp(now, beats[1:], bpm) / LEAST_BPM) - 0.5
        weight[:, 6] = (now > beats[0] + 1) & (now < beats[-1] + 1)
    for k, name in enumerate(NAMES):
        times = truth.get(name)
        if times is None or (k == 2 and not downbeats):
            weight[:, k] = 0
            continue
        times = np.concatenate([[-9.0], np.sort(np.asarray(times, float)), [1e9]])
        # How long ago the last one was, of those that were at least `ago` seconds ago.
        since = lambda ago: now - times[np.searchsorted(times, now - ago, "right") - 1]
        if k in (1, 2):
            # The window fills 16 ms late.
            want[:, k] = np.exp(-0.5 * ((since(-0.03) - 0.016) / 0.009) ** 2)
        else:
            sure, near = since(0.006) < 0.038, since(-0.006)
            maybe = ((near < 0.006) | (near >= 0.038)) & (near < 0.064)
            want[:, k] = sure
            weight[:, k] = np.where(sure, 2, np.where(maybe, 0, 1))
    return want, weight


def kept_back(path):
    name = re.sub(r"~\d+", "", os.path.basename(path))
    if name.startswith("simple"):
        return False
    if name.startswith("simutrans"):
        return zlib.crc32(name.encode()) % 3 == 0
    return "blupi" in name or zlib.crc32(name.encode()) % (2 if name.startswith("freedoom-freedoom") else 10) == 0


def of_chance(path):
    """Whether score_tracks.py chose its tempo at random."""
    name = os.path.basename(path)
    return name.startswith("score-") and not name.startswith("score-pop")


def tells_tempo(path):
    """Whether its tempo says which level of the metre is the beat."""
    return not of_chance(path) and not os.path.basename(path).startswith(("nonsense", "simple"))


def load(folders):
    tracks = []
    for path in sorted(path for folder in folders for path in glob.glob(f"{folder}/*.hear")):
        rows = np.fromfile(path, "<f4").reshape(-1, INPUTS).astype(np.float16)
        truth = json.load(open(path[:-5] + ".json"))
        # The bars of these games' music do not always begin where the files say.
        bars = bool(truth["downbeats_secs"]) and not re.search("freedoom|blupi", path)
        tracks.append((path, rows, truth, (bars, tells_tempo(path))))
    return tracks


def swing(truth, dice):
    """Times and where they go when the eighths, or sixteenths, that are straight are swung; None where they are not."""
    beats = np.asarray(truth.get("beats_secs") or [])
    if len(beats) < 8:
        return None
    # Of modules the onsets are not known; their rows are straight.
    place = np.interp(truth.get("onsets_secs") or [], beats, np.arange(len(beats)), left=0, right=0)
    near = lambda low, high: int(((place % 1 > low) & (place % 1 < high)).sum())
    if truth.get("onsets_secs") and near(0.44, 0.56) < 4 + 3 * near(0.58, 0.72):
        return None
    late = dice.uniform(0.56, 0.69)
    within = np.array([0, late]) if dice.random() < 0.75 else np.array([0, late / 2, 0.5, 0.5 + late / 2])
    steps = np.arange(len(beats) - 1)[:, None]
    straight = np.append(steps + np.arange(len(within)) / len(within), len(beats) - 1)
    swung = np.append(steps + within, len(beats) - 1)
    # Outside of the beats nothing moves.
    ends = lambda times: np.concatenate([[beats[0] - 1e3], times, [beats[-1] + 1e3]])
    return tuple(ends(np.interp(places, np.arange(len(beats)), beats)) for places in (straight, swung))


def stretched(track, dice):
    """The track, played at another speed, and now and then swung."""
    _, rows, truth, known = track
    factor = float(np.exp(dice.uniform(-0.14, 0.14))) if dice.random() < 0.5 else 1.0
    moved = swing(truth, dice) if dice.random() < SWUNG else None
    frames = int(len(rows) * factor)
    at = np.arange(frames) / factor
    if moved:
        at = np.interp(at * FRAME_SECS, moved[1], moved[0]) / FRAME_SECS
        truth = {n: None if truth.get(n) is None else np.interp(truth[n], *moved).tolist() for n in NAMES}
    at = np.clip(at, 0, len(rows) - 1.001)
    low, part = at.astype(int), (at % 1)[:, None].astype(np.float32)
    rows = rows.astype(np.float32)
    rows = rows[low] * (1 - part) + rows[np.minimum(low + 1, len(rows) - 1)] * part
    # Another balance of the spectrum, and now and then without a part of it.
    tilt = np.interp(np.arange(GROUPS), [0, 7, 15, GROUPS - 1], dice.normal(0, 0.25, 4)).astype(np.float32)
    rows[:, :GROUPS] = np.maximum(rows[:, :GROUPS] * np.exp(tilt), 0)
    if dice.random() < 0.2:
        first = dice.integers(GROUPS)
        for row in range(3):
            rows[:, row * GROUPS + first : row * GROUPS + min(GROUPS, first + dice.integers(2, 6))] *= 0.2
    scaled = {n: None if truth.get(n) is None else [t * factor for t in truth[n]] for n in NAMES}
    return rows.astype(np.float32), *targets(scaled, frames, *known)


class Ears(nn.Module):
    def __init__(self, mean, std, gru):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.wide = nn.Conv1d(INPUTS, WIDE, PAST)
        self.lower = gru(WIDE, UNITS, batch_first=True)
        self.upper = gru(UNITS, UPPER, batch_first=True)
        self.out = nn.Linear(WIDE + UNITS + UPPER, 6 + TEMPI)

    def drop(self, x):
        """Some units of each track are silent, for all of a window."""
        if not self.training:
            return x
        return x * (torch.rand(len(x), 1, x.shape[2]) >= DROPPED) / (1 - DROPPED)

    def forward(self, rows, states=(None, None)):
        """`rows` begin PAST − 1 frames earlier than what comes out."""
        rows = (rows - self.mean) / self.std
        if self.training:
            rows = rows + 0.1 * torch.randn_like(rows)
        wide = self.drop(torch.relu(self.wide(rows.transpose(1, 2))).transpose(1, 2))
        lower, first = self.lower(wide, states[0])
        upper, second = self.upper(self.drop(lower), states[1])
        return self.out(torch.cat([wide, lower, upper], 2)), (first, second)

    def numbers(self):
        """In the order of network.rs; the mean and deviation of the inputs go into the first layer."""
        scaled = self.wide.weight / self.std[None, :, None]
        bias = self.wide.bias - (scaled * self.mean[None, :, None]).sum((1, 2))
        # The oldest frame first; a row for each input.
        yield scaled.permute(2, 1, 0)
        yield bias
        for gru in (self.lower, self.upper):
            for part in (gru.weight_ih_l0.T, gru.weight_hh_l0.T, gru.bias_ih_l0, gru.bias_hh_l0):
                yield part
        # The tempi are heard in training alone.
        yield self.out.weight[:6].T
        yield self.out.bias[:6]

    def write(self, path):
        with torch.no_grad():
            numbers = np.concatenate([part.contiguous().numpy().ravel() for part in self.numbers()])
        assert np.abs(numbers).max() < 1000
        numbers.astype("<f2").tofile(path)

    def grow(self, path, units, upper):
        """Goes on from the numbers of a network with so many units, or fewer than now; the new ones do nothing at first."""
        numbers = torch.tensor(np.fromfile(path, "<f2").astype(np.float32))

        def take(*shape):
            nonlocal numbers
            part, numbers = numbers.split([math.prod(shape), len(numbers) - math.prod(shape)])
            return part.reshape(shape)

        def put(into, part, rows):
            """[3 gates · rows, columns] into the same of more rows and columns."""
            into = into.view(3, -1, *into.shape[1:])
            part = part.view(3, rows, *part.shape[1:])
            if into.dim() == 3:
                into[:, :rows] = 0
                into[:, :rows, : part.shape[2]] = part
            else:
                into[:, :rows] = part

        with torch.no_grad():
            scaled = take(PAST, INPUTS, WIDE).permute(2, 1, 0)
            self.wide.weight.copy_(scaled * self.std[None, :, None])
            self.wide.bias.copy_(take(WIDE) + (scaled * self.mean[None, :, None]).sum((1, 2)))
            for gru, below, size in ((self.lower, WIDE, units), (self.upper, units, upper)):
                put(gru.weight_ih_l0, take(below, 3 * size).T.contiguous(), size)
                put(gru.weight_hh_l0, take(size, 3 * size).T.contiguous(), size)
                put(gru.bias_ih_l0, take(3 * size), size)
                put(gru.bias_hh_l0, take(3 * size), size)
            self.out.weight.zero_()
            for first, size in ((0, WIDE), (WIDE, units), (WIDE + UNITS, upper)):
                self.out.weight[:6, first : first + size] = take(size, 6).T
            self.out.bias[:6] = take(6)
        assert len(numbers) == 0, "a network of other sizes"


def write_check(model, path):
    """What comes out of 24 made-up frames, after silence."""
    rows = 1.5 * np.abs(np.sin(0.37 * np.arange(24 * INPUTS))).reshape(24, INPUTS).astype(np.float32)
    rows = np.concatenate([np.zeros((PAST - 1, INPUTS), np.float32), rows])
    model.eval()
    with torch.no_grad():
        told = torch.sigmoid(model(torch.tensor(rows)[None])[0][0, :, :6]).tolist()
    with open(path, "w") as file:
        file.write("[\n" + ",\n".join(f"  [{', '.join(f'{v:.5f}' for v in row)}]" for row in told) + "\n]\n")


def loss_of(told, want, weight):
    loss = nn.functional.binary_cross_entropy_with_logits(told[..., :6], want[..., :6], reduction="none")
    near = torch.softmax(-((torch.arange(TEMPI) - want[..., 6:].clamp(0, TEMPI - 1)) ** 2), -1)
    tempo = -(near * torch.log_softmax(told[..., 6:], -1)).sum(-1, keepdim=True)
    return (torch.cat([loss, tempo], -1) * weight).mean((0, 1))


def side_by_side(tracks):
    """Batches of whole tracks of about the same length; what is added at an end does not count."""
    for first in range(0, len(tracks), LANES):
        group = tracks[first : first + LANES]
        parts = [(t[1], *targets(t[2], len(t[1]), *t[3])) for t in group]
        length = len(parts[-1][0])
        padded = [np.stack([np.pad(p[i].astype(np.float32), ((0, length - len(p[i])), (0, 0))) for p in parts]) for i in range(3)]
        padded[0] = np.pad(padded[0], ((0, 0), (PAST - 1, 0), (0, 0)))
        yield *map(torch.tensor, padded), len(group)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", required=True, nargs="+")
    parser.add_argument("--out", required=True)
    parser.add_argument("--check", default="tests/fixtures/ears/network.json")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--rate", type=float, default=2e-3, help="of learning, at the beginning")
    parser.add_argument("--processes", type=int, default=1, help="that share each step")
    parser.add_argument("--fast", action="store_true", help="with the units of ears_gru.py")
    parser.add_argument("--grow", metavar="FILE,UNITS,UPPER", help="begin with these numbers, of a network with so many units")
    parser.add_argument("--again", action="store_true", help="count the minutes from now, not from the first start")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long, with the rate falling until then")
    args = parser.parse_args()
    if args.processes > 1:
        file = tempfile.NamedTemporaryFile(suffix=".meeting", delete=False).name
        os.remove(file)
        torch.multiprocessing.spawn(train, (args, file), nprocs=args.processes)
    else:
        train(0, args, None)


# Steps after which the processes agree.
MEET = 8
# Of the scores, whose tempi are of chance and so say little of which level of their metre is the beat,
# each is played in one epoch of so many.
SCORES = 2


def meet(model, processes):
    """The mean of all processes' numbers, in each."""
    if processes > 1:
        with torch.no_grad():
            flat = torch.cat([p.ravel() for p in model.parameters()])
            torch.distributed.all_reduce(flat)
            torch.nn.utils.vector_to_parameters(flat / processes, model.parameters())


def train(number, args, meeting):
    gru = nn.GRU
    if args.fast:
        from ears_gru import Gru as gru
    if meeting:
        torch.distributed.init_process_group("gloo", f"file://{meeting}", rank=number, world_size=args.processes)
    torch.set_num_threads(1)
    torch.manual_seed(1)
    tracks = load(args.tracks)
    used = [t for t in tracks if not kept_back(t[0])]
    every = np.concatenate([t[1][::7] for t in used]).astype(np.float32)
    model = Ears(every.mean(0), every.std(0) + 1e-3, gru)
    torch.manual_seed(1 + number)
    say = print if number == 0 else lambda *_, **__: None
    say(len(used), "tracks,", sum(p.numel() for p in model.parameters()), "numbers", flush=True)
    if args.grow:
        path, *sizes = args.grow.split(",")
        model.grow(path, *map(int, sizes))
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate, weight_decay=1e-3)
    started = time.time()
    held = sorted((t for t in tracks if kept_back(t[0])), key=lambda t: len(t[1]))[::2]
    checks = list(side_by_side(held)) if number == 0 else []
    first, before, kept = 0, 0.0, args.out + ".state"
    if os.path.exists(kept):
        saved = torch.load(kept)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        first, before = saved["epochs"], 0.0 if args.again else saved["secs"]
        say(f"going on after {first} epochs", flush=True)
    dice = np.random.default_rng([1, first])
    for epoch in range(first, args.epochs):
        drawn = [n for n in dice.permutation(len(used)) if not of_chance(used[n][0]) or (n + epoch) % SCORES == 0]
        order = drawn[number :: args.processes]
        room = PAST - 1 + int(1.17 * max(sum(len(used[n][1]) for n in order[lane::LANES]) for lane in range(LANES)))
        rows, want, weight = torch.zeros(LANES, room, INPUTS), torch.zeros(LANES, room, 7), torch.zeros(LANES, room, 7)
        ends = [PAST - 1] * LANES
        for i, n in enumerate(order):
            lane, parts = i % LANES, stretched(used[n], np.random.default_rng([3, epoch, n]))
            here = slice(ends[lane], ends[lane] + len(parts[0]))
            for whole, part in zip((rows, want, weight), parts):
                whole[lane, here] = torch.from_numpy(part)
            ends[lane] = here.stop
        frames = torch.tensor(min(ends) - PAST + 1)
        if meeting:
            torch.distributed.all_reduce(frames, torch.distributed.ReduceOp.MIN)
        frames = int(frames)
        want, weight = want[:, PAST - 1 :], weight[:, PAST - 1 :]
        model.train()
        states, total, steps = (None, None), 0, 0
        for start in range(0, frames - WINDOW, WINDOW):
            if steps % MEET == 0:
                way = torch.tensor(max(epoch / args.epochs, (before + time.time() - started) / 60 / args.minutes))
                if meeting:
                    torch.distributed.broadcast(way, 0)
                way = float(way)
            for group in optimiser.param_groups:
                group["lr"] = args.rate * min(1, (start + 1) / 5000 + epoch) * max(0.01, 0.5 + 0.5 * math.cos(math.pi * min(1, way)))
            told, states = model(rows[:, start : start + WINDOW + PAST - 1], states)
            states = tuple(state.detach() for state in states)
            window = slice(start, start + WINDOW)
            loss = loss_of(told, want[:, window], weight[:, window])
            optimiser.zero_grad()
            (loss * WEIGHTS).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            total, steps = total + loss.detach(), steps + 1
            if steps % MEET == 0:
                meet(model, args.processes)
        meet(model, args.processes)
        secs = before + time.time() - started
        if number == 0:
            model.eval()
            with torch.no_grad():
                check = sum(loss_of(model(r)[0], w, c) * n for r, w, c, n in checks) / sum(n for *_, n in checks)
            shown = lambda losses: " ".join(f"{v:.4f}" for v in losses.tolist())
            print(f"{epoch} {secs:.0f} s: {shown(total / steps)} | {shown(check)}", flush=True)
            model.write(args.out)
            write_check(model, args.check)
            saved = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "epochs": epoch + 1, "secs": secs}
            torch.save(saved, kept + ".new")
            os.replace(kept + ".new", kept)
        if way >= 1:
            break


if __name__ == "__main__":
    main()
