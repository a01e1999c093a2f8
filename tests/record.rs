//! Videos through a real ffmpeg, judged by ffprobe and by decoding them again.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bendwave::frame::{Frame, SharedFrame};
use bendwave::record::{AudioTrack, Pace, RecordError, RecordSettings, Recorder, Scaler};

use crate::support::tools;

/// Colour patches in quarters; the frame's number as a grey in the middle.
fn frame(width: u32, height: u32, index: u64, at_micros: u64) -> SharedFrame {
    let mut frame = Frame::black(width, height);
    for y in 0..height {
        for x in 0..width {
            let middle = (width / 4..3 * width / 4).contains(&x)
                && (height / 4..3 * height / 4).contains(&y);
            let rgb = match (x < width / 2, y < height / 2) {
                _ if middle => [grey(index); 3],
                (true, true) => [200, 30, 30],
                (false, true) => [20, 180, 40],
                (true, false) => [30, 40, 210],
                (false, false) => [230, 220, 60],
            };
            let at = ((y * width + x) * 4) as usize;
            frame.rgba[at..at + 3].copy_from_slice(&rgb);
        }
    }
    (frame.index, frame.at_micros) = (index, at_micros);
    Arc::new(frame)
}

fn grey(index: u64) -> u8 {
    (index * 4 % 256) as u8
}

fn sine(path: &Path, seconds: f64, rate: u32) {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..(seconds * f64::from(rate)) as u32 {
        let x = (f64::from(n) * 440.0 * std::f64::consts::TAU / f64::from(rate)).sin();
        for _ in 0..2 {
            wav.write_sample((x * 12_000.0) as i16).unwrap();
        }
    }
    wav.finalize().unwrap();
}

