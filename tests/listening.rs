//! The ears against tracks whose truth is known: beat, bar, tempo, drums.

use std::path::PathBuf;

use bendwave::audio::{self, Analyzer, Decoded};
use bendwave::signal::{Beat, SignalId};
use xtask::listening_set::{Recipe, SAMPLE_RATE, Set, Track};

/// Times of beats and downbeats, interpolated between hops, and the beat at each hop.
pub(crate) struct Heard {
    pub(crate) beats_secs: Vec<f64>,
    downbeats_secs: Vec<f64>,
    pub(crate) hops: Vec<(f64, Beat)>,
}

pub(crate) fn hear(samples: &[f32]) -> Heard {
    let sound = Decoded {
        path: PathBuf::from("made here"),
        sample_rate: SAMPLE_RATE,
        channels: 2,
        samples: samples.to_vec(),
        warning: None,
    };
    let track = audio::analyze_all(&sound).unwrap();
    let mut heard = Heard {
        beats_secs: track.beats_secs(),
        downbeats_secs: track.downbeats_secs(),
        hops: Vec::new(),
    };
    heard
        .hops
        .extend(track.snapshots().iter().map(|s| (s.at_secs, s.beat)));
    heard
}

/// F-measure of the times after `from`, each truth matched once within ±70 ms.
pub(crate) fn f_after(from: f64, heard: &[f64], truth: &[f64]) -> f64 {
    let late =
        |times: &[f64]| -> Vec<f64> { times.iter().copied().filter(|t| *t > from).collect() };
    let (heard, truth) = (late(heard), late(truth));
    let (mut h, mut t, mut hits) = (0, 0, 0_u32);
    while h < heard.len() && t < truth.len() {
        let apart = heard[h] - truth[t];
        if apart < -0.07 {
            h += 1;
        } else if apart > 0.07 {
            t += 1;
        } else {
            hits += 1;
            h += 1;
            t += 1;
        }
    }
    2.0 * f64::from(hits) / (heard.len() + truth.len()).max(1) as f64
}

fn track(set: Set, named: &str) -> Track {
    let recipe = set
        .recipes()
        .into_iter()
        .find(|r: &Recipe| r.name().contains(named))
        .unwrap();
    recipe.play()
}

#[test]
fn the_measure_can_fail() {
    let truth = [6.0, 6.5, 7.0, 7.5];
    assert_eq!(f_after(5.0, &truth, &truth), 1.0);
    assert_eq!(f_after(5.0, &truth.map(|t| t + 0.25), &truth), 0.0);
    assert!(f_after(5.0, &truth[..2], &truth) < 0.7);
}

#[test]
fn beat_bar_and_tempo_are_followed() {
    // Steady with the bass off the beat, a tempo that drifts with a hard-clipped master, a break
    // without drums.
    for (set, named, least_beat, least_bar) in [
        (Set::Tuning, "tuning-00-house", 0.95, 0.9),
        (Set::Tuning, "tuning-13-break-a", 0.95, 0.9),
        (Set::HeldOut, "held-out-02", 0.8, 0.5),
    ] {
        let mut track = track(set, named);
        // As much as is needed.
        track.samples.truncate(2 * 48_000 * 32);
        track.truth.beats_secs.retain(|t| *t < 31.5);
        track.truth.downbeats_secs.retain(|t| *t < 31.5);
        let heard = hear(&track.samples);
        let beat = f_after(5.0, &heard.beats_secs, &track.truth.beats_secs);
        let bar = f_after(5.0, &heard.downbeats_secs, &track.truth.downbeats_secs);
        println!("{}: beat F {beat:.3}, bar F {bar:.3}", track.name);
        assert!(beat >= least_beat, "{}: {beat}", track.name);
        assert!(bar >= least_bar, "{}: {bar}", track.name);
        let last = track.truth.beats_secs.len() - 1;
        let at = heard
            .hops
            .partition_point(|(t, _)| *t < track.truth.beats_secs[last]);
        let off = f64::from(heard.hops[at].1.bpm) / track.truth.bpm[last] - 1.0;
        assert!(off.abs() < 0.04, "{}: tempo off by {off}", track.name);
    }
}

#[test]
fn phase_runs_forward_and_beats_count_up() {
    let track = track(Set::Tuning, "tuning-13-break-a");
    let heard = hear(&track.samples[..2 * 48_000 * 15]);
    for pair in heard.hops.windows(2) {
        let (before, now) = (pair[0].1, pair[1].1);
        assert!((0.0..1.0).contains(&now.phase));
        assert!(now.count == before.count || now.count == before.count + 1);
        assert!(now.beat_in_bar < 4);
        assert!((0.0..=1.0).contains(&now.confidence));
    }
    assert!(heard.hops.last().unwrap().1.confidence > 0.5);
}

#[test]
fn noise_and_silence_have_no_sure_beat() {
    let mut state = 7_u32;
    let noise: Vec<f32> = (0..2 * 48_000 * 10)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0 - 0.5
        })
        .collect();
    let heard = hear(&noise);
    let most = heard
        .hops
        .iter()
        .map(|(_, beat)| beat.confidence)
        .fold(0.0, f32::max);
    println!("most confidence in noise: {most}");
    assert!(most < 0.5, "{most}");
    let silent = hear(&vec![0.0; 2 * 48_000 * 5]);
    assert!(silent.hops.iter().all(|(_, beat)| *beat == Beat::NONE));
}

#[test]
fn a_drop_stands_out() {
    let mut demo = xtask::demo_track::render(60.0).unwrap();
    let drop_secs = demo
        .truth
        .sections
        .iter()
        .find(|(name, _)| *name == "drop")
        .unwrap()
        .1;
    let end = ((drop_secs + 3.0) * 48_000.0) as usize;
    demo.samples.truncate(2 * end);
    let mut analyzer = Analyzer::new(48_000, 2).unwrap();
    let salience = SignalId::find("salience").unwrap();
    let (mut begin, mut before, mut after) = (0.0_f32, 0.0_f32, 0.0_f32);
    analyzer.push(&demo.samples, |snapshot| {
        let since = snapshot.at_secs - drop_secs;
        let value = snapshot.get(salience);
        if snapshot.at_secs < 4.0 {
            begin = begin.max(value);
        } else if (-6.0..0.0).contains(&since) {
            before = before.max(value);
        } else if (0.0..3.0).contains(&since) {
            after = after.max(value);
        }
    });
    println!("salience in the beginning {begin}, before the drop {before}, after {after}");
    assert!(after > 0.6 && after > 1.4 * before, "{before} {after}");
    // Music that begins is no drop: nothing was there that it could stand out from.
    assert!(begin < 0.5 * after, "{begin} {after}");
}

#[test]
fn snares_of_the_tuning_set_are_heard() {
    let track = track(Set::Tuning, "tuning-01-rock");
    let mut analyzer = Analyzer::new(SAMPLE_RATE, 2).unwrap();
    let snare = SignalId::find("snare").unwrap();
    let (mut times, mut last) = (Vec::new(), 0.0);
    let until = 20;
    analyzer.push(&track.samples[..2 * 48_000 * until], |snapshot| {
        let value = snapshot.get(snare);
        if value == 1.0 && last < 1.0 {
            times.push(snapshot.at_secs);
        }
        last = value;
    });
    let mut truth = track.truth.snares_secs;
    truth.retain(|t| *t < until as f64);
    let f = f_after(0.0, &times, &truth);
    println!("{}: snare F {f:.3}", track.name);
    assert!(f > 0.85, "{f}");
}
