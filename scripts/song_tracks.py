#!/usr/bin/env python3
"""Recorded and produced songs whose tempo is known, for evaluate_ears.py.

    python3 scripts/song_tracks.py --out WORK/songs

- The songs of Frets on Fire (Debian's `fretsonfire-songs-muldjord`, `fretsonfire-songs-sectoid`), recordings,
  with the tempo of their notes;
- the demonstrations that come with LMMS (Debian's `lmms`), rendered, with the tempo of the project.

The first minutes of each. Needs numpy, mido, ffmpeg, lmms. What is there already is not made again.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from evaluate_ears import beats_alone

FRETS = "/usr/share/games/fretsonfire/data/songs/*/*/notes.mid"
PROJECTS = "/usr/share/lmms/projects/*/**/*.mmp*"
# What an MP3 encoder puts before the songs of this author, and songs that could as well be half as fast.
DELAY_SECS = {"sectoid": 0.025}
AMBIGUOUS = ("armygeddon", "internal_degeneration")
PIECE_SECS, PIECES = 60, 2
QUIET = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}


def cut(inputs, name, bpm, out, first=0.0):
    """Minutes of the mix of some files, with a beat every 60/bpm seconds."""
    probe = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", inputs[0]]
    secs = float(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)
    for number in range(min(PIECES, int((secs + 30) // PIECE_SECS))):
        wav, start = f"{out}/{name}+{number}.wav", number * PIECE_SECS
        if os.path.exists(wav[:-4] + ".json"):
            continue
        length = min(PIECE_SECS, secs - start)
        files = [part for path in inputs for part in ("-ss", str(start), "-t", str(length), "-i", path)]
        mix = ["-filter_complex", f"amix=inputs={len(inputs)}:normalize=0,volume=-3dB"]
        subprocess.run(["ffmpeg", "-v", "error", "-y", *files, *mix, "-ar", "48000", "-c:a", "pcm_s16le", wav], check=True)
        beats = np.arange(0, secs, 60 / bpm) + first - start
        beats = [round(float(beat), 6) for beat in beats if 0 <= beat < length]
        with open(wav[:-4] + ".json", "w") as file:
            json.dump(beats_alone(beats, [bpm] * len(beats)), file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    os.makedirs(f"{args.out}/whole", exist_ok=True)
    import mido

    for path in sorted(glob.glob(FRETS)):
        folder = os.path.dirname(path)
        tempos = {event.tempo for track in mido.MidiFile(path, clip=True).tracks for event in track if event.type == "set_tempo"}
        if len(tempos) == 1 and os.path.basename(folder) not in AMBIGUOUS:
            parts = [f"{folder}/{part}.ogg" for part in ("song", "guitar", "rhythm", "drums") if os.path.exists(f"{folder}/{part}.ogg")]
            cut(parts, "frets-" + re.sub("[^a-z0-9]", "", os.path.basename(folder).lower()), 60e6 / tempos.pop(), args.out, DELAY_SECS.get(path.split("/")[-3], 0))
    for path in sorted(glob.glob(PROJECTS, recursive=True)):
        name = re.sub("[^a-z0-9]", "", os.path.basename(path).split(".mmp")[0].lower())
        dump = subprocess.run(["lmms", "--allowroot", "dump", path], env=QUIET, capture_output=True, text=True).stdout
        # An automated tempo is no number here.
        tempo = re.search(r'<head[^>]* bpm="([0-9.]+)"', dump)
        if "/tutorials/" in path or "/templates/" in path or not tempo or not re.search(r'timesig_numerator="4"', dump):
            continue
        whole = f"{args.out}/whole/{name}.wav"
        if not os.path.exists(whole):
            subprocess.run(["lmms", "--allowroot", "render", path, "-o", whole, "-f", "wav", "-s", "48000"], env=QUIET, capture_output=True, timeout=900)
        if os.path.exists(whole):
            cut([whole], f"lmms-{name}", float(tempo[1]), args.out)


if __name__ == "__main__":
    main()
