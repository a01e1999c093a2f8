//! What the ears hear: known sounds in, known signals out.

use std::f32::consts::TAU;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::no_alloc::without_alloc;
use bendwave::audio::{self, Analyzer, AudioError, Decoded, SignalTrack};
use bendwave::signal::{COUNT, SIGNALS, SignalId, Snapshot};

use crate::support::tools;

const RATE: u32 = 48_000;

fn get(snapshot: &Snapshot, id: &str) -> f32 {
    snapshot.get(SignalId::find(id).unwrap())
}

fn sound(sample_rate: u32, channels: usize, samples: Vec<f32>) -> Decoded {
    Decoded {
        path: PathBuf::from("made here"),
        sample_rate,
        channels,
        samples,
        warning: None,
    }
}

fn sine(hz: f32, gain: f32, secs: f32, sample_rate: u32) -> Vec<f32> {
    (0..(secs * sample_rate as f32) as usize)
        .map(|n| {
            // The phase needs more digits than f32 has.
            let turns = f64::from(hz) * n as f64 / f64::from(sample_rate);
            gain * (TAU * turns.fract() as f32).sin()
        })
        .collect()
}

/// The demo track at its full length, made once.
fn demo() -> &'static xtask::demo_track::Track {
    static TRACK: OnceLock<xtask::demo_track::Track> = OnceLock::new();
    TRACK.get_or_init(|| xtask::demo_track::render(75.0).unwrap())
}

fn demo_signals() -> &'static SignalTrack {
    static SIGNALS: OnceLock<SignalTrack> = OnceLock::new();
    SIGNALS.get_or_init(|| audio::analyze_all(&sound(RATE, 2, demo().samples.clone())).unwrap())
}

/// Times at which a pulse signal jumps to 1.
fn pulses(track: &SignalTrack, id: &str) -> Vec<f64> {
    let id = SignalId::find(id).unwrap();
    let all = track.snapshots();
    (0..all.len())
        .filter(|n| all[*n].get(id) == 1.0 && (*n == 0 || all[*n - 1].get(id) < 1.0))
        .map(|n| all[n].at_secs)
        .collect()
}

/// F-measure of `heard` against `truth`: each truth matches at most one, within ±`window_secs`.
/// Also the mean delay of the matches.
fn f_measure(heard: &[f64], truth: &[f64], window_secs: f64) -> (f64, f64) {
    let (mut h, mut t, mut hits, mut delay) = (0, 0, 0_u32, 0.0);
    while h < heard.len() && t < truth.len() {
        let late = heard[h] - truth[t];
        if late < -window_secs {
            h += 1;
        } else if late > window_secs {
            t += 1;
        } else {
            hits += 1;
            delay += late;
            h += 1;
            t += 1;
        }
    }
    let f = 2.0 * f64::from(hits) / (heard.len() + truth.len()) as f64;
    (f, delay / f64::from(hits.max(1)))
}

/// All times of the lists, ascending; those closer than 25 ms count once.
fn merged(lists: &[&[f64]]) -> Vec<f64> {
    let mut all: Vec<f64> = lists.concat();
    all.sort_by(f64::total_cmp);
    all.dedup_by(|later, earlier| *later - *earlier < 0.025);
    all
}

#[test]
fn the_measure_can_fail() {
    let truth = [1.0, 2.0, 3.0];
    assert_eq!(f_measure(&truth, &truth, 0.05), (1.0, 0.0));
    assert_eq!(f_measure(&[1.2, 2.2, 3.2], &truth, 0.05).0, 0.0);
    assert_eq!(f_measure(&[1.0], &truth, 0.05).0, 0.5);
    assert_eq!(f_measure(&[1.0, 1.01, 1.02], &[1.0], 0.05).0, 0.5);
}

#[test]
fn kicks_of_the_demo_track_are_heard() {
    let truth = &demo().truth;
    let heard = pulses(demo_signals(), "kick");
    let (f, delay_secs) = f_measure(&heard, &truth.kicks_secs, 0.05);
    println!(
        "kick: F {f:.3}, {} heard of {}, {:.1} ms late",
        heard.len(),
        truth.kicks_secs.len(),
        1e3 * delay_secs
    );
    // The break has no kick.
    let in_break = heard.iter().filter(|t| (31.5..42.4).contains(*t)).count();
    println!("kicks in the break: {in_break}");
    assert!(f >= 0.95, "F {f}");
    assert!(in_break <= 2, "{in_break} in the break");
    assert!(delay_secs < 0.03, "{delay_secs}");
}

