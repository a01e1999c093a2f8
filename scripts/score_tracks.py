#!/usr/bin/env python3
"""Tracks from written music, arranged anew, to train the ears' network on; none is in a set that is reported.

    python3 scripts/score_tracks.py --out /tmp/scores [--pop909 POP909-Dataset/POP909]

- Chorales, quartets, rags, folk songs and dance tunes in 2/4 and 4/4 of the corpus that comes with music21;
- the songs of POP909 (Wang et al. 2020, https://github.com/music-x-lab/POP909-Dataset, MIT), where its folder
  is given, with the beats and bars of its `beat_midi.txt`.

Each gets instruments of General MIDI, a key, a tempo that drifts or steps, often drums, often a bass and
chords of its own in a rhythm of chance, and is played like the tracks of ear_tracks.py.

Needs numpy, mido, music21, ffmpeg, fluidsynth. What is there already is not made again.
"""
import argparse
import glob
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ear_tracks import FEELS, FONTS, TRACK_SECS, effects, record

# Folders of music21's corpus, and how many pieces of each.
CORPUS = {"bach": 150, "ryansMammoth": 260, "airdsAirs": 3, "oneills1850": 14, "joplin": 1, "haydn": 9, "mozart": 16, "beethoven": 22, "leadSheet": 2}
TICKS = 480
# What may play a melody, chords, a bass.
LEADS = [*range(0, 8), *range(8, 16), *range(16, 24), *range(24, 32), *range(40, 46), *range(52, 80), *range(80, 88), 104, 105, 107, 110]
CHORDS = [*range(0, 8), *range(16, 32), 46, *range(48, 52), *range(80, 96), 105, 106]
BASSES = [*range(32, 40), *range(32, 40), 43, 57, 58, 0, 33, 87]


class Piece:
    """Notes as (beat, length, note, voice); bars begin where (beat - first) is a multiple of four, if bars."""

    def __init__(self, name, notes, first, bars, bpm):
        self.name, self.notes, self.first, self.bars, self.bpm = name, sorted(notes), first, bars, bpm


def of_music21(path, dice):
    from music21 import converter, meter, note, chord, stream

    read = converter.parse(path)
    found = list(read.scores) if isinstance(read, stream.Opus) else [read]
    for number, score in enumerate(dice.sample(found, min(6, len(found)))):
        signatures = {m.ratioString for m in score.recurse().getElementsByClass(meter.TimeSignature)}
        if not signatures or not signatures <= {"4/4", "2/4", "2/2"}:
            continue
        parts = list(score.parts) if hasattr(score, "parts") and score.parts else [score]
        try:
            notes, pickup = [], 0.0
            for voice, part in enumerate(parts[:6]):
                flat = part.flatten()
                measures = list(part.getElementsByClass(stream.Measure))
                if voice == 0 and len(measures) > 1 and measures[0].duration.quarterLength < measures[1].duration.quarterLength:
                    pickup = float(measures[0].duration.quarterLength)
                for event in flat.notes:
                    if isinstance(event, (note.Note, chord.Chord)) and not type(event).__name__ == "ChordSymbol":
                        for pitch in event.pitches:
                            notes.append((float(event.offset), float(event.quarterLength), pitch.midi, voice))
        except Exception:
            continue
        if len(notes) >= 40:
            stem = "-".join(path.split(os.sep)[-2:]).rsplit(".", 1)[0]
            yield Piece(stem if len(found) == 1 else f"{stem}-{number}", notes, pickup % 4, signatures == {"4/4"}, None)


def of_pop909(folder):
    import mido

    number = os.path.basename(folder)
    rows = np.loadtxt(f"{folder}/beat_midi.txt")
    times, ones = rows[:, 0], np.flatnonzero(rows[:, 2] > 0.5)
    if len(times) < 40 or len(ones) < 4:
        return None
    bars = bool(np.all(np.diff(ones) == 4))
    midi, notes = mido.MidiFile(f"{folder}/{number}.mid"), []
    tempo = next(e.tempo for t in midi.tracks for e in t if e.type == "set_tempo")
    secs = tempo / 1e6 / midi.ticks_per_beat
    for voice, track in enumerate(midi.tracks[1:]):
        now, on = 0, {}
        for event in track:
            now += event.time
            if event.type == "note_on" and event.velocity:
                on[event.note] = now
            elif event.type in ("note_on", "note_off") and event.note in on:
                start = on.pop(event.note)
                beat, end = np.interp([start * secs, now * secs], times, np.arange(len(times)))
                if times[0] <= start * secs < times[-1]:
                    # As it is played, but for what lies a hair beside the grid.
                    grid = round(beat * 12) / 12
                    notes.append((float(grid if abs(beat - grid) < 0.02 else beat), float(max(end - beat, 0.1)), event.note, voice))
    if len(notes) < 100:
        return None
    return Piece(f"pop{number}", notes, int(ones[0]) % 4, bars, 60 / float(np.median(np.diff(times))))


