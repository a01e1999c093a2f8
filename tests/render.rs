//! `bendwave render`: the picture moves with the music, the same every time.

use crate::support::program::{bendwave, succeed, text, tiny_model};
use crate::support::tools;
use std::f32::consts::TAU;
use std::path::Path;
use std::process::Command;

const RATE: u32 = 48_000;
const FPS: usize = 30;
/// Kicks, in seconds. Not on a frame's edge, and not evenly spaced.
const KICKS: [f32; 5] = [0.71, 1.33, 2.12, 2.77, 3.4];
const SECS: f32 = 4.0;

/// A quiet pad with kicks: a sine that falls from 160 to 50 Hz and dies within 150 ms.
fn write_track(path: &Path) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    let mut phase = 0.0;
    for n in 0..(SECS * RATE as f32) as u32 {
        let t = n as f32 / RATE as f32;
        let pad = 0.02 * (TAU * 330.0 * t).sin();
        let since = KICKS
            .iter()
            .filter(|&&k| t >= k)
            .map(|k| t - k)
            .fold(f32::MAX, f32::min);
        let mut kick = 0.0;
        if since < 0.4 {
            phase += TAU * (50.0 + 110.0 * (-since * 30.0).exp()) / RATE as f32;
            kick = 0.8 * (-since * 18.0).exp() * phase.sin();
        } else {
            phase = 0.0;
        }
        wav.write_sample(((pad + kick) * 32_000.0) as i16).unwrap();
    }
    wav.finalize().unwrap();
}

/// Mean absolute change from each frame of a video to the next, in 8-bit steps.
fn changes(video: &Path) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args([
            "-v",
            "error",
            "-i",
            text(video),
            "-f",
            "rawvideo",
            "-pix_fmt",
            "gray",
            "-",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let frames: Vec<&[u8]> = output.stdout.chunks_exact(32 * 32).collect();
    frames
        .windows(2)
        .map(|pair| {
            let sum: u32 = pair[0]
                .iter()
                .zip(pair[1])
                .map(|(&a, &b)| u32::from(a.abs_diff(b)))
                .sum();
            sum as f32 / (32.0 * 32.0)
        })
        .collect()
}

/// The line that names the frames' hash before encoding.
fn frames_hash(stderr: &[u8]) -> String {
    let said = String::from_utf8_lossy(stderr).into_owned();
    let (_, hash) = said
        .split_once("frames sha256 ")
        .unwrap_or_else(|| panic!("no hash: {said}"));
    hash.trim().to_owned()
}

#[test]
fn the_picture_changes_on_the_kicks_and_is_the_same_every_time() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let track = dir.path().join("track.wav");
    write_track(&track);
    let scene = dir.path().join("scene.yaml");
    std::fs::write(
        &scene,
        "seed: 5\ntransforms:\n- {layer: 3, transform: scale, params: [{signal: kick, range: [1.0, 1.8]}], features: all, feature-param: null}\n",
    )
    .unwrap();
    let render = |name: &str, extra: &[&str]| {
        let video = dir.path().join(name);
        let mut arguments = vec![
            "render",
            "--model",
            text(&model),
            "--audio",
            text(&track),
            "--scene",
            text(&scene),
            "--out",
            text(&video),
        ];
        arguments.extend(extra);
        let output = succeed(&arguments);
        (video.clone(), frames_hash(&output.stderr))
    };
    let (video, hash) = render("a.mp4", &[]);
    assert_eq!(hash, render("b.mp4", &[]).1, "two renders differ");
    assert_ne!(
        hash,
        render("c.mp4", &["--seed", "6"]).1,
        "another seed makes no difference"
    );

    // The first three frames after a kick against all frames at least half a second after one.
    let changes = changes(&video);
    assert_eq!(changes.len() + 1, (SECS * FPS as f32) as usize);
    let mean = |list: &[f32]| list.iter().sum::<f32>() / list.len() as f32;
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for (index, &change) in changes.iter().enumerate() {
        // Change `index` leads to frame `index + 1`, which knows the sound up to its end.
        let known_to = (index + 2) as f32 / FPS as f32;
        let since = KICKS
            .iter()
            .filter(|&&k| known_to >= k)
            .map(|k| known_to - k)
            .fold(f32::MAX, f32::min);
        if since < 0.1 {
            on.push(change);
        } else if since > 0.5 && known_to > 0.3 {
            off.push(change);
        }
    }
    println!(
        "mean change: {:.2} on kicks, {:.2} between, {} and {} frames",
        mean(&on),
        mean(&off),
        on.len(),
        off.len()
    );
    assert!(on.len() >= 10 && off.len() >= 5);
    assert!(
        mean(&on) > 5.0 * mean(&off).max(0.1),
        "{} on kicks, {} between",
        mean(&on),
        mean(&off)
    );

    // Sound and picture are in the file, equally long.
    let probe = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "stream=codec_type,duration",
            "-of",
            "csv=p=0",
            text(&video),
        ])
        .output()
        .unwrap();
    let streams = String::from_utf8_lossy(&probe.stdout).into_owned();
    for kind in ["video", "audio"] {
        let line = streams
            .lines()
            .find(|l| l.starts_with(kind))
            .unwrap_or_else(|| panic!("no {kind}: {streams}"));
        let secs: f32 = line.split(',').nth(1).unwrap().parse().unwrap();
        assert!((secs - SECS).abs() < 0.06, "{kind}: {secs} s");
    }
}