#[test]
fn onsets_and_hats_of_the_demo_track_are_heard() {
    let truth = &demo().truth;
    let drums = merged(&[&truth.kicks_secs, &truth.claps_secs]);
    let high = merged(&[&drums, &truth.hats_secs]);
    let every = merged(&[&high, &truth.bass_secs, &truth.notes_secs]);
    // All that counts as right, what must not be missed, least precision and recall.
    for (id, right, wanted, precision, recall) in [
        ("onset", &every, &drums, 0.97, 0.95),
        ("hat", &high, &high, 0.95, 0.65),
    ] {
        let heard = pulses(demo_signals(), id);
        // F = 2·hits / (heard + truth).
        let hits = |truth: &[f64]| {
            let (f, delay_secs) = f_measure(&heard, truth, 0.05);
            (f * (heard.len() + truth.len()) as f64 / 2.0, delay_secs)
        };
        let got_precision = hits(right).0 / heard.len() as f64;
        let got_recall = hits(wanted).0 / wanted.len() as f64;
        println!(
            "{id}: {} heard, precision {got_precision:.3}, recall {got_recall:.3}, {:.1} ms late",
            heard.len(),
            1e3 * hits(wanted).1
        );
        assert!(
            got_precision >= precision,
            "{id}: precision {got_precision}"
        );
        assert!(got_recall >= recall, "{id}: recall {got_recall}");
    }
}

#[test]
fn a_band_answers_its_own_tone() {
    let bands = ["sub", "bass", "low-mid", "mid", "high-mid", "air"];
    for sample_rate in [44_100, 48_000, 96_000, 192_000] {
        for (own, hz) in bands
            .iter()
            .zip([40.0, 100.0, 300.0, 1000.0, 3500.0, 10_000.0])
        {
            let track = audio::analyze_all(&sound(sample_rate, 1, sine(hz, 0.3, 1.2, sample_rate)))
                .unwrap();
            let last = track.at(1.2);
            for band in bands {
                let value = get(&last, band);
                if band == *own {
                    assert!(value > 0.95, "{sample_rate}: {hz} Hz: {band} {value}");
                } else {
                    // Three bins of the window are 70 Hz: sub and bass reach their neighbours,
                    // and each band is relative to itself.
                    let near = [*own, band].iter().all(|b| bands[..3].contains(b));
                    assert!(
                        near || value < 0.1,
                        "{sample_rate}: {hz} Hz: {band} {value}"
                    );
                }
            }
            assert!(get(&last, "level") > 0.95);
            assert!((get(&last, "peak") - 0.3).abs() < 0.01);
        }
    }
}

#[test]
fn the_same_track_quiet_and_loud_gives_the_same_signals() {
    let loud = demo_signals();
    let gain = 10.0_f32.powf(-30.0 / 20.0);
    // The build-up, the drop and the start of the break.
    let quiet: Vec<f32> = demo().samples[..2 * 48_000 * 40]
        .iter()
        .map(|x| gain * x)
        .collect();
    let quiet = audio::analyze_all(&sound(RATE, 2, quiet)).unwrap();
    // These are absolute, and say so.
    let absolute = ["peak", "loudness", "loudness-slow"];
    let mut worst = (0.0_f32, "", 0.0);
    for (a, b) in loud.snapshots().iter().zip(quiet.snapshots()) {
        if a.at_secs < 1.0 {
            continue;
        }
        for (n, spec) in SIGNALS.iter().enumerate() {
            if absolute.contains(&spec.id) {
                continue;
            }
            let mut difference = (a.values[n] - b.values[n]).abs();
            if spec.id.ends_with("phase") || spec.id == "tonal-angle" {
                // Round and round: 0.99 is next to 0.
                difference = difference.min(1.0 - difference);
            }
            if difference > worst.0 {
                worst = (difference, spec.id, a.at_secs);
            }
        }
    }
    println!("largest difference {worst:?}");
    assert!(worst.0 <= 0.05, "{worst:?}");
}

#[test]
fn chunks_make_no_difference() {
    let samples = &demo().samples[..2 * 48_000 * 3];
    let whole = &demo_signals().snapshots()[..3 * 48_000 / 256];
    // Odd sizes cut frames in half.
    for size in [1, 7, 255, 4801] {
        let mut analyzer = Analyzer::new(RATE, 2).unwrap();
        let mut out = Vec::new();
        for chunk in samples.chunks(size) {
            analyzer.push(chunk, |s| out.push(*s));
        }
        assert!(out == whole[..out.len()], "chunks of {size}");
        assert_eq!(out.len(), samples.len() / 2 / 256);
    }
}

