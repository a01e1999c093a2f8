//! `bendwave analyze`: what the ears hear in a file, as JSON, CSV and picture.

use crate::app::cli::AnalyzeArgs;
use crate::app::{plot, print, say};
use crate::audio::{self, AnalysisConfig, SignalTrack};
use crate::scene::Scene;
use crate::signal::{SIGNALS, SignalId};
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Bands that the JSON holds hop by hop.
const BANDS: [&str; 6] = ["sub", "bass", "low-mid", "mid", "high-mid", "air"];

pub(crate) fn run(args: &AnalyzeArgs) -> anyhow::Result<()> {
    let config = match &args.scene {
        Some(path) => Scene::load(path)?.analysis,
        None => AnalysisConfig::default(),
    };
    let sound = audio::decode(&args.audio)?;
    if let Some(warning) = &sound.warning {
        say(&format!("note: {warning}"));
    }
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    if let Some(path) = &args.hearing {
        let rows = audio::hearing_of(&sound)?;
        std::fs::write(path, bytemuck::cast_slice(&rows)).with_context(|| cannot(path))?;
    }
    let started = Instant::now();
    let track = audio::analyze_with(&sound, &config)?;
    let took_secs = started.elapsed().as_secs_f64();
    let text = serde_json::to_string(&summary(&track, sound.sample_rate))?;
    match &args.out {
        Some(path) => std::fs::write(path, text + "\n").with_context(|| cannot(path))?,
        None => print(&text)?,
    }
    if let Some(path) = &args.csv {
        let beside = || {
            args.out
                .as_ref()
                .unwrap_or(&args.audio)
                .with_extension("csv")
        };
        let path = path.clone().unwrap_or_else(beside);
        write_csv(&track, &path).with_context(|| cannot(&path))?;
    }
    if let Some(path) = &args.plot {
        plot::write(&sound, &track, path).with_context(|| cannot(path))?;
    }
    let secs = track.duration_secs();
    say(&format!(
        "{secs:.1} s of sound analysed in {took_secs:.2} s, {:.0} times as fast as it plays",
        secs / took_secs.max(1e-6)
    ));
    Ok(())
}

fn pulses(track: &SignalTrack, id: &str) -> Vec<f64> {
    SignalId::find(id).map_or_else(Vec::new, |id| track.pulses_secs(id))
}

/// Rounds to what is worth telling.
fn rounded(values: impl IntoIterator<Item = f64>, digits: i32) -> Value {
    let scale = 10.0_f64.powi(digits);
    values
        .into_iter()
        .map(|value| json!((value * scale).round() / scale))
        .collect()
}

fn summary(track: &SignalTrack, sample_rate: u32) -> Value {
    let snapshots = track.snapshots();
    let mut tempi: Vec<f32> = snapshots
        .iter()
        .map(|s| s.beat.bpm)
        .filter(|bpm| *bpm > 0.0)
        .collect();
    tempi.sort_by(f32::total_cmp);
    let tempo = tempi
        .get(tempi.len() / 2)
        .map(|bpm| (f64::from(*bpm) * 100.0).round() / 100.0);
    let mut bands = Map::new();
    for band in BANDS {
        if let Some(id) = SignalId::find(band) {
            let values = snapshots.iter().map(|s| f64::from(s.get(id)));
            bands.insert(band.to_owned(), rounded(values, 3));
        }
    }
    json!({
        "duration_secs": track.duration_secs(),
        "sample_rate_hz": sample_rate,
        "hop_secs": snapshots.first().map(|s| s.at_secs),
        "tempo_bpm": tempo,
        "beats_secs": rounded(track.beats_secs(), 4),
        "downbeats_secs": rounded(track.downbeats_secs(), 4),
        "onsets_secs": rounded(pulses(track, "onset"), 4),
        "kicks_secs": rounded(pulses(track, "kick"), 4),
        "snares_secs": rounded(pulses(track, "snare"), 4),
        "hats_secs": rounded(pulses(track, "hat"), 4),
        "bands": bands,
    })
}

/// A line for each hop, a column for each signal.
fn write_csv(track: &SignalTrack, path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write!(out, "at_secs,bpm,beat_count")?;
    for signal in SIGNALS {
        write!(out, ",{}", signal.id)?;
    }
    writeln!(out)?;
    for snapshot in track.snapshots() {
        let beat = &snapshot.beat;
        write!(
            out,
            "{:.6},{:.2},{}",
            snapshot.at_secs, beat.bpm, beat.count
        )?;
        for value in &snapshot.values {
            write!(out, ",{value:.4}")?;
        }
        writeln!(out)?;
    }
    out.flush()
}
