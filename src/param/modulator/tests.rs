use crate::param::{Drive, Modulator, ModulatorBank, Named, with_modulators};
use crate::signal::{Beat, SignalId, Snapshot};

/// Reads `modulators:` as a scene does.
fn read(text: &str) -> Result<Vec<Modulator>, String> {
    let names = text
        .lines()
        .filter_map(|line| Some(line.split_once(": {")?.0.to_owned()))
        .collect();
    let (read, modulators) = with_modulators(names, || serde_yaml::from_str::<Named>(text));
    read.map_err(|e| e.to_string())?;
    Ok(modulators.into_iter().flatten().collect())
}

/// A snapshot at `secs` of music at 120 bpm, with `kick` at each second's start as the analysis
/// makes it: 1, falling within a quarter of a second.
fn music(secs: f64) -> Snapshot {
    let mut snapshot = Snapshot::SILENCE;
    snapshot.at_secs = secs;
    let beats = secs * 2.0;
    snapshot.set_beat(Beat {
        phase: beats.fract() as f32,
        beat_in_bar: (beats as u64 % 4) as u8,
        bpm: 120.0,
        confidence: 1.0,
        count: beats as u64,
    });
    let kick = SignalId::find("kick").unwrap();
    snapshot.values[kick.index()] = (1.0 - secs.fract() / 0.25).max(0.0).powi(2) as f32;
    snapshot
}

/// The values of all modulators at each sixth of a second, after `secs` at `fps`.
fn run(modulators: &[Modulator], fps: u32, secs: u32) -> Vec<Vec<f32>> {
    let mut bank = ModulatorBank::default();
    bank.reset(modulators.len());
    let mut out = Vec::new();
    for frame in 0..=fps * secs {
        let at = f64::from(frame) / f64::from(fps);
        let dt = if frame == 0 { 0.0 } else { 1.0 / fps as f32 };
        bank.evaluate(modulators, &music(at), dt);
        if frame * 6 % fps == 0 {
            out.push(bank.values().to_vec());
        }
    }
    out
}

const OF_TIME: &str = "
sine: {lfo: sine, beats: 3}
triangle: {lfo: triangle, secs: 0.7, phase: 0.3}
saw: {lfo: saw, beats: 5}
random: {lfo: random, beats: 0.75}
noise: {lfo: noise, secs: 0.9, seed: 5}
steps: {steps: [0, 0.5, 1], on: beat}
count: {count: 8, on: bar}
hits: {envelope: ar, beats: 1, attack_secs: 0.05, release_secs: 0.25}
pad: {envelope: adsr, secs: 1.1, attack_secs: 0.1, decay_secs: 0.2, sustain: 0.4, hold_secs: 0.3, release_secs: 0.2}
";

#[test]
fn what_runs_on_time_is_the_same_at_24_and_144_frames() {
    let modulators = read(OF_TIME).unwrap();
    let (slow, fast) = (run(&modulators, 24, 20), run(&modulators, 144, 20));
    assert_eq!(slow.len(), fast.len());
    for (at, (a, b)) in slow.iter().zip(&fast).enumerate() {
        for (index, (a, b)) in a.iter().zip(b).enumerate() {
            // What jumps may jump to either side of a frame whose time is rounded.
            let edge = (at as f64 / 6.0 * 20.0).fract() == 0.0 && (2..=6).contains(&index);
            assert!((a - b).abs() < 2e-3 || edge, "{index} at {at}/6 s: {a} {b}");
        }
    }
    for index in 0..modulators.len() {
        let values = slow.iter().map(|v| v[index]);
        let (low, high) = values.fold((1.0f32, 0.0f32), |(l, h), v| (l.min(v), h.max(v)));
        assert!(low < 0.35 && high > 0.6, "{index} moves: {low} to {high}");
    }
}

#[test]
fn what_follows_signals_differs_by_a_frame_at_most() {
    let modulators = read(
        "hit: {envelope: ar, on: kick, attack_secs: 0.2, release_secs: 0.3}\n\
         taken: {sample: hit, on: kick}\n\
         lag: {slew: kick, rise_secs: 0.5, fall_secs: 1.0}\n\
         turn: {steps: [0, 1], on: kick, threshold: 0.3}\n",
    )
    .unwrap();
    let (slow, fast) = (run(&modulators, 24, 6), run(&modulators, 144, 6));
    for (at, (a, b)) in slow.iter().zip(&fast).enumerate() {
        // A frame of 1/24 s on the steepest slopes: 1/0.2 s, and kick's own fall into the slew.
        assert!((a[0] - b[0]).abs() < 0.21, "{at}: {a:?} {b:?}");
        assert!((a[2] - b[2]).abs() < 0.1, "{at}: {a:?} {b:?}");
        assert_eq!(a[3], b[3], "{at}: each kick turns it once");
    }
    assert_eq!(slow[3][3], 1.0);
    assert_eq!(slow[9][3], 0.0);
}

#[test]
fn beats_are_counted_from_the_bar() {
    let modulators = read(
        "bar: {lfo: saw, beats: 4}\n"
            .replace("bar", "whole")
            .as_str(),
    )
    .unwrap();
    let mut bank = ModulatorBank::default();
    bank.reset(1);
    let mut snapshot = Snapshot::SILENCE;
    // The count and the bar disagree: the bar was counted anew.
    snapshot.set_beat(Beat {
        phase: 0.5,
        beat_in_bar: 1,
        bpm: 100.0,
        confidence: 1.0,
        count: 10,
    });
    bank.evaluate(&modulators, &snapshot, 0.01);
    assert_eq!(bank.values(), [1.5 / 4.0]);
}

