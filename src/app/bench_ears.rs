//! What hearing costs: the time of each hop of a sound, on this thread.

use crate::app::bench::{Times, machine, write_json};
use crate::app::print;
use crate::audio::{self, Analyzer};
use anyhow::bail;
use serde_json::json;
use std::convert::Infallible;
use std::path::Path;

/// Hops before it counts: caches are cold.
const WARM_UP: usize = 200;

pub(crate) fn run(path: &Path, json_out: Option<&Path>) -> anyhow::Result<()> {
    let sound = audio::decode(path)?;
    let channels = sound.channels;
    let mut analyzer = Analyzer::new(sound.sample_rate, channels)?;
    let hop_secs = analyzer.hop_secs();
    let hop_samples = channels * (hop_secs * f64::from(sound.sample_rate)).round() as usize;
    let mut times = Times::default();
    for (number, hop) in sound.samples.chunks_exact(hop_samples).enumerate() {
        let Ok(()) = times.time::<Infallible>(number >= WARM_UP, || {
            analyzer.push(hop, |snapshot| {
                std::hint::black_box(snapshot);
            });
            Ok(())
        });
    }
    if times.0.is_empty() {
        bail!(
            "{}: {:.1} s are too short to measure; it takes more than {:.1}",
            path.display(),
            sound.duration_secs(),
            WARM_UP as f64 * hop_secs
        );
    }
    let mean = times.0.iter().sum::<f64>() / times.0.len() as f64;
    let [p50, p99, longest] = [0.5, 0.99, 1.0].map(|quantile| times.at(quantile));
    print(&format!("machine: {}", machine()))?;
    print(&format!(
        "{} hops of {:.2} ms: {} samples at {} Hz, {channels} channels",
        times.0.len(),
        hop_secs * 1e3,
        hop_samples / channels,
        sound.sample_rate
    ))?;
    for (name, secs) in [
        ("p50", p50),
        ("p99", p99),
        ("longest", longest),
        ("mean", mean),
    ] {
        print(&format!(
            "{name:<8} {:>8.1} µs {:>6.2} % of the hop",
            secs * 1e6,
            100.0 * secs / hop_secs
        ))?;
    }
    if let Some(out) = json_out {
        let all = json!({
            "machine": machine(),
            "sample_rate_hz": sound.sample_rate,
            "channels": channels,
            "hops": times.0.len(),
            "hop_secs": hop_secs,
            "p50_secs": p50,
            "p99_secs": p99,
            "longest_secs": longest,
            "mean_secs": mean,
        });
        write_json(out, &all)?;
    }
    Ok(())
}
