#!/usr/bin/env python3
"""The MIDI files of ear_tracks.py, played by other bands, to train the ears' network on.

    python3 scripts/band_tracks.py --tracks /tmp/tracks --out /tmp/bands [--font MORE.sf2]

A network that has heard a few soundfonts knows their drums, not drums. Here each voice has a soundfont of its own
or is a synthesiser of chance, the drums are a kit of Hydrogen's or LMMS's (Debian's `hydrogen-data`,
`hydrogen-drumkits`, `lmms-common`), a drum machine of chance or a soundfont's, and each voice has another level.
The truths are those of the tracks.

Needs numpy, mido, ffmpeg, fluidsynth. What is there already is not made again.
"""
import argparse
import glob
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
import zlib
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ear_tracks import FONTS, effects, is_game

RATE = 48000
KITS = "/usr/share/hydrogen/data/drumkits/*/drumkit.xml"
SINGLE = "/usr/share/lmms/samples/drums/*.ogg"
# The drums of General MIDI, by what they are.
DRUMS = {
    "kick": [35, 36], "rim": [37, 75, 76, 77], "snare": [38, 40], "clap": [39], "closed": [42, 54, 69, 70, 82], "pedal": [44],
    "open": [46], "tom": [41, 43, 45, 47, 48, 50, 60, 61, 62, 63, 64, 65, 66], "crash": [49, 52, 55, 57], "ride": [51, 53, 59],
    "bell": [56, 67, 68, 80, 81],
}
CALLED = [
    ("pedal", r"pedal|foot|hhp"), ("open", r"open|ohh|hhat.*open|hho"), ("closed", r"hat|hh|shaker|tamb|maraca|cabasa"), ("kick", r"kick|bass ?-?dr|^bd|bassdrum"),
    ("rim", r"rim|stick|side|clav|wood"), ("clap", r"clap|hand"), ("snare", r"snare|^sn|^sd"), ("crash", r"crash|china|splash|cym"),
    ("ride", r"ride|^rd"), ("tom", r"tom|conga|bongo|timb"), ("bell", r"bell|agogo|triang"),
]
# What stands in for what a kit lacks.
INSTEAD = {"pedal": "closed", "open": "closed", "clap": "snare", "rim": "snare", "crash": "open", "ride": "closed", "bell": "rim", "tom": "kick"}


def kind_of(name):
    return next((kind for kind, called in CALLED if re.search(called, name, re.I)), None)


@lru_cache(None)
def sample(path):
    """One shot, mono, from its attack on."""
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", str(RATE), "-t", "3", "-"], capture_output=True).stdout
    sound = np.frombuffer(raw, "<f4")
    most = np.abs(sound).max(initial=0)
    if most < 1e-4:
        return None
    start = max(0, int(np.argmax(np.abs(sound) > 0.1 * most)) - 24)
    return sound[start:] / most


@lru_cache(None)
def kits():
    """Files of each kind of drum, of each kit."""
    found = []
    for path in sorted(glob.glob(KITS)):
        kit = {}
        for instrument in xml.parse(path).getroot().iter():
            if not instrument.tag.endswith("}instrument") and instrument.tag != "instrument":
                continue
            child = lambda name: [e.text for e in instrument.iter() if e.tag.split("}")[-1] == name and e.text]
            names, files = child("name"), child("filename")
            kind = kind_of(names[0]) if names else None
            if kind and files:
                kit.setdefault(kind, []).append(os.path.join(os.path.dirname(path), files[-1]))
        if "kick" in kit and "snare" in kit and "closed" in kit:
            found.append(kit)
    single = {}
    for path in sorted(glob.glob(SINGLE)):
        kind = kind_of(os.path.basename(path))
        if kind:
            single.setdefault(kind, []).append(path)
    return found + [single] * 4 if single else found


def decays(length, secs):
    return np.exp(-np.arange(int(length * RATE)) / RATE / secs).astype(np.float32)


