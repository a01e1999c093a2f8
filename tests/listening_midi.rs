//! The ears against real music: MIDI files, whose tempo they say, played by fluidsynth.
//!
//! Some pieces of the set of docs/listening.md, with whichever soundfont is there. What is measured there, on all
//! of them and beside other trackers, is `scripts/evaluate_ears.py`'s.

use crate::listening::{f_after, hear};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Debian's `openttd-openmsx`.
const MUSIC: &str = "/usr/share/games/openttd/baseset/openmsx";
/// Debian's `timgm6mb-soundfont`, `fluid-soundfont-gm` and `opl3-soundfont`.
const FONTS: [&str; 3] = [
    "/usr/share/sounds/sf2/TimGM6mb.sf2",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/opl3-soundfont.sf2",
];
/// Pieces with one tempo that were followed well when this was written: they guard it and measure nothing.
const PIECES: [&str; 10] = [
    "chemistry_lab",
    "coconut_run2",
    "flying_scotsman",
    "harp_harmony",
    "linns_basket",
    "mighty_giant_run",
    "modern_motion",
    "relax_song",
    "run_for_your_life",
    "ultimate_run",
];
const SECS: f64 = 40.0;

/// The only tempo that a MIDI file sets, in bpm.
fn tempo(midi: &[u8]) -> f64 {
    let events: Vec<&[u8]> = midi
        .windows(6)
        .filter(|at| at.starts_with(&[0xff, 0x51, 0x03]))
        .collect();
    let &[event] = &events[..] else {
        panic!("{} tempi", events.len());
    };
    60e6 / f64::from(u32::from_be_bytes([0, event[3], event[4], event[5]]))
}

/// Beat F after the first five seconds, and the share of hops with the right tempo.
fn heard_as_written(piece: &str, font: &str, dir: &Path) -> (f64, f64) {
    let midi = format!("{MUSIC}/{piece}.mid");
    let wav = dir.join(piece).with_extension("wav");
    let played = Command::new("fluidsynth")
        .args([
            "-ni", "-q", "-g", "0.6", "-r", "48000", "-O", "s16", "-T", "wav",
        ])
        .arg("-F")
        .args([wav.as_os_str(), font.as_ref(), midi.as_ref()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(played.success(), "fluidsynth: {midi}");
    let mut reader = hound::WavReader::open(&wav).unwrap();
    let samples: Vec<f32> = reader
        .samples::<i16>()
        .take(2 * 48_000 * SECS as usize)
        .map(|sample| f32::from(sample.unwrap()) / 32_768.0)
        .collect();
    let bpm = tempo(&fs::read(&midi).unwrap());
    let heard = hear(&samples);
    let truth: Vec<f64> = (0..)
        .map(|beat| f64::from(beat) * 60.0 / bpm)
        .take_while(|secs| *secs < SECS)
        .collect();
    let late: Vec<bool> = (heard.hops.iter().filter(|(secs, _)| *secs > 5.0))
        .map(|(_, beat)| (f64::from(beat.bpm) / bpm - 1.0).abs() < 0.04)
        .collect();
    let right = late.iter().filter(|right| **right).count() as f64 / late.len() as f64;
    (f_after(5.0, &heard.beats_secs, &truth), right)
}

#[test]
fn real_music_with_a_known_tempo_is_followed() {
    let font = FONTS.into_iter().find(|font| Path::new(font).exists());
    let synth = Command::new("fluidsynth").arg("--version").output();
    let (Some(font), Ok(_), true) = (font, synth, Path::new(MUSIC).exists()) else {
        eprintln!("skipped: this needs fluidsynth, timgm6mb-soundfont and openttd-openmsx");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (mut beats, mut tempi) = (0.0, 0.0);
    for piece in PIECES {
        let (f, right) = heard_as_written(piece, font, dir.path());
        println!("{piece}: beat F {f:.3}, tempo {right:.2}");
        beats += f / PIECES.len() as f64;
        tempi += right / PIECES.len() as f64;
    }
    println!("mean: beat F {beats:.3}, tempo {tempi:.2}");
    assert!(beats > 0.85, "beat F {beats}");
    assert!(tempi > 0.85, "tempo {tempi}");
}