fn run(program: &str, arguments: &[&str], path: &Path) -> Output {
    let mut command = Command::new(program);
    for argument in arguments {
        if *argument == "PATH" {
            command.arg(path);
        } else {
            command.arg(argument);
        }
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// ffprobe's JSON, with frames counted by decoding.
fn probe(path: &Path) -> serde_json::Value {
    let arguments = "-v error -count_frames -show_streams -show_format -of json PATH";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    serde_json::from_slice(&run("ffprobe", &arguments, path).stdout).unwrap()
}

fn stream<'a>(probed: &'a serde_json::Value, kind: &str) -> Option<&'a serde_json::Value> {
    let streams = probed["streams"].as_array().unwrap();
    streams.iter().find(|s| s["codec_type"] == kind)
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

/// Every frame as RGB.
fn decode(path: &Path) -> Vec<u8> {
    let arguments = "-v error -i PATH -f rawvideo -pix_fmt rgb24 -sws_flags accurate_rnd \
                     -fps_mode passthrough -";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    run("ffmpeg", &arguments, path).stdout
}

fn pixel(rgb: &[u8], width: usize, x: usize, y: usize) -> [u8; 3] {
    let at = (y * width + x) * 3;
    rgb[at..at + 3].try_into().unwrap()
}

#[track_caller]
fn assert_near(got: [u8; 3], want: [u8; 3], tolerance: u8) {
    for (g, w) in got.into_iter().zip(want) {
        assert!(g.abs_diff(w) <= tolerance, "{got:?} is not {want:?}");
    }
}

/// Names in a folder, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A script that stands in for ffmpeg.
#[cfg(unix)]
fn script(dir: &Path, text: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join("fake-ffmpeg");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn every_frame_and_the_sound_are_in_the_video() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("tone.wav");
    sine(&sound, 5.0, 44_100);
    let path = dir.path().join("out.mp4");
    std::fs::write(&path, "an older video").unwrap();
    let mut settings = RecordSettings::offline(&path, 128, 96, 30);
    settings.audio = AudioTrack::File(sound);
    let mut recorder = Recorder::start(settings).unwrap();
    for index in 0..60 {
        // Times that no video could follow: offline, only the order counts.
        recorder.push(frame(128, 96, index, 7)).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "an older video",
        "the target changed before the end"
    );
    let done = recorder.finish().unwrap();
    assert_eq!((done.frames, done.skipped, done.repeated), (60, 0, 0));
    assert!((done.duration_secs - 2.0).abs() < 1e-9);
    assert_eq!(names(dir.path()), ["out.mp4", "tone.wav"]);

    let probed = probe(&path);
    let video = stream(&probed, "video").unwrap();
    assert_eq!(video["nb_read_frames"], "60");
    assert_eq!(
        (&video["width"], &video["height"]),
        (&128.into(), &96.into())
    );
    assert_eq!(video["avg_frame_rate"], "30/1", "not a constant rate");
    assert_eq!(video["pix_fmt"], "yuv420p");
    assert_eq!(video["color_space"], "bt709");
    assert_eq!(video["color_transfer"], "bt709");
    assert_eq!(video["color_primaries"], "bt709");
    assert_eq!(video["color_range"], "tv");
    assert!((number(&video["duration"]) - 2.0).abs() < 0.001, "{video}");
    let audio = stream(&probed, "audio").unwrap();
    assert_eq!(audio["codec_name"], "aac");
    // Cut at the end of the picture, to the length of an AAC frame.
    assert!((number(&audio["duration"]) - 2.0).abs() < 0.05, "{audio}");
    assert_eq!(number(&audio["start_time"]), 0.0);

    let frames = decode(&path);
    assert_eq!(frames.len(), 60 * 128 * 96 * 3);
    for (index, rgb) in frames.chunks_exact(128 * 96 * 3).enumerate() {
        assert_near(pixel(rgb, 128, 8, 8), [200, 30, 30], 4);
        assert_near(pixel(rgb, 128, 120, 8), [20, 180, 40], 4);
        assert_near(pixel(rgb, 128, 8, 88), [30, 40, 210], 4);
        assert_near(pixel(rgb, 128, 120, 88), [230, 220, 60], 4);
        assert_near(pixel(rgb, 128, 64, 48), [grey(index as u64); 3], 3);
    }
}

#[test]
fn a_size_adds_bars_and_keeps_the_shape() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (scaler, left, name) in [
        (Scaler::Lanczos, (320 - 180) / 2, "smooth.mp4"),
        (Scaler::Pixels, (320 - 128) / 2, "pixels.mkv"),
    ] {
        let path = dir.path().join(name);
        let mut settings = RecordSettings::offline(&path, 64, 64, 25);
        (settings.size, settings.scaler) = (Some((320, 180)), scaler);
        let mut recorder = Recorder::start(settings).unwrap();
        for index in 0..5 {
            recorder.push(frame(64, 64, index, 0)).unwrap();
        }
        assert!(!recorder.finish().unwrap().sound);
        let rgb = decode(&path);
        assert_eq!(rgb.len(), 5 * 320 * 180 * 3);
        let top = if scaler == Scaler::Pixels { 26 } else { 0 };
        assert_near(pixel(&rgb, 320, left - 4, 90), [0; 3], 3);
        assert_near(pixel(&rgb, 320, 320 - left + 3, 90), [0; 3], 3);
        assert_near(pixel(&rgb, 320, left + 6, top + 6), [200, 30, 30], 5);
        assert_near(pixel(&rgb, 320, 313 - left, 173 - top), [230, 220, 60], 5);
    }
}

#[test]
fn odd_sides_become_even() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("odd.mov");
    let mut recorder = Recorder::start(RecordSettings::offline(&path, 33, 31, 30)).unwrap();
    recorder.push(frame(33, 31, 0, 0)).unwrap();
    recorder.finish().unwrap();
    let probed = probe(&path);
    let video = stream(&probed, "video").unwrap();
    assert_eq!(
        (&video["width"], &video["height"]),
        (&34.into(), &32.into())
    );
}