def machine(kind, dice, noise):
    """A drum of a drum machine of chance."""
    u = dice.uniform
    hiss = lambda length: noise.standard_normal(int(length * RATE)).astype(np.float32)
    high = lambda x, times: high(np.diff(x, prepend=x[:1]), times - 1) if times else x / (np.abs(x).max() + 1e-9)
    time = lambda length: np.arange(int(length * RATE)) / RATE
    if kind in ("kick", "tom"):
        t = time(0.7)
        low = u(38, 66) if kind == "kick" else u(80, 220)
        bend, quick = (u(40, 320), u(0.008, 0.05)) if kind == "kick" else (u(10, 80), 0.05)
        tone = np.sin(2 * np.pi * (low * t + bend * quick * (1 - np.exp(-t / quick)))) * np.exp(-t / u(0.06, 0.3))
        tone[: int(0.01 * RATE)] += u(0, 0.6) * high(hiss(0.01), 1) * decays(0.01, 0.002)
        return np.tanh(u(0.7, 3) * tone).astype(np.float32)
    if kind == "snare":
        t, body = time(0.5), u(140, 260)
        return (u(0.1, 0.9) * np.sin(2 * np.pi * body * t) * decays(0.5, u(0.03, 0.1)) + u(0.3, 1) * high(hiss(0.5), dice.choice([0, 1, 1, 2])) * decays(0.5, u(0.04, 0.18))).astype(np.float32)
    if kind == "clap":
        hits = sum(np.roll(np.pad(decays(0.03, 0.008), (0, int(0.3 * RATE))), int(0.011 * i * RATE)) for i in range(3))
        tail = np.pad(decays(0.3, u(0.05, 0.12)), (0, len(hits) - int(0.3 * RATE)))
        return (high(noise.standard_normal(len(hits)), 1) * (hits + 0.6 * tail)).astype(np.float32)
    if kind in ("rim", "bell"):
        t = time(0.3)
        hz = u(600, 2200) if kind == "rim" else u(500, 1100)
        tone = np.sign(np.sin(2 * np.pi * hz * t)) + np.sign(np.sin(2 * np.pi * hz * 1.48 * t))
        return (tone * np.exp(-t / (u(0.008, 0.03) if kind == "rim" else u(0.05, 0.2)))).astype(np.float32)
    secs = {"closed": u(0.015, 0.06), "pedal": u(0.015, 0.04), "open": u(0.15, 0.45), "ride": u(0.2, 0.6), "crash": u(0.5, 1.2)}[kind]
    length, metal = min(2.5, 5 * secs), dice.random() < 0.5
    sound = high(hiss(length), dice.choice([1, 2, 3]))
    if metal:
        t, base = time(length), u(250, 500)
        sound = 0.4 * sound + high(sum(np.sign(np.sin(2 * np.pi * base * ratio * t)) for ratio in (1, 1.34, 1.52, 1.9, 2.4, 2.8)), 3)
    return (sound * decays(length, secs)[: len(sound)]).astype(np.float32)


def drummed(notes, length, dice):
    """The drums: (secs, note, velocity)."""
    out, noise = np.zeros(length, np.float32), np.random.default_rng(dice.randrange(1 << 30))
    kit = dice.choice(kits()) if kits() and dice.random() < 0.65 else {}
    # Some kinds of any kit are a machine's.
    mixed, pitch, short = dice.choice([0, 0, 0.3]), np.exp(dice.gauss(0, 0.1)), dice.choice([1e9, 1e9, 0.3, 0.12])
    gain = {kind: 10 ** (dice.gauss(0, 4) / 20) for kind in DRUMS}
    loud = {"kick": 1, "snare": 0.8, "clap": 0.7, "tom": 0.7, "rim": 0.5, "bell": 0.4, "closed": 0.35, "pedal": 0.25, "open": 0.35, "ride": 0.35, "crash": 0.5}
    sounds = {}
    for secs, note, velocity in notes:
        if note not in sounds:
            kind = next((kind for kind, notes in DRUMS.items() if note in notes), "rim")
            have = kind if kind in kit else INSTEAD.get(kind, kind)
            sound = sample(dice.choice(kit[have])) if have in kit and dice.random() >= mixed else None
            if sound is None:
                sound = machine(kind, dice, noise)
                sound = sound / np.abs(sound).max()
            higher = pitch * (2 ** ((note - 47) / 24) if kind == "tom" else 1)
            at = np.arange(0, len(sound) - 1, higher)
            sound = np.interp(at, np.arange(len(sound)), sound)[: 3 * RATE] * gain[kind] * loud[kind]
            sounds[note] = (sound * np.exp(-np.arange(len(sound)) / RATE / short)).astype(np.float32)
        sound, start = sounds[note], int(secs * RATE)
        if 0 <= start < length:
            end = min(length, start + len(sound))
            out[start:end] += sound[: end - start] * (velocity / 127) ** 1.5
    return out