def chord_at(notes, start, end):
    """The major or minor triad that most of what sounds belongs to: root above C, and its third."""
    weight = np.zeros(12)
    for beat, length, note, _ in notes:
        inside = min(end, beat + length) - max(start, beat)
        if inside > 0:
            weight[note % 12] += inside
    best = max(((r, t) for r in range(12) for t in (3, 4)), key=lambda c: weight[c[0]] * 1.2 + weight[(c[0] + c[1]) % 12] + weight[(c[0] + 7) % 12])
    return best


def drum_lines(dice):
    """A groove of chance: sixteenths or triplets of a bar for each drum."""
    steps = dice.choice([16, 16, 16, 12])
    if steps == 16 and dice.random() < 0.3:
        feel = dice.choice(FEELS)
        lines = {n: feel[n] for n in ("kick", "snare", "hat") if n in feel}
    else:
        on = lambda strong, eighth, weak: [
            dice.random() < (strong if 4 * s % steps == 0 else eighth if 8 * s % steps == 0 else weak) for s in range(steps)
        ]
        lines = {"kick": on(0.5, 0.2, 0.08), "hat": dice.choice([on(1, 1, 0), on(1, 1, 1), on(0, 1, 0), on(1, 0.3, 0.3), on(1, 0, 0)])}
        lines["kick"][0] = dice.random() < 0.9
        back = dice.choice([[1, 3], [1, 3], [1, 3], [2], [0, 1, 2, 3], []])
        lines["snare"] = [dice.random() < 0.05 or (4 * s % steps == 0 and 4 * s // steps in back) for s in range(steps)]
    notes = {"kick": [36, 35], "snare": [38, 40, 37, 39], "hat": [42, 46, 51, 70, 44, 54, 82]}
    return {dice.choice(notes[n]): line for n, line in lines.items() if dice.random() < 0.92}


def arranged(piece, path, dice):
    """Writes the piece as a MIDI file."""
    import mido

    all_notes = piece.notes
    last = int(all_notes[-1][0])
    bpm = piece.bpm * np.exp(dice.gauss(0, 0.12)) if piece.bpm else dice.uniform(66, 176)
    while bpm > 190:
        bpm /= 2
    bpm = max(bpm, 58)
    length = int((TRACK_SECS + 4) * bpm / 60) // 4 * 4
    start = 0
    if last > length + 8:
        start = dice.randrange(0, (last - length) // 4) * 4
    # So that beat 0 of the file is the first of a bar.
    start += piece.first - 4 if start == 0 and piece.first else piece.first
    notes = [(b - start, l, n, v) for b, l, n, v in all_notes if start <= b < start + length]
    if len(notes) < 24:
        return False
    beats = int(max(b for b, *_ in notes)) + 2
    swing = dice.choice([0, 0, 0, 0.33]) if not piece.bpm else 0
    late = lambda beat: beat + swing / 2 if swing and abs(beat % 1 - 0.5) < 0.01 else beat
    midi = mido.MidiFile(ticks_per_beat=TICKS)
    head = mido.MidiTrack()
    midi.tracks.append(head)
    head.append(mido.MetaMessage("time_signature", numerator=4 if piece.bars else 2, denominator=4))
    kind, drift = dice.randrange(5), dice.uniform(0, 0.03)
    wave, turn = dice.uniform(8, 40), dice.uniform(0, 6)
    step_at, step = beats // 2, dice.choice([0.9, 1.1, 0.94, 1.06])
    for beat in range(beats):
        now = bpm * (1 + (drift * np.sin(beat * 2 * np.pi / wave + turn) if kind < 2 else 0))
        now *= step if kind == 2 and beat >= step_at else 1
        now *= 1 + dice.gauss(0, 0.012) if kind == 3 else 1
        head.append(mido.MetaMessage("set_tempo", tempo=int(60e6 / now), time=TICKS if beat else 0))
    key = dice.randint(-5, 5)
    voices = sorted({v for *_, v in notes})
    melody_alone = dice.random() < 0.3
    own = dice.random() < (0.75 if len(voices) == 1 or melody_alone else 0.25)
    loose = dice.choice([0, 0, 3, 7])
    channels = iter([c for c in range(16) if c != 9])

    def add(program, events, channel=None):
        if channel is None:
            channel = next(channels)
        track = mido.MidiTrack()
        if channel != 9:
            track.append(mido.Message("program_change", channel=channel, program=program))
        stream = []
        for beat, long, note, velocity in events:
            tick = max(0, int(late(beat) * TICKS + dice.gauss(0, loose)))
            note = min(110, max(24, note))
            stream += [(tick, 1, note, min(127, max(20, int(velocity)))), (tick + max(20, int(long * TICKS)), 0, note, 0)]
        now = 0
        for tick, _, note, velocity in sorted(stream):
            track.append(mido.Message("note_on", channel=channel, note=note, velocity=velocity, time=tick - now))
            now = tick
        midi.tracks.append(track)

    accent = dice.choice([0, 0, 8, 16])
    one_timbre = dice.choice(LEADS) if dice.random() < 0.3 else None
    for voice in voices:
        mine = [n for n in notes if n[3] == voice]
        if melody_alone and own and voice != voices[0]:
            continue
        low = np.mean([n[2] for n in mine]) < 52
        program = one_timbre if one_timbre is not None else dice.choice(BASSES if low and dice.random() < 0.7 else LEADS)
        loud, octave = dice.randint(55, 110), dice.choice([0, 0, 0, 12, -12]) if not low else 0
        hold = dice.choice([1, 1, 0.6])
        add(program, [(b, l * hold, n + key + octave, loud + (accent if b % 4 < 0.01 else accent / 2 if b % 1 < 0.01 else 0) + dice.gauss(0, 6)) for b, l, n, _ in mine])
    if own:
        chords = [chord_at(notes, h, h + 2) for h in range(0, beats, 2)]
        feel = dice.choice(FEELS) if dice.random() < 0.5 else {}
        line = lambda odds: [dice.random() < odds[0 if s % 4 == 0 else 1 if s % 2 == 0 else 2] for s in range(16)]
        bass = feel.get("bass") or line(dice.choice([(0.7, 0.3, 0.05), (0.95, 0, 0), (0.5, 0.5, 0.15), (0.95, 0.9, 0)]))
        comp = feel.get("chord") or line(dice.choice([(0.7, 0.2, 0), (0, 0.9, 0), (0.4, 0.5, 0.1), (0.95, 0.9, 0)]))
        walking, high = dice.random() < 0.3, dice.choice([48, 55, 60])
        loud, held = [dice.randint(55, 110), dice.randint(45, 95)], dice.uniform(0.15, 0.6)
        basses, comps = [], []
        for bar in range(0, beats, 4):
            for s in range(16):
                at = bar + s / 4
                if at >= beats:
                    break
                root, third = chords[min(len(chords) - 1, int(at // 2))]
                if bass[s]:
                    up = dice.choice([0, third, 7, 12]) if walking else 7 if s == 8 else 0
                    basses.append((at, held, 36 + (root + key) % 12 + up - (12 if root + key > 8 else 0), loud[0] + dice.gauss(0, 6)))
                if comp[s]:
                    comps += [(at, held, high + (root + key) % 12 + up, loud[1] + dice.gauss(0, 6)) for up in (0, third, 7)]
        if dice.random() < 0.9:
            add(dice.choice(BASSES), basses)
        if dice.random() < 0.8:
            add(dice.choice(CHORDS), comps)
    if dice.random() < 0.45:
        lines, events = drum_lines(dice), []
        gap = range(0)
        if dice.random() < 0.3:
            first = dice.randrange(0, max(1, beats - 8)) // 4 * 4
            gap = range(first, first + dice.choice([4, 8, 16]))
        loud = dice.randint(60, 115)
        for bar in range(0, beats, 4):
            fill = bar % 16 == 12 and dice.random() < 0.4
            for note, line in lines.items():
                for s, struck in enumerate(line):
                    at = bar + 4 * s / len(line)
                    if struck and int(at) not in gap and at < beats and not (fill and s >= len(line) // 2):
                        events.append((at, 0.1, note, loud + dice.gauss(0, 8)))
            if fill and bar not in gap:
                events += [(bar + 2 + s / 4, 0.1, dice.choice([38, 38, 45, 47, 50, 41]), loud + dice.gauss(0, 8)) for s in range(8) if dice.random() < 0.8]
        if events:
            add(0, events, 9)
    midi.save(path)
    return True


def make(job):
    kind, source, out, seed = job
    dice = random.Random(seed)
    try:
        pieces = [of_pop909(source)] if kind == "pop909" else of_music21(source, dice)
        for piece in filter(None, pieces):
            name = f"score-{piece.name}".lower().replace(" ", "")
            midi = f"{out}/{name}.mid"
            if not os.path.exists(midi[:-4] + ".json") and arranged(piece, midi, dice):
                record(midi, midi[:-4] + ".wav", dice.choices(list(FONTS), list(FONTS.values()))[0], effects(dice))
    except Exception as error:
        print(f"left out: {source}: {error!r}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--pop909", help="its folder with a folder for each song")
    parser.add_argument("--songs", type=int, default=300, help="of POP909, at most")
    parser.add_argument("--seed", type=int, default=9)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    import music21

    os.makedirs(args.out, exist_ok=True)
    dice, jobs = random.Random(args.seed), []
    root = os.path.join(os.path.dirname(music21.__file__), "corpus")
    for folder, most in CORPUS.items():
        paths = sorted(p for p in glob.glob(f"{root}/{folder}/**/*", recursive=True) if p.endswith((".mxl", ".krn", ".abc")))
        jobs += [(folder, p, args.out, dice.random()) for p in dice.sample(paths, min(most, len(paths)))]
    if args.pop909:
        songs = sorted(glob.glob(f"{args.pop909}/*/"))
        jobs += [("pop909", s.rstrip("/"), args.out, dice.random()) for s in dice.sample(songs, min(args.songs, len(songs)))]
    dice.shuffle(jobs)
    with ProcessPoolExecutor(args.processes) as pool:
        list(pool.map(make, jobs))


if __name__ == "__main__":
    main()