#[test]
fn nothing_is_allocated_after_the_start() {
    let samples = &demo().samples[..2 * 48_000];
    let mut analyzer = Analyzer::new(RATE, 2).unwrap();
    let mut hops = 0;
    without_alloc(|| analyzer.push(samples, |_| hops += 1));
    assert_eq!(hops, 48_000 / 256);
}

#[test]
fn silence_and_a_constant_stay_silent() {
    for samples in [vec![0.0; 96_000 * 2], vec![0.7; 96_000 * 2]] {
        let constant = samples[0];
        let track = audio::analyze_all(&sound(RATE, 2, samples)).unwrap();
        for snapshot in track.snapshots() {
            for (value, spec) in snapshot.values.iter().zip(SIGNALS) {
                let limit = if spec.id == "peak" { constant } else { 1e-3 };
                assert!(*value <= limit, "{}: {value} at {constant}", spec.id);
            }
        }
    }
}

#[test]
fn dither_after_music_stays_dark() {
    let mut samples = demo().samples[2 * 48_000 * 17..2 * 48_000 * 20].to_vec();
    let music = samples.len() / 2;
    let mut state = 1_u32;
    samples.extend((0..2 * 48_000 * 30).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as f32 / 65_536.0 / 32_768.0 - 0.5 / 32_768.0
    }));
    let track = audio::analyze_all(&sound(RATE, 2, samples)).unwrap();
    let quiet_from = music as f64 / f64::from(RATE) + 1.0;
    for snapshot in track.snapshots().iter().filter(|s| s.at_secs > quiet_from) {
        // The beat goes on through a break, for a while.
        let beat = [
            "beat",
            "bar",
            "beat-phase",
            "bar-phase",
            "tempo",
            "beat-confidence",
        ];
        let lost = snapshot.at_secs > quiet_from + 25.0;
        for (value, spec) in snapshot.values.iter().zip(SIGNALS) {
            // The short-term loudness is that of three seconds.
            if (beat.contains(&spec.id) && !lost) || spec.id == "loudness-slow" {
                continue;
            }
            assert!(*value < 0.1, "{} {value} at {}", spec.id, snapshot.at_secs);
        }
    }
}

#[test]
fn a_constant_and_clipping_do_not_fool_the_ears() {
    let clean = &demo().samples[2 * 48_000 * 16..2 * 48_000 * 24];
    let kicks = |samples: Vec<f32>| {
        let track = audio::analyze_all(&sound(RATE, 2, samples)).unwrap();
        pulses(&track, "kick")
    };
    let reference = kicks(clean.to_vec());
    assert!(reference.len() > 12, "{}", reference.len());
    let shifted = kicks(clean.iter().map(|x| x + 0.4).collect());
    assert!(f_measure(&shifted, &reference, 0.02).0 > 0.95);
    let clipped = kicks(clean.iter().map(|x| (4.0 * x).clamp(-1.0, 1.0)).collect());
    let (f, _) = f_measure(&clipped, &reference, 0.05);
    assert!(f > 0.9, "F of the clipped track {f}");
}

#[test]
fn samples_that_are_no_number_do_no_harm() {
    let mut samples = demo().samples[2 * 48_000 * 16..2 * 48_000 * 20].to_vec();
    for (n, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30]
        .into_iter()
        .enumerate()
    {
        samples[10_000 + 777 * n] = bad;
    }
    let track = audio::analyze_all(&sound(RATE, 2, samples)).unwrap();
    for snapshot in track.snapshots() {
        for value in snapshot.values {
            assert!((0.0..=1.0).contains(&value), "{snapshot:?}");
        }
    }
    // It hears again afterwards.
    assert!(pulses(&track, "kick").iter().any(|t| *t > 2.0));
}

#[test]
fn antiphase_and_many_channels_are_heard() {
    let tone = sine(100.0, 0.5, 1.0, RATE);
    let antiphase: Vec<f32> = tone.iter().flat_map(|x| [*x, -x]).collect();
    let track = audio::analyze_all(&sound(RATE, 2, antiphase)).unwrap();
    assert!(get(&track.at(1.0), "bass") > 0.9);
    let many: Vec<f32> = tone
        .iter()
        .flat_map(|x| (0..64).map(move |c| if c == 5 { *x } else { 0.0 }))
        .collect();
    let track = audio::analyze_all(&sound(RATE, 64, many)).unwrap();
    assert!(get(&track.at(1.0), "bass") > 0.9);
}