def synthesised(notes, length, dice):
    """A voice by a synthesiser of chance: (secs, end, note, velocity)."""
    turn, u = np.arange(2048) / 2048, dice.uniform
    slope, odd = u(0.4, 2.5), dice.random() < 0.3
    parts = [(k, k**-slope * u(0.3, 1)) for k in range(1, 24) if k == 1 or not odd or k % 2]
    waves = []
    for most in (24, 10, 4, 2):
        wave = sum(a * np.sin(2 * np.pi * (k * turn + u(0, 1))) for k, a in parts if k <= most)
        waves.append((wave / np.abs(wave).max()).astype(np.float32))
    attack, fade = np.exp(u(np.log(0.002), np.log(0.05))), u(0.12, 1.5) if dice.random() < 0.6 else 1e9
    release, vibrato, apart = u(0.02, 0.25), dice.choice([0, 0, 0.004]), dice.choice([0, 0, 0.004, 0.008])
    out = np.zeros(length, np.float32)
    for secs, end, note, velocity in notes:
        start, held = int(secs * RATE), int(min(4.0, end - secs) * RATE)
        n = min(held + int(4 * release * RATE), length - start)
        if start < 0 or n <= 0:
            continue
        t = np.arange(n, dtype=np.float32) / RATE
        hz = 440 * 2 ** ((note - 69) / 12)
        wave = waves[0 if hz < 300 else 1 if hz < 900 else 2 if hz < 2500 else 3]
        swing = vibrato * hz * np.sin(2 * np.pi * 5.5 * t) / (2 * np.pi * 5.5) if vibrato else 0
        sound = wave[((hz * t + swing) % 1 * 2048).astype(int) % 2048]
        if apart:
            sound = 0.5 * (sound + wave[(hz * (1 + apart) * t % 1 * 2048).astype(int) % 2048])
        shape = np.minimum(1, t / attack) * np.exp(-t / fade)
        shape[held:] *= np.exp(-(t[held:] - held / RATE) / release)
        out[start : start + n] += sound * shape * (velocity / 127) ** 1.5 * 0.3
    return out


def notes_of(midi):
    """Notes of each channel: (secs, end, note, velocity)."""
    now, notes, on = 0.0, {}, {}
    for event in midi:
        now += event.time
        if event.type == "note_on" and event.velocity:
            on.setdefault((event.channel, event.note), []).append((now, event.velocity))
        elif event.type in ("note_on", "note_off") and on.get((event.channel, event.note)):
            start, velocity = on[event.channel, event.note].pop()
            notes.setdefault(event.channel, []).append((start, now, event.note, velocity))
    for (channel, note), left in on.items():
        notes.setdefault(channel, []).extend((start, start + 1, note, velocity) for start, velocity in left)
    return notes