#[test]
fn live_pictures_stay_with_the_sound() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.mp4");
    let (mut ring, samples) = rtrb::RingBuffer::new(48_000 * 2 * 2);
    let start_micros = 10_000_000;
    let mut settings = RecordSettings::live(&path, 64, 64, 30, start_micros);
    settings.audio = AudioTrack::Live {
        samples,
        sample_rate: 48_000,
        channels: 2,
    };
    let mut recorder = Recorder::start(settings).unwrap();
    // 20 frames a second for two seconds; the pictures say when they were made. The sound is
    // silent but for a click at 1 s.
    for n in 0..40_u64 {
        let at = n * 50_000;
        while !recorder
            .try_push(frame(64, 64, at / 33_334, start_micros + at))
            .unwrap()
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        for sample in 0..2400 {
            let x = if n == 20 && sample < 48 { 0.9 } else { 0.0 };
            ring.push(x).unwrap();
            ring.push(x).unwrap();
        }
        std::thread::sleep(Duration::from_millis(4));
    }
    let done = recorder.finish().unwrap();
    assert_eq!(done.warning, None);
    // The last picture is for 1.95 s: slot 58 or 59.
    assert!((58..=60).contains(&done.frames), "{done:?}");
    assert!(done.repeated >= 17, "{done:?}");
    assert_eq!(names(dir.path()), ["live.mp4"]);
    let probed = probe(&path);
    assert_eq!(stream(&probed, "video").unwrap()["avg_frame_rate"], "30/1");

    let frames = decode(&path);
    for (slot, rgb) in frames.chunks_exact(64 * 64 * 3).enumerate() {
        let made = f64::from(pixel(rgb, 64, 32, 32)[0]) / 4.0;
        let late = slot as f64 - made;
        assert!((-1.3..=3.0).contains(&late), "slot {slot} shows {made}");
    }
    let arguments: Vec<&str> = "-v error -i PATH -vn -f f32le -ac 1 -ar 48000 -"
        .split(' ')
        .collect();
    let sound = run("ffmpeg", &arguments, &path).stdout;
    let loud = sound
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .position(|x| x.abs() > 0.3)
        .expect("no click in the sound");
    assert!((47_900..48_100).contains(&loud), "click at sample {loud}");
}

#[test]
#[cfg(unix)]
fn a_slow_encoder_costs_frames_and_no_time() {
    let dir = tempfile::tempdir().unwrap();
    // Reads nothing for half a second, then the rest, and leaves something to join.
    let fake = script(
        dir.path(),
        "for last; do :; done\nsleep 0.5\ncat >/dev/null\necho x >\"${last#file:}\"",
    );
    let path = dir.path().join("slow.mp4");
    let mut settings = RecordSettings::live(&path, 512, 512, 30, 0);
    settings.ffmpeg = Some(fake);
    let mut recorder = Recorder::start(settings).unwrap();
    let picture = frame(512, 512, 0, 0);
    let (mut taken, mut longest) = (0, Duration::ZERO);
    for n in 0..100_u64 {
        let mut picture = Frame::clone(&picture);
        picture.at_micros = n * 33_333;
        let start = Instant::now();
        taken += u64::from(recorder.try_push(Arc::new(picture)).unwrap());
        longest = longest.max(start.elapsed());
    }
    assert!(longest < Duration::from_millis(50), "blocked {longest:?}");
    assert!(taken < 60, "{taken} frames fitted into the queue");
    assert_eq!(recorder.frames_skipped(), 100 - taken);
    let done = recorder.finish().unwrap();
    assert_eq!(done.skipped, 100 - taken);
}

