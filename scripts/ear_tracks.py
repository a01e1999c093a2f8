#!/usr/bin/env python3
"""Tracks with known beats and drums to train the ears' network on; none of them is in a set that is reported.

    python3 scripts/ear_tracks.py --out /tmp/tracks

- Accompaniments of MMA's libraries (Debian's `mma`), up to two for each style in four, with chords, tempi
  and tempo changes drawn here, most with a melody over them, some without drums or other voices; and
  rhythms that no style has; played by fluidsynth with soundfonts that are not the one of the reported set
  (timgm6mb-soundfont, opl3-soundfont, csound-soundfont, musescore-general-soundfont-small), with tilted
  spectra, some clipped, some with echo;
- the music of games (Debian's `freedoom`, `freedm`, `planetblupi-music-midi`, `simutrans-data`, `freedink-data`), as
  it is and with other instruments, keys and voices left out;
- `xtask listening-set --set training`;
- clicks, beeps, held notes with vibrato, noise.

Needs numpy, mido, ffmpeg, fluidsynth. What is there already is not made again.
"""
import argparse
import copy
import glob
import json
import os
import random
import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from evaluate_ears import midi_truth

LIBRARY = "/usr/share/mma/lib/*/*.mma"
GAMES = {
    "blupi": "/usr/share/planetblupi/music/*.mid",
    "simutrans": "/usr/share/games/simutrans/music/*.mid",
    "dink": "/usr/share/games/dink/dink/Sound/*.mid",
}
# With how often each is used.
FONTS = {
    "/usr/share/sounds/sf2/TimGM6mb.sf2": 5,
    "/usr/share/sounds/sf2/OPL-3_FM_128M.sf2": 2,
    "/usr/share/sounds/sf2/sf_GMbank.sf2": 3,
    "/usr/share/sounds/sf3/MuseScore_General_Lite.sf3": 0.4,
}
WADS = [f"/usr/share/games/doom/{name}.wad" for name in ("freedoom1", "freedoom2", "freedm")]
TRACK_SECS, GAME_SECS = 24, 60
# Besides each game's piece as it is.
ARRANGEMENTS = 3
CHORDS = [
    "C Am F G", "Am F C G", "C F C G7", "Dm7 G7 CM7 A7", "Cm Ab Eb Bb", "Em C G D", "C7 F7 C7 G7",
    "Am Dm E7 Am", "C Em F Fm", "Bb F Gm Eb", "D A Bm G", "Cm7 Fm7 Bb7 EbM7", "A A D E", "Gm Gm Eb D7",
]
SLOW = re.compile("ballad|slow|lullaby|hymn|spiritual|bolero|blues", re.I)
FAST = re.compile("fast|quickstep|bebop|polka|gypsy|charleston|merengue|ska|bluegrass|dixie", re.I)
JAZZ = re.compile("swing|jazz|jive|foxtrot|samba|bossa|twist|ragtime|march", re.I)


def tempo_of(style, dice):
    for pattern, low, high in ((SLOW, 60, 105), (FAST, 140, 205), (JAZZ, 90, 200)):
        if pattern.search(style):
            return dice.uniform(low, high)
    return dice.uniform(68, 168)


