#!/usr/bin/env python3
"""Beats, tempo, onsets: bendwave's ears beside other trackers, on tracks with known truth.

    python3 -m venv ears && ears/bin/pip install numpy mir_eval mido aubio librosa
    ears/bin/python scripts/evaluate_ears.py --work /tmp/ears --trackers aubio,librosa

Tracks: `xtask listening-set --set held-out`, and the MIDI files of Debian's openttd-openmsx played by
fluidsynth with fluid-soundfont-gm; what is not installed is skipped with a message. And what song_tracks.py
put into WORK/songs. Each tracker's answer is kept in the work folder, so that a second run, with another Python environment for another
tracker (madmom wants an old numpy), only adds to it. BTrack is a program of your own: --btrack FILE
reads raw float32 mono at 44.1 kHz and prints a time in seconds for each beat.
"""
import argparse
import bisect
import glob
import json
import os
import subprocess
import sys

import numpy as np

MIDI = "/usr/share/games/openttd/baseset/openmsx/*.mid"
FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
SECS = 60
RATE = 44100


# General MIDI's drums by note.
KICKS, SNARES = {35, 36}, {37, 38, 39, 40}
HATS = {42, 44, 46, 49, 51, 53, 54, 57, 59, 70}


def midi_truth(path, on_grid=0.9):
    """Beats, onsets and drums of a MIDI file; None where it is not in 4/4 or 2/4, or where less than the
    share `on_grid` of the notes lies on sixteenths or triplets."""
    import mido

    midi = mido.MidiFile(path, clip=True)
    quarter = midi.ticks_per_beat
    tempos, signatures, notes, drums = [], [], [], []
    for track in midi.tracks:
        tick = 0
        for event in track:
            tick += event.time
            if event.type == "set_tempo":
                tempos.append((tick, event.tempo))
            elif event.type == "time_signature":
                signatures.append((event.numerator, event.denominator))
            elif event.type == "note_on" and event.velocity > 0:
                notes.append(tick)
                if event.channel == 9:
                    drums.append((tick, event.note))
    if not notes or any(s not in ((4, 4), (2, 4), (2, 2)) for s in signatures):
        return None
    sixteenth, triplet = quarter / 4, quarter / 3
    near = lambda tick, grid: min(tick % grid, grid - tick % grid)
    share = np.mean([min(near(t, sixteenth), near(t, triplet)) < 0.02 * quarter for t in notes])
    if share < on_grid:
        return None
    tempos = sorted(tempos)
    if not tempos or tempos[0][0] > 0:
        tempos.insert(0, (0, 500000))
    segments, secs = [], 0.0
    for i, (tick, micros) in enumerate(tempos):
        if i:
            secs += (tick - tempos[i - 1][0]) * tempos[i - 1][1] / 1e6 / quarter
        segments.append((tick, secs, micros))
    starts = [s[0] for s in segments]

    def at(tick):
        start, start_secs, micros = segments[bisect.bisect_right(starts, tick) - 1]
        return start_secs + (tick - start) * micros / 1e6 / quarter, 60e6 / micros

    first, last = min(notes), max(notes)
    beats = [k * quarter for k in range(-(-first // quarter), last // quarter + 1)]
    bars = set(signatures) <= {(4, 4)}
    cut = lambda ticks: [round(at(t)[0], 6) for t in ticks if at(t)[0] < SECS]
    return {
        "beats_secs": cut(beats),
        "downbeats_secs": cut(b for b in beats if b // quarter % 4 == 0) if bars else [],
        "bpm": [at(b)[1] for b in beats if at(b)[0] < SECS],
        "onsets_secs": cut(sorted(set(notes))),
        "kicks_secs": cut(sorted({t for t, note in drums if note in KICKS})),
        "snares_secs": cut(sorted({t for t, note in drums if note in SNARES})),
        "hats_secs": cut(sorted({t for t, note in drums if note in HATS})),
    }


def beats_alone(beats, bpm, bars=()):
    """The truth of a track of which only the beats are known, and perhaps the bars: as midi_truth's."""
    unknown = {f"{kind}_secs": None for kind in ("onsets", "kicks", "snares", "hats")}
    return {"beats_secs": list(beats), "downbeats_secs": list(bars), "bpm": list(bpm), **unknown}


def make_tracks(work):
    synth, midi = os.path.join(work, "synth"), os.path.join(work, "midi")
    if not glob.glob(synth + "/*.wav"):
        subprocess.run(
            ["cargo", "run", "-q", "-p", "xtask", "--", "listening-set", "--set", "held-out", "--out", synth],
            check=True,
        )
    os.makedirs(midi, exist_ok=True)
    sources = sorted(glob.glob(MIDI))
    if not sources or not os.path.exists(FONT):
        print("skipped: MIDI tracks need openttd-openmsx, fluidsynth and fluid-soundfont-gm", file=sys.stderr)
        return
    for source in sources:
        wav = os.path.join(midi, os.path.basename(source)[:-4] + ".wav")
        done = os.path.exists(wav) and os.path.exists(wav[:-4] + ".json")
        truth = None if done else midi_truth(source)
        if truth is None:
            continue
        with open(wav[:-4] + ".json", "w") as out:
            json.dump(truth, out)
        if os.path.exists(wav):
            continue
        # fluidsynth does not always stop by itself: the pipe breaks when enough was taken.
        player = subprocess.Popen(
            ["fluidsynth", "-ni", "-r", "48000", "-g", "0.6", "-O", "s16", "-T", "raw", "-F", "-", FONT, source],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        subprocess.run(
            ["ffmpeg", "-v", "error", "-y", "-f", "s16le", "-ar", "48000", "-ac", "2", "-i", "-", "-t", str(SECS), wav],
            stdin=player.stdout,
            check=True,
        )
        player.stdout.close()
        player.kill()
        player.wait()


def pcm(path, rate):
    command = ["ffmpeg", "-v", "error", "-i", path, "-ac", "1", "-ar", str(rate), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, dtype="<f4").copy()


def bendwave(path, args):
    out = path[:-4] + ".analysis"
    subprocess.run([args.bendwave, "analyze", path, "--out", out], check=True, stderr=subprocess.DEVNULL)
    heard = json.load(open(out))
    os.remove(out)
    names = ("beats", "onsets", "kicks", "snares", "hats")
    return {"bars": heard["downbeats_secs"], **{name: heard[name + "_secs"] for name in names}}


def aubio(path, _):
    import aubio as library

    samples, beats, onsets = pcm(path, RATE), [], []
    tempo = library.tempo("default", 1024, 512, RATE)
    onset = library.onset("default", 1024, 512, RATE)
    for start in range(0, len(samples) - 511, 512):
        block = samples[start : start + 512]
        if tempo(block):
            beats.append(float(tempo.get_last_s()))
        if onset(block):
            onsets.append(float(onset.get_last_s()))
    return {"beats": beats, "onsets": onsets}


def btrack(path, args):
    run = subprocess.run([args.btrack], input=pcm(path, RATE).tobytes(), capture_output=True, check=True)
    return {"beats": [float(t) for t in run.stdout.split()], "onsets": []}


def librosa(path, _):
    import librosa as library

    samples = pcm(path, 22050)
    _, beats = library.beat.beat_track(y=samples, sr=22050, units="time")
    onsets = library.onset.onset_detect(y=samples, sr=22050, units="time")
    return {"beats": [float(t) for t in beats], "onsets": [float(t) for t in onsets]}


def madmom_online(path, _):
    from madmom.audio.signal import Signal
    from madmom.features.beats import DBNBeatTrackingProcessor, RNNBeatProcessor

    network = RNNBeatProcessor(online=True, fps=100)
    # It was made before numpy took these names away.
    for name, kind in (("float", float), ("int", int), ("bool", bool)):
        if name not in np.__dict__:
            setattr(np, name, kind)
    samples = (32767 * pcm(path, RATE)).astype("<i2")
    activations = np.ravel(network(Signal(samples, RATE, num_channels=1)))
    tracker = DBNBeatTrackingProcessor(fps=100, online=True, min_bpm=60, max_bpm=200)
    beats = []
    for activation in activations:
        beats.extend(np.atleast_1d(tracker.process_online(np.array([activation]), reset=False)))
    return {"beats": [float(t) for t in beats], "onsets": []}


TRACKERS = {f.__name__.replace("_", "-"): f for f in (bendwave, btrack, aubio, madmom_online, librosa)}


def lock_secs(beats, truth):
    """When the first eight beats in a row are all there, and not twice as many."""
    hit = [bool(np.any(np.abs(beats - t) <= 0.07)) for t in truth]
    for i in range(len(truth) - 8):
        inside = (beats > truth[i] - 0.1) & (beats < truth[i + 7] + 0.1)
        if all(hit[i : i + 8]) and inside.sum() <= 9:
            return truth[i] - truth[0]
    return np.inf


def tempo_right(beats, truth, bpm):
    """Share of true beats at which the last intervals are within 4 % of the tempo."""
    right = []
    for time, tempo in zip(truth, bpm):
        if time >= 5:
            known = np.searchsorted(beats, time + 0.07)
            if known < 3:
                right.append(False)
                continue
            interval = np.median(np.diff(beats[max(0, known - 5) : known]))
            right.append(abs(60 / interval / tempo - 1) <= 0.04)
    return np.mean(right) if right else 0.0


def jumps(beats):
    """How often the tempo, of five intervals, becomes half or twice what it was five beats ago."""
    intervals = np.diff(beats)
    if len(intervals) < 12:
        return 0
    typical = np.array([np.median(intervals[k - 4 : k + 1]) for k in range(4, len(intervals))])
    octave = np.abs(np.abs(np.log2(typical[5:] / typical[:-5])) - 1) < 0.1
    return int(octave[0] + np.sum(octave[1:] & ~octave[:-1]))


def table(work):
    import mir_eval

    print("| tracks | tracker | n | beat F | AMLt | tempo | lock s | locked | jumps | onset F | bar F |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    of_all = {}
    for kind in ("synth", "midi", "songs"):
        for tracker in TRACKERS:
            rows = []
            for path in sorted(glob.glob(f"{work}/{kind}/*.wav")):
                answer = f"{path[:-4]}.{tracker}.answer"
                if not os.path.exists(answer):
                    continue
                heard, truth = json.load(open(answer)), json.load(open(path[:-4] + ".json"))
                late = lambda times: np.array([t for t in times if t >= 5])
                beats, right = np.array(heard["beats"]), np.array(truth["beats_secs"])
                score = lambda a, b: mir_eval.beat.f_measure(late(a), late(b)) if len(late(b)) else 0.0
                enough = len(late(beats)) > 2
                rows.append(
                    (
                        score(right, beats),
                        mir_eval.beat.continuity(late(right), late(beats))[3] if enough else 0.0,
                        tempo_right(beats, right, truth["bpm"]),
                        lock_secs(beats, right),
                        jumps(beats),
                        mir_eval.onset.f_measure(np.array(truth["onsets_secs"]), np.array(heard["onsets"]))[0]
                        if heard["onsets"] and truth["onsets_secs"]
                        else np.nan,
                        score(truth["downbeats_secs"], heard["bars"])
                        if heard.get("bars") and truth["downbeats_secs"]
                        else np.nan,
                    )
                )
            if rows:
                told_row(kind, tracker, rows)
                of_all.setdefault(tracker, []).extend(rows)
    most = max(map(len, of_all.values()), default=0)
    for tracker, rows in of_all.items():
        if len(rows) == most:
            told_row("all", tracker, rows)


def told_row(kind, tracker, rows):
    beat, amlt, tempo, lock, jump, onset, bar = np.array(rows).T
    told = lambda v: "–" if np.all(np.isnan(v)) else f"{np.nanmean(v):.3f}"
    print(
        f"| {kind} | {tracker} | {len(rows)} | {told(beat)} | {told(amlt)} | {np.mean(tempo):.2f} | "
        f"{np.median(lock):.1f} | {np.mean(np.isfinite(lock)):.0%} | {jump.sum():.0f} | {told(onset)} | {told(bar)} |"
    )


def drums(work):
    import mir_eval

    print("\n| F ±50 ms (precision, recall), median delay | onset | kick | snare | hat |")
    print("|---|---|---|---|---|")
    for kind in ("synth", "midi"):
        cells = []
        for name in ("onsets", "kicks", "snares", "hats"):
            scores, late = [], []
            for path in sorted(glob.glob(f"{work}/{kind}/*.bendwave.answer")):
                heard, truth = json.load(open(path)), json.load(open(path[: -len(".bendwave.answer")] + ".json"))
                if truth[name + "_secs"]:
                    known, told = np.array(truth[name + "_secs"]), np.array(heard[name])
                    scores.append(mir_eval.onset.f_measure(known, told))
                    late += [told[t] - known[k] for k, t in mir_eval.util.match_events(known, told, 0.05)]
            if scores:
                f, precision, recall = np.mean(scores, 0)
                cells.append(f"{f:.3f} ({precision:.2f}, {recall:.2f}), {1e3 * np.median(late):.0f} ms")
        if cells:
            print(f"| {kind} | {' | '.join(cells)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder for tracks and answers")
    parser.add_argument("--trackers", default="", help=f"besides bendwave: {', '.join(TRACKERS)}")
    parser.add_argument("--bendwave", default="target/release/bendwave")
    parser.add_argument("--btrack", default="btrack")
    args = parser.parse_args()
    make_tracks(args.work)
    for tracker in ["bendwave", *filter(None, args.trackers.split(","))]:
        for path in sorted(glob.glob(f"{args.work}/*/*.wav")):
            answer = f"{path[:-4]}.{tracker}.answer"
            if not os.path.exists(answer):
                heard = TRACKERS[tracker](path, args)
                with open(answer, "w") as out:
                    json.dump(heard, out)
    table(args.work)
    drums(args.work)


if __name__ == "__main__":
    main()