#[test]
fn rate_size_and_duration_are_as_asked() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let track = dir.path().join("track.wav");
    write_track(&track);
    let scene = dir.path().join("scene.yaml");
    std::fs::write(&scene, "latent: {walk: endless, speed: 2}\n").unwrap();
    let video = dir.path().join("v.mp4");
    succeed(&[
        "render",
        "--model",
        text(&model),
        "--audio",
        text(&track),
        "--scene",
        text(&scene),
        "--out",
        text(&video),
        "--fps",
        "25",
        "--size",
        "128x64",
        "--duration",
        "1.5",
    ]);
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-count_frames"])
        .args([
            "-show_entries",
            "stream=width,height,r_frame_rate,nb_read_frames",
            "-of",
            "csv=p=0",
            text(&video),
        ])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&probe.stdout).trim(),
        "128,64,25/1,38"
    );
}

#[test]
fn a_fixed_tempo_moves_the_picture_on_its_beats() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let track = dir.path().join("track.wav");
    write_track(&track);
    let scene = dir.path().join("scene.yaml");
    std::fs::write(
        &scene,
        "seed: 5\nmodulators:\n  turn: {steps: [0, 1], on: beat}\ntransforms:\n\
         - {layer: 6, transform: scalar-multiply, params: [{signal: turn, range: [1.0, -1.0]}]}\n",
    )
    .unwrap();
    let video = dir.path().join("v.mp4");
    let render = |clock: &str| {
        let output = succeed(&[
            "render",
            "--model",
            text(&model),
            "--audio",
            text(&track),
            "--scene",
            text(&scene),
            "--out",
            text(&video),
            "--clock",
            clock,
        ]);
        frames_hash(&output.stderr)
    };
    assert_ne!(render("97"), render("130"));
    let beat_frames = FPS as f32 * 60.0 / 130.0;
    let changes = changes(&video);
    let beats: Vec<usize> = (1..)
        .map(|beat| (beat_frames * beat as f32).ceil() as usize)
        // Change `index` leads to frame `index + 1`, which knows the time up to its end.
        .map(|frames| frames - 2)
        .take_while(|index| *index < changes.len())
        .collect();
    assert_eq!(beats.len(), 8);
    for (index, &change) in changes.iter().enumerate() {
        let turned = change > 10.0;
        assert_eq!(turned, beats.contains(&index), "{index}: {change}");
    }
    let refused = bendwave()
        .args(["render", "--audio", text(&track), "--scene", text(&scene)])
        .args(["--out", text(&video), "--clock", "tap"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("--clock tap"), "{said}");
}

/// A walk needs no music: `--duration` says how long it is. Without either there is no length.
#[test]
fn a_scene_without_music_lasts_as_long_as_is_asked() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let scene = dir.path().join("scene.yaml");
    std::fs::write(&scene, "latent: {seeds: [1, 2], speed: 1}\n").unwrap();
    let video = dir.path().join("v.mp4");
    let ask = |more: &[&str]| {
        bendwave()
            .args(["render", "--model", text(&model), "--scene", text(&scene)])
            .args(["--out", text(&video), "--fps", "10"])
            .args(more)
            .output()
            .unwrap()
    };
    let refused = ask(&[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--audio"));
    let made = ask(&["--duration", "1"]);
    assert!(made.status.success(), "{made:?}");
    let changes = changes(&video);
    assert_eq!(changes.len(), 9);
    assert!(changes.iter().all(|change| *change > 0.0), "{changes:?}");
}