#[test]
#[cfg(unix)]
fn a_killed_encoder_leaves_a_playable_part() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // The real one, which leaves its process id.
    let pid_file = dir.path().join("pid");
    let fake = script(
        dir.path(),
        &format!("echo $$ >'{}'\nexec ffmpeg \"$@\"", pid_file.display()),
    );
    let path = dir.path().join("show.mp4");
    let mut settings = RecordSettings::live(&path, 128, 128, 30, 0);
    settings.ffmpeg = Some(fake);
    let mut recorder = Recorder::start(settings).unwrap();
    let push =
        |recorder: &mut Recorder, n: u64| recorder.try_push(frame(128, 128, n, n * 1_000_000 / 30));
    for n in 0..90 {
        while !push(&mut recorder, n).unwrap() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let part = dir.path().join("show.part.ts");
    let deadline = Instant::now() + Duration::from_secs(20);
    while recorder.frames_written() < 90 || std::fs::metadata(&part).unwrap().len() < 4096 {
        assert!(Instant::now() < deadline, "the encoder does not run");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    let killed = Command::new("kill").args(["-9", pid.trim()]).status();
    assert!(killed.unwrap().success());
    let error = (90..10_000)
        .find_map(|n| {
            std::thread::sleep(Duration::from_millis(2));
            push(&mut recorder, n).err()
        })
        .expect("the death of the encoder went unnoticed");
    let RecordError::Encoder { how, kept, .. } = &error else {
        panic!("{error}");
    };
    assert!(how.contains("SIGKILL"), "{how}");
    assert_eq!(kept.0, std::slice::from_ref(&part));
    assert!(error.to_string().contains("show.part.ts"), "{error}");
    assert!(matches!(
        push(&mut recorder, 20_000),
        Err(RecordError::Ended)
    ));
    assert!(matches!(recorder.finish(), Err(RecordError::Ended)));
    assert!(!path.exists());
    let video = probe(&part);
    let frames = number(&stream(&video, "video").unwrap()["nb_read_frames"]);
    assert!(frames >= 85.0, "{frames} of 90 frames are readable");
}

#[test]
#[cfg(unix)]
fn what_ffmpeg_says_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let fake = script(dir.path(), "echo \"Unknown encoder 'libx264'\" >&2\nexit 3");
    let mut settings = RecordSettings::offline(dir.path().join("a.mp4"), 64, 64, 30);
    settings.ffmpeg = Some(fake);
    let mut recorder = Recorder::start(settings).unwrap();
    let error = (0..1000)
        .find_map(|n| recorder.push(frame(64, 64, n, 0)).err())
        .unwrap()
        .to_string();
    assert!(error.contains("status 3"), "{error}");
    assert!(error.contains("Unknown encoder 'libx264'"), "{error}");
    assert_eq!(names(dir.path()), ["fake-ffmpeg"], "an empty part stays");
}

#[test]
fn without_ffmpeg_one_sentence_helps() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = RecordSettings::offline(dir.path().join("a.mp4"), 64, 64, 30);
    settings.ffmpeg = Some(PathBuf::from("ffmpeg-that-nobody-has"));
    let error = Recorder::start(settings).unwrap_err();
    assert!(matches!(error, RecordError::NoFfmpeg { .. }));
    assert!(error.to_string().contains("sudo apt install ffmpeg"));
    assert!(names(dir.path()).is_empty());
}

#[test]
fn bad_settings_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let good = || RecordSettings::offline(dir.path().join("a.mp4"), 64, 64, 30);
    let bad: Vec<RecordSettings> = vec![
        RecordSettings { fps: 0, ..good() },
        RecordSettings { width: 0, ..good() },
        RecordSettings {
            size: Some((641, 480)),
            ..good()
        },
        RecordSettings {
            audio: AudioTrack::File(dir.path().join("missing.wav")),
            ..good()
        },
        RecordSettings {
            path: dir.path().join("a.gif"),
            ..good()
        },
        RecordSettings {
            path: dir.path().join("missing/a.mp4"),
            pace: Pace::Live { start_micros: 0 },
            ..good()
        },
    ];
    for settings in bad {
        let shown = format!("{settings:?}");
        let error = Recorder::start(settings).expect_err(&shown).to_string();
        assert!(!error.contains("ffmpeg"), "{error}");
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_sound_file_without_sound_is_told() {
    if !tools::have(&["ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("not.wav");
    std::fs::write(&sound, "no sound at all").unwrap();
    let mut settings = RecordSettings::offline(dir.path().join("a.mp4"), 64, 64, 30);
    settings.audio = AudioTrack::File(sound);
    let mut recorder = Recorder::start(settings).unwrap();
    for n in 0..10 {
        recorder.push(frame(64, 64, n, 0)).unwrap();
    }
    let wrong = recorder.push(frame(32, 64, 10, 0)).unwrap_err();
    assert!(matches!(wrong, RecordError::FrameSize { .. }), "{wrong}");
    let error = recorder.finish().unwrap_err().to_string();
    assert!(error.contains("not.wav"), "{error}");
    // The pictures were not in vain.
    assert!(error.contains("a.part.ts"), "{error}");
    assert_eq!(names(dir.path()), ["a.part.ts", "not.wav"]);
}

#[test]
fn no_frame_no_video() {
    if !tools::have(&["ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.mp4");
    let recorder = Recorder::start(RecordSettings::live(&path, 64, 64, 30, 0)).unwrap();
    assert!(matches!(
        recorder.finish(),
        Err(RecordError::NoFrames { .. } | RecordError::Encoder { .. })
    ));
    assert!(names(dir.path()).is_empty());
}