#[test]
fn absurd_formats_are_refused() {
    for (rate, channels) in [(0, 2), (7_999, 2), (400_000, 2), (RATE, 0), (RATE, 65)] {
        assert!(matches!(
            Analyzer::new(rate, channels),
            Err(AudioError::Format { .. })
        ));
    }
}

/// A second of the demo track as a 16-bit WAV.
fn write_wav(path: &Path) -> Vec<f32> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let samples = demo().samples[2 * 48_000 * 16..2 * 48_000 * 18].to_vec();
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for sample in &samples {
        writer.write_sample((sample * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    samples
}

/// Largest sample correlation over small shifts, 1 when equal but for delay.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let mono = |x: &[f32]| -> Vec<f32> { x.chunks_exact(2).map(|f| f[0] + f[1]).collect() };
    let (a, b) = (mono(a), mono(b));
    let len = 20_000;
    let middle = &a[30_000..30_000 + len];
    let norm = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>().sqrt();
    (27_000..33_000)
        .filter(|start| start + len <= b.len())
        .map(|start| {
            let other = &b[start..start + len];
            let dot: f32 = middle.iter().zip(other).map(|(x, y)| x * y).sum();
            dot / (norm(middle) * norm(other))
        })
        .fold(0.0, f32::max)
}

#[test]
fn formats_decode_to_the_same_sound() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    let original = write_wav(&wav);
    let decoded = audio::decode(&wav).unwrap();
    assert_eq!(
        (decoded.sample_rate, decoded.channels, decoded.frames()),
        (RATE, 2, original.len() / 2)
    );
    assert_eq!(decoded.warning, None);
    let error = original
        .iter()
        .zip(&decoded.samples)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(error < 1e-4, "{error}");
    if !tools::have(&["ffmpeg"]) {
        return;
    }
    for (name, codec, exact) in [
        ("a.flac", "flac", true),
        ("a.mp3", "libmp3lame", false),
        ("a.ogg", "libvorbis", false),
        ("a.m4a", "aac", false),
        ("float.wav", "pcm_f32le", true),
        // Told by content, not by name.
        ("flac.wav", "flac", true),
    ] {
        let path = dir.path().join(name);
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(&wav);
        command.args(["-c:a", codec, "-b:a", "192k"]);
        if name == "flac.wav" {
            command.args(["-f", "flac"]);
        }
        assert!(command.arg(&path).status().unwrap().success(), "{name}");
        let decoded = audio::decode(&path).unwrap();
        assert_eq!((decoded.sample_rate, decoded.channels), (RATE, 2), "{name}");
        let like = likeness(&original, &decoded.samples);
        let least = if exact { 0.999_9 } else { 0.95 };
        assert!(like > least, "{name}: {like}");
        let missing = (decoded.duration_secs() - 2.0).abs();
        assert!(missing < 0.06, "{name}: {} s", decoded.duration_secs());
        assert_eq!(decoded.warning, None, "{name}");
    }
}

