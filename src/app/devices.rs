//! `bendwave devices`: what there is to perform with.

use crate::app::cli::DevicesArgs;
use crate::app::{explain_sound_noise, print};
use crate::audio::{self, AudioChoice, Direction};
use crate::generator::{Provider, Runtime};
use crate::{gpu, midi, present};
use serde_json::{Value, json};
use std::time::Duration;

/// A kind of device: its heading, one line for each device, and why there is none.
struct Section {
    key: &'static str,
    heading: &'static str,
    lines: Vec<String>,
    values: Vec<Value>,
    problem: Option<String>,
}

/// How long `--latency` listens.
const LISTEN: Duration = Duration::from_secs(3);

/// Listens to an input and tells where the time goes between a sample and its signal.
fn latency(name: Option<&str>) -> anyhow::Result<()> {
    let choice = AudioChoice::Device {
        name: name.map(str::to_owned),
        channels: None,
    };
    let live = audio::start(&choice, None)?;
    print(&live.status())?;
    std::thread::sleep(LISTEN);
    let (latency, counters) = (live.latency(), live.counters());
    let ms = |secs: f64| format!("{:8.2} ms", secs * 1e3);
    for (what, time, why) in [
        (
            "device",
            latency.device_secs,
            "age of the newest sample when it is handed over, as the sound system says",
        ),
        (
            "input buffer",
            latency.buffer_secs,
            "its oldest sample waits so long",
        ),
        ("hop", latency.hop_secs, "time between two snapshots"),
        ("analysis", latency.analysis_secs, "of one hop, mean"),
        ("", latency.slowest_analysis_secs, "of one hop, slowest"),
        (
            "window",
            latency.window_secs,
            "of the spectrum; an onset is seen long before it is full",
        ),
    ] {
        print(&format!("  {what:<12} {}  {why}", ms(time)))?;
    }
    let mean = latency.device_secs
        + 0.5 * (latency.buffer_secs + latency.hop_secs)
        + latency.analysis_secs;
    print(&format!(
        "  {:<12} {}  from a sample to its snapshot, on average",
        "together",
        ms(mean)
    ))?;
    print(&format!("  {} samples lost", counters.overrun_samples))?;
    print("The way from a frame to the screen is in the overlay of `bendwave perform` (key S).")
}

pub(crate) fn run(args: &DevicesArgs) -> anyhow::Result<()> {
    if args.latency {
        return latency(args.audio.as_deref());
    }
    let sections = [
        sound(
            Direction::Input,
            "audio_inputs",
            "Audio inputs (--audio NAME or NUMBER)",
        ),
        sound(
            Direction::Output,
            "audio_outputs",
            if audio::OUTPUTS_ARE_HEARD {
                "Audio outputs (--audio NAME hears what one plays)"
            } else {
                "Audio outputs"
            },
        ),
        midi_ports(),
        adapters(),
        providers(args),
        monitors(),
    ];
    if args.json {
        let mut all = serde_json::Map::new();
        for section in sections {
            let value = match section.problem {
                Some(problem) => json!({"items": section.values, "problem": problem}),
                None => json!({"items": section.values}),
            };
            all.insert(section.key.to_owned(), value);
        }
        return print(&serde_json::to_string_pretty(&Value::Object(all))?);
    }
    explain_sound_noise();
    for section in sections {
        print(section.heading)?;
        for line in &section.lines {
            print(&format!("  {line}"))?;
        }
        match &section.problem {
            Some(problem) => print(&format!("  none: {problem}"))?,
            None if section.lines.is_empty() => print("  none")?,
            None => {}
        }
    }
    Ok(())
}

fn sound(direction: Direction, key: &'static str, heading: &'static str) -> Section {
    let devices: Vec<_> = audio::devices()
        .into_iter()
        .filter(|d| d.direction == direction)
        .collect();
    Section {
        key,
        heading,
        lines: devices
            .iter()
            .map(|d| {
                let default = if d.is_default { ", default" } else { "" };
                format!("{}: {} ({}, {} Hz, {} channels{default})", d.index, d.name, d.host, d.sample_rate, d.channels)
            })
            .collect(),
        values: devices
            .iter()
            .map(|d| {
                json!({"index": d.index, "name": d.name, "host": d.host, "sample_rate": d.sample_rate,
                       "channels": d.channels, "default": d.is_default})
            })
            .collect(),
        problem: None,
    }
}

fn midi_ports() -> Section {
    let (ports, problem) = match midi::ports() {
        Ok(ports) => (ports, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Section {
        key: "midi_ports",
        heading: "MIDI inputs (device: in a mapping)",
        values: ports.iter().map(|p| json!(p)).collect(),
        lines: ports,
        problem,
    }
}

fn adapters() -> Section {
    let adapters = gpu::adapters();
    Section {
        key: "gpu_adapters",
        heading: "GPU adapters (--gpu NUMBER or NAME)",
        lines: adapters
            .iter()
            .map(|a| format!("{}: {} ({}, {}) {}", a.index, a.name, a.backend, a.kind, a.driver))
            .collect(),
        values: adapters
            .iter()
            .map(|a| json!({"index": a.index, "name": a.name, "backend": a.backend, "kind": a.kind, "driver": a.driver}))
            .collect(),
        problem: None,
    }
}

fn providers(args: &DevicesArgs) -> Section {
    let runtime = Runtime::load(args.ort_lib.as_deref());
    let (names, problem) = match &runtime {
        Ok(runtime) => (
            Provider::ALL
                .into_iter()
                .filter(|p| p.built_in(runtime))
                .map(Provider::name)
                .collect(),
            None,
        ),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let library = runtime
        .as_ref()
        .map(|r| r.library().display().to_string())
        .unwrap_or_default();
    Section {
        key: "providers",
        heading: "ONNX Runtime providers (--provider NAME), best first",
        lines: names.iter().map(|n| format!("{n} in {library}")).collect(),
        values: names
            .iter()
            .map(|n| json!({"name": n, "library": library}))
            .collect(),
        problem,
    }
}

fn monitors() -> Section {
    let (monitors, problem) = if present::has_display() {
        match present::monitors() {
            Ok(monitors) => (monitors, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        }
    } else {
        let why = "there is no display (DISPLAY and WAYLAND_DISPLAY are empty)";
        (Vec::new(), Some(why.to_owned()))
    };
    Section {
        key: "monitors",
        heading: "Monitors (--monitor NUMBER)",
        lines: monitors.iter().map(ToString::to_string).collect(),
        values: monitors
            .iter()
            .map(
                |m| json!({"index": m.index, "name": m.name, "width": m.width, "height": m.height}),
            )
            .collect(),
        problem,
    }
}