#[test]
fn without_a_tempo_no_beat_comes() {
    let modulators = read(
        "hits: {envelope: ar, beats: 1}\nloud: {sample: level, beats: 1}\nsteps: {steps: [0.3, 1], on: beat}\n",
    )
    .unwrap();
    let mut bank = ModulatorBank::default();
    bank.reset(3);
    let mut snapshot = Snapshot::SILENCE;
    snapshot.values[SignalId::find("level").unwrap().index()] = 1.0;
    for _ in 0..100 {
        bank.evaluate(&modulators, &snapshot, 0.02);
    }
    assert_eq!(bank.values(), [0.0, 0.0, 0.3]);
}

#[test]
fn a_note_opens_an_envelope_until_it_ends() {
    let modulators = read(
        "key: {envelope: adsr, on: {note: 36}, attack_secs: 0, decay_secs: 0, sustain: 0.5, release_secs: 0}\n\
         turn: {steps: [0, 0.5, 1], on: {note: 36}}\n",
    )
    .unwrap();
    let mut bank = ModulatorBank::default();
    bank.reset(2);
    let mut frame = |played: &[(u8, f32)]| {
        for (note, velocity) in played {
            bank.play(*note, *velocity);
        }
        bank.evaluate(&modulators, &Snapshot::SILENCE, 0.1);
        [bank.values()[0], bank.values()[1]]
    };
    assert_eq!(frame(&[(37, 1.0), (200, 1.0)]), [0.0, 0.0]);
    assert_eq!(frame(&[(36, 0.5)])[1], 0.5);
    assert_eq!(frame(&[])[0], 0.25, "sustain times velocity");
    assert_eq!(frame(&[(36, 0.0)])[0], 0.25);
    assert_eq!(frame(&[])[0], 0.0);
    // Pressed and let go within one frame.
    assert_eq!(frame(&[(36, 1.0), (36, 0.0)])[1], 1.0);
}

#[test]
fn evaluation_allocates_nothing() {
    let modulators = read(OF_TIME).unwrap();
    let mut bank = ModulatorBank::default();
    bank.reset(modulators.len());
    let mut sum = 0.0;
    crate::rt::no_alloc::without_alloc(|| {
        for frame in 0..100 {
            bank.play(40, 0.5);
            bank.evaluate(&modulators, &music(f64::from(frame) / 60.0), 1.0 / 60.0);
            sum += bank.values().iter().sum::<f32>();
        }
    });
    assert!(sum > 0.0);
}

#[test]
fn one_may_use_those_above_it_and_drives_use_all() {
    let names = vec!["slow".to_owned(), "taken".to_owned()];
    let text = "slow: {lfo: sine, beats: 8}\ntaken: {sample: slow, beats: 1}\n";
    let (drives, modulators) = with_modulators(names, || {
        serde_yaml::from_str::<Named>(text).unwrap();
        serde_yaml::from_str::<Vec<Drive>>(
            "[{signal: taken}, {signal: [kick, {lfo: square, secs: 2, width: 0.2}]}]",
        )
        .unwrap()
    });
    assert_eq!(modulators.iter().flatten().count(), 3);
    assert!(matches!(drives[0], Drive::Signal(_)));
    let wrong = read("taken: {sample: slow, beats: 1}\nslow: {lfo: sine, beats: 8}\n");
    assert!(wrong.unwrap_err().contains("further down"));
}

#[test]
fn errors_name_line_key_and_range() {
    for (entry, words) in [
        ("{beats: 1}", &["0 kinds", "lfo, envelope"][..]),
        ("{lfo: sine, steps: [1], beats: 1}", &["2 kinds"]),
        ("{lfo: sine}", &["beats: N", "secs: N"]),
        ("{lfo: sinus, beats: 1}", &["sinus", "triangle"]),
        (
            "{lfo: sine, beats: 0}",
            &["beats", "[0.015625, 4096] beats"],
        ),
        ("{lfo: sine, secs: 1e9}", &["secs", "[0.01, 86400] seconds"]),
        ("{lfo: sine, beats: 1, secs: 1}", &["only one"]),
        ("{lfo: sine, on: kick}", &["lfo", "beats or secs"]),
        ("{lfo: sine, beats: 1, width: 0.2}", &["width", "nothing"]),
        ("{lfo: square, beats: 1, width: 2}", &["width", "[0, 1]"]),
        ("{lfo: saw, beats: 1, phase: -1}", &["phase", "[0, 1]"]),
        ("{envelope: ar, on: kik}", &["on", "kik", "kick"]),
        ("{envelope: ar, on: {note: 128}}", &["note", "0 to 127"]),
        (
            "{envelope: ar, on: kick, sustain: 0.5}",
            &["sustain", "nothing"],
        ),
        (
            "{envelope: adsr, on: kick, sustain: 2}",
            &["sustain", "[0, 1]"],
        ),
        (
            "{envelope: ar, beats: 1, threshold: 0.5}",
            &["threshold", "on:"],
        ),
        ("{steps: [], on: beat}", &["steps", "1 to 256"]),
        ("{steps: [2], on: beat}", &["steps", "[0, 1]"]),
        ("{count: 1, on: beat}", &["count", "2 to 65536"]),
        ("{slew: level, beats: 1}", &["slew", "without"]),
        (
            "{slew: level, rise_secs: 601}",
            &["rise_secs", "[0, 600] seconds"],
        ),
        (
            "{sample: level, beats: 1, colour: red}",
            &["colour", "unknown"],
        ),
        (
            "{sample: {lfo: sine, beats: 1}, beats: 1}",
            &["by its name"],
        ),
    ] {
        let error = read(&format!("fine: {{lfo: sine, beats: 1}}\nwrong: {entry}\n")).unwrap_err();
        for word in words.iter().chain(&["line 2"]) {
            assert!(error.contains(word), "{entry}: {error}");
        }
    }
}