/// A click after half a second, through ffmpeg's encoders and back.
#[test]
fn a_click_stands_where_it_was_in_every_format() {
    if !tools::have(&["ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("click.wav");
    for rate in [44_100, 48_000] {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&wav, spec).unwrap();
        for n in 0..rate {
            writer
                .write_sample(if n == rate / 2 { 30_000_i16 } else { 0 })
                .unwrap();
        }
        writer.finalize().unwrap();
        for (name, codec) in [
            ("click.m4a", &["-c:a", "aac", "-b:a", "256k"][..]),
            (
                "front.m4a",
                &["-c:a", "aac", "-b:a", "256k", "-movflags", "+faststart"],
            ),
            ("lossless.m4a", &["-c:a", "alac"]),
            ("click.mp3", &["-c:a", "libmp3lame", "-b:a", "256k"]),
            ("click.ogg", &["-c:a", "libvorbis", "-q:a", "8"]),
            ("click.flac", &["-c:a", "flac"]),
        ] {
            let path = dir.path().join(name);
            let mut command = Command::new("ffmpeg");
            command
                .args(["-v", "error", "-y", "-i"])
                .arg(&wav)
                .args(codec);
            assert!(command.arg(&path).status().unwrap().success(), "{name}");
            let decoded = audio::decode(&path).unwrap();
            assert_eq!(decoded.warning, None, "{name}");
            let loudest = (0..decoded.frames())
                .max_by(|a, b| {
                    decoded.samples[*a]
                        .abs()
                        .total_cmp(&decoded.samples[*b].abs())
                })
                .unwrap();
            let late = loudest as i64 - i64::from(rate / 2);
            assert!(late.abs() <= 2, "{name} at {rate} Hz: {late} samples late");
        }
    }
}

#[test]
fn broken_files_are_told_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let told = |name: &str| {
        let error = audio::decode(&path(name)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        error
    };
    assert!(matches!(told("missing.wav"), AudioError::Read { .. }));
    std::fs::create_dir(path("folder.wav")).unwrap();
    assert!(matches!(told("folder.wav"), AudioError::Read { .. }));
    std::fs::write(path("empty.wav"), b"").unwrap();
    assert!(matches!(told("empty.wav"), AudioError::NotAudio { .. }));
    std::fs::write(path("text.mp3"), "no sound ".repeat(1000)).unwrap();
    assert!(matches!(told("text.mp3"), AudioError::NotAudio { .. }));

    write_wav(&path("whole.wav"));
    let whole = std::fs::read(path("whole.wav")).unwrap();
    std::fs::write(path("header.wav"), &whole[..44]).unwrap();
    assert!(matches!(
        told("header.wav"),
        AudioError::Empty { .. } | AudioError::NotAudio { .. }
    ));
    std::fs::write(path("half.wav"), &whole[..whole.len() / 2]).unwrap();
    let half = audio::decode(&path("half.wav")).unwrap();
    assert!((half.duration_secs() - 1.0).abs() < 0.1);
    let warning = half.warning.unwrap();
    assert!(warning.contains("half.wav"), "{warning}");

    // The header claims a rate that no sound has.
    let mut absurd = whole;
    absurd[24..28].copy_from_slice(&3_000_000_u32.to_le_bytes());
    std::fs::write(path("absurd.wav"), &absurd).unwrap();
    assert!(matches!(told("absurd.wav"), AudioError::Format { .. }));
}

#[test]
fn half_a_compressed_file_still_plays() {
    if !tools::have(&["ffmpeg"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("a.wav");
    write_wav(&wav);
    for name in ["cut.flac", "cut.mp3", "cut.ogg"] {
        let path = dir.path().join(name);
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&wav)
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() * 6 / 10]).unwrap();
        let decoded = audio::decode(&path).unwrap();
        let secs = decoded.duration_secs();
        println!("{name}: {secs:.2} s, {:?}", decoded.warning);
        assert!((0.8..1.7).contains(&secs), "{name}: {secs}");
    }
}

#[test]
fn real_music_is_heard() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/audio");
    let Ok(entries) = std::fs::read_dir(&dir) else {
        eprintln!("skipped: {} is not there", dir.display());
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let decoded = audio::decode(&path).unwrap();
        assert_eq!(decoded.warning, None);
        let track = audio::analyze_all(&decoded).unwrap();
        let secs = track.duration_secs();
        let rate = |id: &str| pulses(&track, id).len() as f64 / secs;
        println!(
            "{}: {secs:.1} s, {} Hz, a second: {:.2} onsets, {:.2} kicks, {:.2} hats",
            path.file_name().unwrap().display(),
            decoded.sample_rate,
            rate("onset"),
            rate("kick"),
            rate("hat"),
        );
        assert!((0.5..12.0).contains(&rate("onset")));
        for id in ["level", "bass", "mid"] {
            let values: Vec<f32> = track.snapshots().iter().map(|s| get(s, id)).collect();
            let high = values.iter().filter(|v| **v > 0.7).count();
            let low = values.iter().filter(|v| **v < 0.4).count();
            let least = values.len() / 50;
            assert!(high > least && low > least, "{id} uses its range");
        }
        // Once found, the level of the metre stays.
        if secs > 20.0 {
            let known = track.snapshots().iter().filter(|s| s.at_secs > 8.0);
            let bpm: Vec<f32> = known.map(|s| s.beat.bpm).collect();
            let least = bpm.iter().copied().fold(f32::INFINITY, f32::min);
            let most = bpm.iter().copied().fold(0.0, f32::max);
            println!("{least:.1} to {most:.1} bpm");
            assert!(least > 60.0 && most < 1.3 * least, "{least} to {most} bpm");
        }
    }
}

#[test]
fn the_order_of_signals_is_complete() {
    assert_eq!(COUNT, SIGNALS.len());
    for spec in SIGNALS {
        assert_eq!(SignalId::find(spec.id).unwrap().spec().id, spec.id);
    }
}