def accompaniments(out, dice, each):
    """MIDI files made by mma."""
    paths = sorted(glob.glob(LIBRARY))
    for path in dice.sample(paths, len(paths)):
        text, style = open(path, errors="replace").read(), os.path.basename(path)[:-4]
        if not re.search(r"^\s*Time\s+4\b", text, re.M | re.I) or style.startswith(("none", "metronome")):
            continue
        grooves = sorted(set(re.findall(r"^\s*DefGroove\s+(\S+)", text, re.M | re.I)))
        grooves = [g for g in grooves if not re.search("intro|end|fill", g, re.I)] or grooves
        for groove in dice.sample(grooves, min(each, len(grooves))):
            bpm, chords = tempo_of(style, dice), dice.choice(CHORDS).split()
            library = os.path.basename(os.path.dirname(path))
            midi = f"{out}/mma-{library}-{re.sub('[^a-z0-9]', '', groove.lower())}.mid"
            bars = int(TRACK_SECS * bpm / 240) + 2
            lines = [f"Tempo {bpm:.1f}", f"Use {path}", f"Groove {groove}"]
            change, rhythm = dice.randrange(6), dice.choice([1, 1, 1, 2, 2, 0.5])
            played = []
            for bar in range(bars):
                if bar == bars // 2 and change == 0:
                    lines.append(f"Tempo {bpm * dice.choice([0.88, 1.12]):.1f} 16")
                if bar == bars // 2 and change == 1:
                    lines.append(f"Tempo {bpm * dice.choice([0.9, 1.1]):.1f}")
                halves = [chords[int((bar + half) / rhythm) % len(chords)] for half in (0, 0.5)]
                played.append(halves)
                lines.append(f"{bar + 1} {halves[0]}" + (f" / {halves[1]}" if halves[0] != halves[1] else ""))
            source = midi[:-4] + ".mma"
            with open(source, "w") as file:
                file.write("\n".join(lines) + "\n")
            done = subprocess.run(["mma", "-f", midi, source], capture_output=True, text=True)
            if done.returncode == 0 and os.path.exists(midi):
                arrange(midi, played, dice)
                yield midi
            else:
                print(f"left out: {groove}: {done.stdout.strip()[-200:]}", file=sys.stderr)


def tones_of(chord):
    """Notes of a chord's name, as steps above C."""
    root = "C D EF G A B".index(chord[0]) + chord[1:2].count("#") - chord[1:2].count("b")
    kind = chord[1 + (chord[1:2] in ("#", "b")) :]
    third = 3 if kind.startswith("m") else 4
    return [root, root + third, root + 7, *([root + (11 if "M7" in kind else 10)] if "7" in kind else [])]


def melody(played, quarter, dice):
    """(tick, length, note) of a tune over chords, one for each half bar: a motif of two bars comes again."""
    steps = dice.choice([8, 8, 8, 16, 16, 12])
    on, off, between = dice.choice([(0.8, 0.4, 0.1), (0.6, 0.6, 0.2), (0.5, 0.2, 0), (0.3, 0.6, 0.3), (0.9, 0.8, 0.5)])
    chance = [on if 4 * s % steps == 0 else off if 8 * s % steps == 0 else between for s in range(steps)]
    motif = [dice.random() < c for _ in range(2) for c in chance]
    other = [dice.random() < c for _ in range(2) for c in chance]
    way = [dice.choice([-2, -1, -1, 0, 1, 1, 2]) for _ in motif]
    high, degree, notes = dice.choice([60, 67, 72, 76]), dice.randrange(3), []
    hold, swing = dice.uniform(0.4, 1.3), dice.choice([0, 0, 0.33]) if steps == 8 else 0
    for bar, halves in enumerate(played):
        line = other if bar % 8 in (6, 7) else motif
        if bar % 16 >= 12 and dice.random() < 0.3:
            continue
        for step in range(steps):
            at = bar % 2 * steps + step
            if line[at]:
                tones = tones_of(halves[2 * step // steps])
                degree = max(-4, min(6, degree + way[at]))
                note = high + tones[degree % len(tones)] + 12 * (degree // len(tones))
                late = swing / 2 if swing and step % 2 else 0
                tick = int(quarter * 4 * (bar + (step + late) / steps)) + max(0, int(dice.gauss(0, quarter / 120)))
                notes.append((tick, int(hold * 4 * quarter / steps), min(100, max(36, note))))
    return notes


def left_out(used, drums, others, dice):
    """Channels to silence, each by its chance; never all of them."""
    silent = {c for c in sorted(used) if dice.random() < (drums if c == 9 else others)}
    return set() if silent == set(used) else silent


def arrange(path, played, dice):
    """Adds a melody to a MIDI file, and takes drums or other voices away, from all of it or a part."""
    import mido

    midi = mido.MidiFile(path)
    quarter = midi.ticks_per_beat
    used = {e.channel for track in midi.tracks for e in track if e.type == "note_on"}
    silent = left_out(used, 0.2, 0.12, dice)
    start = 4 * quarter * dice.randrange(2, len(played))
    gap = range(start, start + 4 * quarter * dice.choice([2, 4])) if dice.random() < 0.25 else range(0)
    for track in midi.tracks:
        now = 0
        for event in track:
            now += event.time
            if event.type == "note_on" and (event.channel in silent or (event.channel == 9 and now in gap)):
                event.velocity = 0
    free = [c for c in range(16) if c != 9 and c not in used]
    for channel in free[: dice.choice([0, 1, 1, 1, 2])]:
        track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=dice.randrange(0, 104))])
        loud, now, events = dice.randint(55, 115), 0, []
        for tick, length, note in melody(played, quarter, dice):
            events += [(tick, note, min(127, loud + dice.randint(-12, 12))), (tick + length, note, 0)]
        for tick, note, velocity in sorted(events, key=lambda e: (e[0], e[2])):
            track.append(mido.Message("note_on", channel=channel, note=note, velocity=velocity, time=tick - now))
            now = tick
        midi.tracks.append(track)
    midi.save(path)


