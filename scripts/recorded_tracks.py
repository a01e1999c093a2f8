#!/usr/bin/env python3
"""Tracks from the recorded music of games, to train the ears' network on; none is in a set that is reported.

    python3 scripts/recorded_tracks.py --out /tmp/recorded --net src/audio/network.f16,192,128

Nobody has written down where the beats of this music are; but most of it was made with a sequencer, and over minutes a
steady beat is easier to find than from the last seconds alone. In each of the first minutes the comb of equal steps is
sought that gathers most of what a network hears as beats (that of --net, or the mean of several); minutes are kept that
found, each for itself, the same tempo within a thousandth and the same steps, with little between them. So the network
learns of recordings where its errors are those of a moment. Bars, onsets and drums are unknown.

Debian has the music in games' packages, which are unpacked in --out and not installed; `apt-get download` fetches them.
Needs numpy, torch, ffmpeg, dpkg, and bendwave. What is there already is not made again.
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ear_tracks import unpack
from evaluate_ears import beats_alone
from train_ears import FRAME_SECS, INPUTS, PAST, Ears

PACKAGES = """nexuiz-music warzone2100-music hyperrogue-music singularity-music asc-music fb-music-high tomatoes-data
pushover-data openarena-data xmoto-data extremetuxracer-data hedgewars-data lincity-ng-data colobot-common-sounds
boswars-data marsshooter-data wesnoth-1.16-music starfighter-data glob2-data ardentryst lugaru-data powermanga-data
trigger-rally-data supertuxkart-data ufoai-music freedroidrpg-data megaglest-data redeclipse-data naev-data supertux-data
widelands-data warmux-data sdl-ball-data berusky2-data wizznic-data fillets-ng-data unknown-horizons plee-the-bear-data
davegnukem-data flare-game amoebax-data openclonk-data kgoldrunner trackballs-data neverball-common enigma-data
torus-trooper-data mu-cade-data gunroar-data titanion-data a7xpg-data val-and-rick-data gigalomania-data scorched3d-data
cube2-data csmash-demosong caveexpress-data hex-a-hop-data blockout2 pathological wordwarvi-sound seahorse-adventures
drascula-music pink-pony-data torcs-data angrydd""".split()
SOUNDS = (".ogg", ".oga", ".mp3", ".opus", ".flac")
# Shorter ones are effects.
LEAST_BYTES, PIECE_SECS, PIECES = 400_000, 60, 3
BPM = (66, 190)
# Of the frames around the steps, the mean of how likely the network finds a beat there.
LEAST_HEARD = 0.08
# And this share of it, at most, around the middles between the steps, lest the beat is there.
MOST_BETWEEN = 0.5


def unpacked(package, folder):
    """The package's sounds, also those in its archives, in one folder."""
    if os.path.isdir(folder):
        return
    part = folder + ".part"
    os.makedirs(part, exist_ok=True)
    with tempfile.TemporaryDirectory() as whole:
        try:
            unpack(package, whole)
        except subprocess.CalledProcessError:
            print(f"left out: {package}", file=sys.stderr)
            return
        for path in glob.glob(f"{whole}/**/*.pk3", recursive=True):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if name.lower().endswith(SOUNDS):
                        archive.extract(name, whole)
        for path in glob.glob(f"{whole}/**/*", recursive=True):
            if path.lower().endswith(SOUNDS) and os.path.isfile(path) and os.path.getsize(path) >= LEAST_BYTES:
                shutil.copy(path, part)
    os.rename(part, folder)


def comb(beat):
    """Tempo in bpm and the first beat in seconds of the equal steps that gather most; and what lies on them and between."""
    now, best = (np.arange(len(beat)) + 1) * FRAME_SECS, (0.0,)
    sharp = beat - beat.mean()
    for bpm in np.exp(np.arange(np.log(BPM[0]), np.log(BPM[1]), 2.5e-4)):
        turns = now * bpm / 60 % 1
        bins = max(8, int(60 / bpm / 0.02))
        sums = np.bincount((turns * bins).astype(int) % bins, sharp, bins)
        sums = sums + 0.5 * (np.roll(sums, 1) + np.roll(sums, -1))
        # Twice as many steps gather more, and more that is between.
        gathered = sums.max() / np.sqrt(bpm)
        if gathered > best[0]:
            place = int(sums.argmax())
            near = (turns * bins - place + bins / 2) % bins - bins / 2
            on = np.abs(near) <= 1.5
            middle = float(np.average(near[on], weights=beat[on] + 1e-6))
            between = np.abs((turns * bins - place) % bins - bins / 2) <= 1.5
            best = gathered, bpm, (place + middle) / bins * 60 / bpm, beat[on].mean(), beat[between].mean()
    return best[1:]


