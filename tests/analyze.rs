//! `bendwave analyze`, as its user runs it.

use std::path::Path;
use std::process::{Command, Output};

use bendwave::signal::SIGNALS;
use serde_json::Value;

fn analyze(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bendwave"))
        .arg("analyze")
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap()
}

#[test]
fn a_track_becomes_json_csv_and_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    let demo = xtask::demo_track::render(16.0).unwrap();
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(dir.path().join("a.wav"), spec).unwrap();
    for sample in &demo.samples {
        writer.write_sample((sample * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    let args = ["a.wav", "--out", "a.json", "--csv", "--plot", "a.png"];
    let output = analyze(&args, dir.path());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("times as fast as it plays"), "{told}");

    let text = std::fs::read_to_string(dir.path().join("a.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert!((json["duration_secs"].as_f64().unwrap() - 16.0).abs() < 0.01);
    let tempo = json["tempo_bpm"].as_f64().unwrap();
    assert!(
        (tempo / xtask::demo_track::BPM - 1.0).abs() < 0.04,
        "{tempo}"
    );
    let beats: Vec<f64> = json["beats_secs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_f64().unwrap())
        .collect();
    assert!(beats.len() > 20 && beats.is_sorted(), "{beats:?}");
    for key in ["onsets_secs", "kicks_secs", "hats_secs"] {
        assert!(json[key].as_array().unwrap().len() > 8, "{key}");
    }
    let hops = json["bands"]["bass"].as_array().unwrap().len();
    let hop_secs = json["hop_secs"].as_f64().unwrap();
    assert!((hops as f64 * hop_secs - 16.0).abs() < 0.02);

    let csv = std::fs::read_to_string(dir.path().join("a.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next().unwrap().split(',').count(), 3 + SIGNALS.len());
    assert_eq!(lines.count(), hops);

    let picture = std::fs::File::open(dir.path().join("a.png")).unwrap();
    let decoder = png::Decoder::new(std::io::BufReader::new(picture));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    let bright = pixels.iter().filter(|p| **p > 150).count();
    assert!(bright > pixels.len() / 100, "{bright} of {}", pixels.len());
}

#[test]
fn what_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = analyze(&["missing.wav"], dir.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing.wav"));
    std::fs::write(dir.path().join("s.yaml"), "analysis: {bands: [[9, 3]]}").unwrap();
    let output = analyze(&["missing.wav", "--scene", "s.yaml"], dir.path());
    assert!(String::from_utf8_lossy(&output.stderr).contains("bands[0]"));
}