def beaten(text):
    """Sixteenths of a bar: x where something is struck."""
    return [c == "x" for c in text.replace(" ", "")]


# Rhythms whose bass or chords lie beside the beat.
FEELS = [
    {name: beaten(text) for name, text in feel.items()}
    for feel in (
        {"kick": "x... x... x... x...", "bass": "..x. ..x. ..x. ..x.", "hat": "..x. ..x. ..x. ..x.", "snare": ".... x... .... x..."},
        {"kick": "x... x... x... x...", "bass": "..xx ..xx ..xx ..xx", "hat": "x.x. x.x. x.x. x.x."},
        {"kick": "x..x x..x x..x x..x", "bass": "x..x x..x x..x x..x", "snare": "x..x ..x. ..x. x...", "hat": "x.x. x.x. x.x. x.x.", "chord": "x..x ..x. .x.. x..."},
        {"bass": "x... .... x... ....", "chord": "..x. ..x. ..x. ..x.", "kick": ".... .... x... ....", "snare": ".... .... x... ....", "hat": "x.x. x.x. x.x. x.x."},
        {"bass": "x... x... x... x...", "chord": "..x. ..x. ..x. ..x.", "snare": "..x. ..x. ..x. ..x.", "kick": "x... .... x... ...."},
        {"bass": "x..x ..x. x..x ..x.", "kick": "x..x ..x. x..x ..x.", "snare": ".... x... .... x...", "hat": "x.x. x.x. x.x. x.x."},
        {"bass": "...x ..x. ...x ..x.", "chord": "x..x ..x. ..x. x...", "snare": "..x. x... x..x ..x.", "hat": "xxxx xxxx xxxx xxxx"},
        {"kick": "x... ..x. ..x. ....", "snare": ".... x..x .x.. x..x", "hat": "x.x. x.x. x.x. x.x.", "bass": "x..x .... ..x. ..x."},
        {"kick": "x... .... .... ....", "snare": ".... .... x... ....", "hat": "x.x. x.x. x.x. x.x.", "bass": "x... .... ..x. x..."},
        {"kick": "x..x ..x. x..x ..x.", "snare": "...x ..x. ...x ..x.", "hat": "x.xx x.xx x.xx x.xx", "bass": "x..x ..x. x..x ..x."},
        {"bass": "x... x... x... x...", "hat": "x... x.x. x... x.x.", "snare": ".... x... .... x...", "chord": "..x. ...x ..x. ...x"},
        {"bass": "x... .... x... ....", "chord": ".... x... .... x...", "hat": ".... x... .... x..."},
    )
]