def played(midi, silent, fonts, secs, dice):
    """What fluidsynth makes of it, each channel with a font of its own, without the `silent` ones."""
    import mido

    used = dice.choices(list(fonts), list(fonts.values()), k=3)
    levels = {c: 10 ** (dice.gauss(0, 4) / 20) for c in range(16)}
    banks = {c: dice.choice([1, 20, 40]) for c in range(16)}
    head = mido.MidiTrack()
    for channel in range(16):
        if channel != 9:
            head.append(mido.Message("control_change", channel=channel, control=0, value=banks[channel]))
            head.append(mido.Message("program_change", channel=channel, program=0))
        head.append(mido.Message("control_change", channel=channel, control=7, value=min(127, int(90 * levels[channel]))))
    out = mido.MidiFile(ticks_per_beat=midi.ticks_per_beat)
    for number, track in enumerate(midi.tracks):
        kept, waits = mido.MidiTrack(head if number == 0 else []), 0
        for event in track:
            event = event.copy(time=event.time + waits)
            waits = 0
            drop = event.type == "sysex" or (event.type == "control_change" and event.control in (0, 32))
            if drop or (event.type == "note_on" and event.velocity and event.channel in silent):
                waits = event.time
                continue
            if event.type == "control_change" and event.control == 7:
                event.value = min(127, int(event.value * levels[event.channel]))
            if event.type == "program_change" and event.channel != 9:
                kept.append(mido.Message("control_change", channel=event.channel, control=0, value=banks[event.channel], time=event.time))
                event.time = 0
            kept.append(event)
        out.tracks.append(kept)
    with tempfile.TemporaryDirectory() as folder:
        out.save(f"{folder}/a.mid")
        with open(f"{folder}/fonts", "w") as file:
            file.write("".join(f"load {font} 1 {bank}\n" for font, bank in zip(used, (1, 20, 40))))
        player = subprocess.Popen(
            ["fluidsynth", "-ni", "-r", str(RATE), "-g", "0.4", "-O", "s16", "-T", "raw", "-F", "-", "-o", "synth.dynamic-sample-loading=1",
             "-f", f"{folder}/fonts", used[0], f"{folder}/a.mid"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        raw = b""
        while len(raw) < secs * RATE * 4:
            more = player.stdout.read(1 << 20)
            if not more:
                break
            raw += more
        player.stdout.close()
        player.kill()
        player.wait()
    raw = raw[: int(secs * RATE) * 4]
    return np.frombuffer(raw[: len(raw) // 4 * 4], "<i2").reshape(-1, 2).mean(1).astype(np.float32) / 32768


def record(source, wav, fonts, seed):
    import mido

    if os.path.exists(wav[:-4] + ".json"):
        return
    dice = random.Random(zlib.crc32(f"{seed} {os.path.basename(wav)}".encode()))
    truth, midi = json.load(open(source[:-4] + ".json")), mido.MidiFile(source, clip=True)
    secs = min(60 if is_game(wav) else 24, truth["beats_secs"][-1] + 1)
    length, voices = int(secs * RATE), notes_of(midi)
    silent = {c for c in voices if c != 9 and dice.random() < 0.2}
    others = dice.random() < 0.8
    if others:
        silent.add(9)
    mix = np.zeros(length, np.float32)
    sound = played(midi, silent, fonts, secs, dice)[:length]
    mix[: len(sound)] += sound
    loud = lambda x: float(np.sqrt(np.mean(x**2)) + 1e-9)
    for channel in silent - {9}:
        voice = synthesised(voices[channel], length, dice)
        mix += voice * min(3, 10 ** (dice.gauss(-6, 4) / 20) * max(0.03, loud(mix)) / loud(voice))
    if others and 9 in voices:
        drums = drummed([(s, n, v) for s, _, n, v in voices[9]], length, dice)
        mix += drums * min(3, 10 ** (dice.gauss(-2, 4) / 20) * max(0.03, loud(mix)) / loud(drums))
    mix *= 0.1 / loud(mix)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", "-", "-af", effects(dice), "-c:a", "pcm_s16le", wav]
    subprocess.run(command, input=mix.astype("<f4").tobytes(), check=True)
    for name in (name for name in truth if name.endswith("_secs") and truth[name] is not None):
        truth[name] = [time for time in truth[name] if time < secs]
    truth["bpm"] = truth["bpm"][: len(truth["beats_secs"])]
    with open(wav[:-4] + ".json", "w") as file:
        json.dump(truth, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", required=True, help="the folder of ear_tracks.py")
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=50, help="another one gives other bands")
    parser.add_argument("--font", action="append", default=[], help="another soundfont of General MIDI")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    fonts = {path: min(often, 3) for path, often in FONTS.items()} | {path: 3 for path in args.font}
    with ProcessPoolExecutor(args.processes) as pool:
        jobs = []
        for truth in sorted(glob.glob(f"{args.tracks}/*.json")):
            source = truth[:-5] + ".mid"
            if os.path.exists(source):
                jobs.append((source, pool.submit(record, source, f"{args.out}/{os.path.basename(source)[:-4]}.wav", fonts, args.seed)))
        for source, done in jobs:
            try:
                done.result()
            except Exception as error:
                print(f"left out: {source}: {error!r}", file=sys.stderr)


if __name__ == "__main__":
    main()