def same(one, other):
    """Whether combs, as (bpm, first beat in the whole piece), are of one pulse."""
    turns = (other[1] - one[1]) * (one[0] + other[0]) / 120
    return abs(one[0] / other[0] - 1) < 1e-3 and abs(turns - round(turns)) < 0.12


@lru_cache(None)
def network(spec):
    """The network of FILE,UNITS,UPPER."""
    file, *sizes = spec.split(",")
    net = Ears(np.zeros(INPUTS, np.float32), np.ones(INPUTS, np.float32), torch.nn.GRU)
    net.grow(file, *map(int, sizes))
    return net.eval()


def heard(networks, rows):
    with torch.no_grad():
        rows = torch.tensor(np.concatenate([np.zeros((PAST - 1, INPUTS), np.float32), rows]))[None]
        return np.mean([torch.sigmoid(net(rows)[0][0, :, 1]).numpy() for net in networks], 0)


def make(job):
    path, stem, args = job
    if os.path.exists(stem + ".done"):
        return
    torch.set_num_threads(1)
    try:
        networks = [network(spec) for spec in args.net]
        probe = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path]
        secs = float(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)
        pieces = []
        for number in range(min(PIECES, int((secs - 5) // PIECE_SECS))):
            wav, start = f"{stem}+{number}.wav", number * PIECE_SECS + (5 if number == 0 else 0)
            cut = ["-ss", str(start), "-t", str(PIECE_SECS), "-i", path, "-ac", "1", "-ar", "48000"]
            subprocess.run(["ffmpeg", "-v", "error", "-y", *cut, wav], check=True)
            hearing = wav[:-4] + ".hear.part"
            subprocess.run([args.bendwave, "analyze", wav, "--hearing", hearing, "--out", os.devnull], check=True, capture_output=True)
            bpm, first, on, between = comb(heard(networks, np.fromfile(hearing, "<f4").reshape(-1, INPUTS)))
            # The window fills 16 ms late.
            pieces.append((bpm, first - 0.016 + start, on, between, start, wav))
            print(f"{os.path.basename(wav)}: {bpm:.2f} bpm, {on:.2f} on it, {between:.2f} between", flush=True)
        steady = [p for p in pieces if sum(same(p, other) for other in pieces) >= 2]
        on, between = (sum(p[n] for p in steady) / max(1, len(steady)) for n in (2, 3))
        clear = on >= LEAST_HEARD and between <= MOST_BETWEEN * on
        for piece in pieces:
            bpm, first, _, _, start, wav = piece
            if not clear or piece not in steady:
                os.remove(wav), os.remove(wav[:-4] + ".hear.part")
                continue
            beats = np.arange((first - start) % (60 / bpm), PIECE_SECS, 60 / bpm)
            truth = beats_alone(beats.tolist(), [bpm] * len(beats))
            with open(wav[:-4] + ".json", "w") as file:
                json.dump(truth, file)
            os.rename(wav[:-4] + ".hear.part", wav[:-4] + ".hear")
        open(stem + ".done", "w").close()
    except Exception as error:
        print(f"left out: {path}: {error!r}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--net", required=True, action="append", metavar="FILE,UNITS,UPPER", help="a network's numbers")
    parser.add_argument("--bendwave", default="target/release/bendwave")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    jobs = []
    for package in PACKAGES:
        folder = os.path.join(args.out, "packages", package)
        unpacked(package, folder)
        for path in sorted(glob.glob(f"{folder}/*")):
            name = re.sub("[^a-z0-9]+", "-", f"recorded-{package.removesuffix('-data')}-{os.path.basename(path).rsplit('.', 1)[0]}".lower())
            jobs.append((path, f"{args.out}/{name}", args))
    with ProcessPoolExecutor(args.processes) as pool:
        list(pool.map(make, jobs))


if __name__ == "__main__":
    main()
