#!/usr/bin/env python3
"""Tracks from the tracker modules of games, to train the ears' network on; none is in a set that is reported.

    python3 scripts/module_tracks.py --out /tmp/modules

A module is a score for samples: the time of each of its rows is known, and four rows are a beat, or eight where
those would be faster than 160 bpm and the odd ones are all but empty. Each is rendered as it is and twice from
somewhere else, at another speed and pitch. Left out: those with patterns in another metre, and short ones.

Debian has them in games' packages, which are unpacked in --out and not installed; `apt-get download` fetches them.
Needs numpy, ffmpeg, libopenmpt0, dpkg. What is there already is not made again.
"""
import argparse
import ctypes
import glob
import gzip
import json
import os
import random
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ear_tracks import effects, unpack
from evaluate_ears import beats_alone

PACKAGES = """pingus-data tecnoballz-data pekka-kana-2-data heroes-sound-tracks gl-117-data freedroid-data biniax2-data
flobopuyo rafkill-data bomberclone-data rockdodger pachi-data madbomber-data circuslinux-data open-invaders-data gemdropx
vodovod tuxtype-data tuxmath-data ri-li-data penguin-command njam-data bb solarwolf dodgindiamond2 bugsquish vor
vectoroids monsterz-data pathogen""".split()
RATE, STEP, TRACK_SECS, LEAST_SECS = 48000, 96, 45, 25
FASTEST_BPM = 160
# Rows of a pattern in four.
LENGTHS = {16, 32, 64, 128}


class Module:
    """A module that plays, by libopenmpt."""

    library = None

    def __init__(self, data):
        if Module.library is None:
            Module.library = ctypes.CDLL("libopenmpt.so.0")
            for name in ("get_duration_seconds", "set_position_seconds"):
                getattr(Module.library, f"openmpt_module_{name}").restype = ctypes.c_double
            Module.library.openmpt_module_create_from_memory2.restype = ctypes.c_void_p
            Module.library.openmpt_module_read_interleaved_stereo.restype = ctypes.c_size_t
            Module.library.openmpt_module_get_pattern_row_channel_command.restype = ctypes.c_uint8
        made = Module.library.openmpt_module_create_from_memory2(data, ctypes.c_size_t(len(data)), *[None] * 7)
        if not made:
            raise ValueError("no module")
        self.pointer = ctypes.c_void_p(made)
        self("set_repeat_count", -1)

    def __call__(self, name, *arguments):
        return getattr(Module.library, f"openmpt_module_{name}")(self.pointer, *arguments)

    def factor(self, name, value):
        self("ctl_set", f"play.{name}_factor".encode(), f"{value:.4f}".encode())

    def play(self, secs):
        """Samples, and of each row the time, its number, its pattern's length, and the notes that begin in it."""
        buffer, rows, sound, at, last = (ctypes.c_int16 * (2 * STEP))(), [], [], 0, None
        channels = self("get_num_channels")
        while at < secs * RATE:
            got = self("read_interleaved_stereo", RATE, ctypes.c_size_t(STEP), buffer)
            if not got:
                break
            place = (self("get_current_order"), self("get_current_row"))
            if place != last:
                pattern, last = self("get_current_pattern"), place
                notes = sum(0 < self("get_pattern_row_channel_command", pattern, place[1], c, 0) <= 120 for c in range(channels))
                rows.append((at / RATE, place[1], self("get_pattern_num_rows", pattern), notes))
            sound.append(np.frombuffer(buffer, "<i2", 2 * got).copy())
            at += got
        return np.concatenate(sound), np.array(rows)


def rows_of_beat(rows):
    """Rows in a beat, or None."""
    times, row, lengths, notes = rows.T
    bpm = 60 / (4 * np.median(np.diff(times)))
    if not set(lengths.astype(int)) <= LENGTHS or notes.sum() < 40:
        return None
    odd = notes[row % 2 == 1].mean() / max(1e-9, notes[row % 2 == 0].mean())
    beat = 8 if bpm > FASTEST_BPM and (odd < 0.15 or bpm > 205) else 4
    return beat if 56 < 4 * bpm / beat < 210 else None


def make(job):
    path, name, out, seed = job
    dice = random.Random(seed)
    try:
        data = open(path, "rb").read()
        data = gzip.decompress(data) if path.endswith(".gz") else data
        for number in range(3):
            stem = f"{out}/{name}{f'~{number}' if number else ''}"
            if os.path.exists(stem + ".json"):
                continue
            module = Module(data)
            long = module("get_duration_seconds")
            if long < LEAST_SECS:
                return
            if number:
                module.factor("tempo", np.exp(dice.uniform(-0.16, 0.16)))
                module.factor("pitch", 2 ** dice.uniform(-0.3, 0.3))
                module("set_position_seconds", ctypes.c_double(dice.uniform(0, 0.6) * long))
            sound, rows = module.play(TRACK_SECS)
            beat = rows_of_beat(rows)
            if beat is None or np.abs(sound[len(sound) // 4 :]).max() < 500:
                print(f"left out: {name}: {sorted(set(rows[:, 2].astype(int).tolist()))} rows", flush=True)
                return
            command = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", str(RATE), "-ac", "2", "-i", "-"]
            subprocess.run([*command, *(["-af", effects(dice)] if number else []), stem + ".wav"], input=sound.tobytes(), check=True)
            # A module may begin, or be entered, within a row.
            times, row = rows[1:, 0], rows[1:, 1]
            beats, bars = times[row % beat == 0], times[row % (4 * beat) == 0]
            truth = beats_alone(beats.tolist(), (60 / np.diff(beats)).tolist(), bars.tolist())
            with open(stem + ".json", "w") as file:
                json.dump(truth, file)
    except Exception as error:
        print(f"left out: {path}: {error!r}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    dice, jobs, seen = random.Random(args.seed), [], set()
    for package in PACKAGES:
        folder = os.path.join(args.out, "packages", package)
        if not os.path.isdir(folder):
            unpack(package, folder + ".part")
            os.rename(folder + ".part", folder)
        for path in sorted(glob.glob(f"{folder}/**/*", recursive=True)):
            found = re.search(r"([^/]+)\.(mod|xm|s3m|it)(\.gz)?$", path, re.I)
            if found and os.path.isfile(path):
                name = re.sub("[^a-z0-9]+", "-", f"module-{package.removesuffix('-data')}-{found[1]}".lower())
                body = open(path, "rb").read()
                if body not in seen:
                    seen.add(body)
                    jobs.append((path, name, args.out, dice.random()))
    with ProcessPoolExecutor(args.processes) as pool:
        list(pool.map(make, jobs))


if __name__ == "__main__":
    main()