def nonsense(out, dice):
    """Rhythms that no style has, by any instruments of General MIDI."""
    import mido

    for number in range(90):
        bpm, midi = dice.uniform(60, 205), mido.MidiFile(ticks_per_beat=480)
        track, events = mido.MidiTrack(), []
        midi.tracks.append(track)
        track.append(mido.MetaMessage("set_tempo", tempo=int(60e6 / bpm)))
        track.append(mido.MetaMessage("time_signature", numerator=4, denominator=4))
        bars = int(TRACK_SECS * bpm / 240) + 2
        steps = dice.choice([16, 16, 16, 12])
        swing = dice.choice([0, 0, 0.2, 0.33]) if steps == 16 and bpm < 130 else 0
        # How likely a note is on the beat, on the eighth, and between.
        odds = lambda on, eighth, between: [
            on if 4 * s % steps == 0 else eighth if 8 * s % steps == 0 else between for s in range(steps)
        ]
        kick = [dice.random() < p for p in odds(0.45, 0.25, 0.1)]
        kick[0] = kick[0] or dice.random() < 0.85
        back = dice.choice([[1, 3], [1, 3], [1, 3], [2], [2], [0, 1, 2, 3], []])
        snare = [dice.random() < 0.06 or (4 * s % steps == 0 and 4 * s // steps in back) for s in range(steps)]
        hat = [dice.random() < p for p in dice.choice([odds(1, 1, 0), odds(1, 1, 1), odds(0, 1, 0), odds(1, 0.2, 0.2)])]
        drummed = dice.random() < 0.8
        feel = dice.choice(FEELS) if steps == 16 and dice.random() < 0.5 else {}
        kick, snare, hat = (feel.get(n) or line for n, line in (("kick", kick), ("snare", snare), ("hat", hat)))
        drums = [(kick, [36, 35]), (snare, [38, 40, 37, 39]), (hat, [42, 46, 51, 70, 44])]
        lines = [(9, line, dice.choice(notes)) for line, notes in drums if drummed and dice.random() < 0.9]
        roots = [dice.choice([0, 5, 7, 9, 2, 4]) for _ in range(4)]
        parts = []
        for channel, low, chance in ((0, 36, 0.9), (1, 60, 0.7), (2, 72, 0.5)):
            if dice.random() < chance:
                program = dice.randrange(32, 40) if channel == 0 else dice.randrange(0, 96)
                track.append(mido.Message("program_change", channel=channel, program=program))
                pattern = [dice.random() < p for p in odds(*dice.choice([(0.6, 0.4, 0.1), (0.3, 0.7, 0.2), (0.8, 0.1, 0)]))]
                parts.append((channel, low, feel.get(("bass", "chord", "")[channel]) or pattern))
        # In off-beat rhythms the one is not always struck.
        struck = 0.2 if feel else 0.7
        silent = range(bars // 2, bars // 2 + (4 if dice.random() < 0.3 else 0))
        loud = {channel: dice.randint(60, 115) for channel in (0, 1, 2, 9)}
        for bar in range(bars):
            root = roots[bar % 4]
            for step in range(steps):
                beat = 4 * step / steps
                late = swing / 4 if swing and round(beat * 4) % 2 else 0
                tick = int(480 * (4 * bar + beat + late)) + max(0, int(dice.gauss(0, 3)))
                for channel, line, note in lines:
                    if line[step] and bar not in silent:
                        events.append((tick, 60, channel, note))
                for channel, low, line in parts:
                    if line[step] or (step == 0 and dice.random() < struck):
                        for up in ([0] if channel == 0 else [0, 4, 7] if channel == 1 else [dice.choice([0, 4, 7, 12])]):
                            events.append((tick, 240 if channel else 200, channel, low + root + up))
        stream = []
        for tick, length, channel, note in events:
            stream.append((tick, 1, channel, note, min(127, max(20, loud[channel] + dice.randint(-12, 12)))))
            stream.append((tick + length, 0, channel, note, 0))
        now = 0
        for tick, _, channel, note, velocity in sorted(stream):
            track.append(mido.Message("note_on", channel=channel, note=note, velocity=velocity, time=tick - now))
            now = tick
        path = f"{out}/nonsense-{number:02}.mid"
        midi.save(path)
        yield path


def lumps(out):
    """The MIDI files in Freedoom's data."""
    seen = set()
    for wad in filter(os.path.exists, WADS):
        data = open(wad, "rb").read()
        count, start = struct.unpack("<ii", data[4:12])
        for i in range(count):
            at, size, name = struct.unpack("<ii8s", data[start + 16 * i : start + 16 * i + 16])
            body = data[at : at + size]
            if body[:4] == b"MThd" and body not in seen:
                seen.add(body)
                path = f"{out}/freedoom-{os.path.basename(wad)[:-4]}-{name.rstrip(bytes(1)).decode().lower()}.mid"
                with open(path, "wb") as file:
                    file.write(body)
                yield path


def games(out, dice):
    """MIDI files of games, as they are and arranged anew, as NAME~1.mid and so on."""
    import mido

    own = [(f"{game}-{os.path.basename(path)[:-4].lower()}", path) for game, paths in GAMES.items() for path in sorted(glob.glob(paths))]
    for name, path in own + [(os.path.basename(path)[:-4], path) for path in lumps(out)]:
        try:
            midi = mido.MidiFile(path)
        except Exception as error:
            print(f"left out: {path}: {error}", file=sys.stderr)
            continue
        for number in range(1 + ARRANGEMENTS):
            arranged = f"{out}/{name}{f'~{number}' if number else ''}.mid"
            if number:
                other = copy.deepcopy(midi)
                rearrange(other, dice)
                other.save(arranged)
            elif path != arranged:
                midi.save(arranged)
            yield arranged


def rearrange(midi, dice):
    """Other instruments of the same family or of any, another key; now and then without some voices."""
    used = sorted({e.channel for track in midi.tracks for e in track if e.type == "note_on" and e.velocity})
    others = {c: dice.randrange(0, 96) if dice.random() < 0.3 else None for c in used}
    silent = left_out(used, 0.35, 0.1, dice)
    step = dice.randint(-4, 4)
    for track in midi.tracks:
        for event in track:
            if event.type == "program_change" and event.channel != 9:
                other = others.get(event.channel)
                event.program = event.program // 8 * 8 + dice.randrange(8) if other is None else other
            elif event.type in ("note_on", "note_off") and event.channel != 9:
                event.note = min(127, max(0, event.note + step))
            if event.type == "note_on" and event.channel in silent:
                event.velocity = 0


def effects(dice):
    """What a master does to the sound, for ffmpeg."""
    chain = [f"bass=g={dice.uniform(-8, 8):.1f}:f=150", f"treble=g={dice.uniform(-8, 8):.1f}:f=4000"]
    kind = dice.randrange(6)
    if kind == 0:
        chain.append("volume=14dB,alimiter=limit=0.9:attack=1:release=20")
    if kind == 1:
        chain.append("volume=16dB")
    if kind == 2:
        chain.append("aecho=0.8:0.7:40|73|110:0.35|0.25|0.18")
    return ",".join(chain)


def unpack(package, folder):
    """A package of Debian, in a folder and not installed."""
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
    for file in glob.glob(f"{folder}/*.deb"):
        subprocess.run(["dpkg", "-x", file, folder], check=True)
        os.remove(file)


def play(midi, wav, secs, font, effect):
    player = subprocess.Popen(
        ["fluidsynth", "-ni", "-r", "48000", "-g", "0.5", "-O", "s16", "-T", "raw", "-F", "-", font, midi],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    command = ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", "48000", "-ac", "2", "-i", "-", "-t", str(secs)]
    subprocess.run([*command, "-af", effect, wav], stdin=player.stdout, check=True)
    player.stdout.close()
    player.kill()
    player.wait()


def is_game(path):
    return os.path.basename(path).startswith(("freedoom-", *(f"{game}-" for game in GAMES)))


def record(midi, wav, font, effect):
    """A track and its truth, where it has one and is not there yet."""
    if os.path.exists(wav[:-4] + ".json"):
        return
    truth = midi_truth(midi, on_grid=0.9 if is_game(wav) or "nonsense" in midi else 0.0)
    if truth is not None and len(truth["beats_secs"]) >= 16:
        secs = min(GAME_SECS if is_game(wav) else TRACK_SECS, truth["beats_secs"][-1] + 1)
        play(midi, wav, secs, font, effect)
        truth["bpm"] = [bpm for bpm, beat in zip(truth["bpm"], truth["beats_secs"]) if beat < secs]
        for name in (name for name in truth if name.endswith("_secs")):
            truth[name] = [time for time in truth[name] if time < secs]
        with open(wav[:-4] + ".json", "w") as file:
            json.dump(truth, file)


def simple(out, dice):
    """What a network trained on music alone might be taken in by."""
    import wave

    rate, secs = 48000, 24
    noise = np.random.default_rng(5)
    for number, kind in enumerate(["clicks"] * 5 + ["beeps"] * 5 + ["thumps"] * 3 + ["vibrato"] * 3 + ["noise"] * 2 + ["hum"] * 2):
        path = f"{out}/simple-{number:02}-{kind}"
        if os.path.exists(path + ".wav"):
            continue
        t, sound = np.arange(secs * rate) / rate, np.zeros(secs * rate)
        bpm, beats = dice.uniform(62, 195), []
        if kind in ("clicks", "beeps", "thumps"):
            beats = list(np.arange(0.3, secs - 0.5, 60 / bpm))
            length = {"clicks": 0.004, "beeps": 0.06, "thumps": 0.25}[kind]
            hz = {"clicks": 0, "beeps": dice.uniform(300, 1800), "thumps": dice.uniform(45, 70)}[kind]
            for i, beat in enumerate(beats):
                at, n = int(beat * rate), int(4 * length * rate)
                s = np.arange(n) / rate
                tone = noise.uniform(-1, 1, n) if hz == 0 else np.sin(2 * np.pi * hz * (1.5 if i % 4 == 0 else 1) * s)
                sound[at : at + n] += (0.5 * tone * np.exp(-s / length))[: len(sound) - at]
        elif kind == "vibrato":
            hz = dice.uniform(200, 900)
            sound = sum(0.2 / k * np.sin(k * (2 * np.pi * hz * t + 5 * np.sin(2 * np.pi * 5.5 * t))) for k in range(1, 6))
        elif kind == "noise":
            sound = 0.2 * noise.standard_normal(len(t)) * (1 + 0.3 * np.sin(2 * np.pi * 0.2 * t))
        else:
            sound = sum(0.2 / k * np.sin(2 * np.pi * 55 * k * t) for k in (1, 2, 3, 5))
        with wave.open(path + ".wav", "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(rate)
            file.writeframes((np.clip(sound, -1, 1) * 32000).astype("<i2").tobytes())
        starts = list(map(float, beats))
        truth = {"beats_secs": starts, "downbeats_secs": [], "onsets_secs": starts or [0.0], "bpm": [bpm] * len(starts)}
        truth.update({"kicks_secs": None, "snares_secs": None, "hats_secs": None} if starts else {"kicks_secs": [], "snares_secs": [], "hats_secs": []})
        json.dump(truth, open(path + ".json", "w"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=20, help="another one gives other accompaniments, rhythms and arrangements")
    parser.add_argument("--grooves", type=int, default=2, help="of each style, at most")
    parser.add_argument("--xtask", default="cargo run -q -p xtask --", help="the command that runs xtask")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    dice = random.Random(args.seed)
    if not glob.glob(f"{args.out}/training-*.wav"):
        subprocess.run([*args.xtask.split(), "listening-set", "--set", "training", "--out", args.out], check=True)
    simple(args.out, dice)
    makers = (lambda: games(args.out, dice), lambda: nonsense(args.out, dice), lambda: accompaniments(args.out, dice, args.grooves))
    records = []
    with ThreadPoolExecutor(4) as pool:
        for midi in (midi for make in makers for midi in make()):
            font, effect = dice.choices(list(FONTS), list(FONTS.values()))[0], effects(dice)
            wav = f"{args.out}/{os.path.basename(midi)[:-4]}.wav"
            records.append(pool.submit(record, midi, wav, font, effect))
    for done in records:
        done.result()  # says what failed


if __name__ == "__main__":
    main()
