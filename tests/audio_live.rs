//! Sound through a real sound server: a null sink, its monitor, cpal, signals.
//!
//! The ignored tests run inside the environment of a server that the others start for them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bendwave::audio::{self, AudioChoice, AudioError, Direction, LiveAudio};
use bendwave::signal::{SIGNALS, SignalId};

use crate::support::pulse::{self, MONITOR, Pulse};

const RATE: u32 = 48_000;

/// `secs` of the demo track's drop, from its first kick on, with silence around. The number of
/// kicks is known.
fn write_drop(path: &Path, secs: f64, lead_secs: f64) -> usize {
    let track = xtask::demo_track::render(24.0).unwrap();
    let start_secs = track.truth.sections[3].1;
    let frame = |t: f64| (t * f64::from(RATE)) as usize;
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for _ in 0..2 * frame(lead_secs) {
        writer.write_sample(0_i16).unwrap();
    }
    let samples = &track.samples[2 * frame(start_secs)..2 * frame(start_secs + secs)];
    for sample in samples {
        writer
            .write_sample((0.5 * sample * 32_767.0) as i16)
            .unwrap();
    }
    writer.finalize().unwrap();
    let kicks = &track.truth.kicks_secs;
    kicks
        .iter()
        .filter(|t| (start_secs..start_secs + secs - 0.1).contains(*t))
        .count()
}

fn paplay(path: &Path) -> Child {
    Command::new("paplay")
        .arg("--device=vj")
        .arg(path)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

/// Listens for `time`; when kicks came, in seconds from now, and the loudest peak.
fn listen(live: &mut LiveAudio, time: Duration) -> (Vec<f64>, f32) {
    let kick = SignalId::find("kick").unwrap();
    let peak = SignalId::find("peak").unwrap();
    let start = Instant::now();
    let (mut kicks, mut loudest, mut before) = (Vec::new(), 0.0_f32, 0.0);
    while start.elapsed() < time {
        if let Some(snapshot) = live.signals.read_new() {
            let now = snapshot.get(kick);
            // A rise, even when the hop with exactly 1 was overwritten.
            if now > before + 0.3 {
                kicks.push(start.elapsed().as_secs_f64());
            }
            before = now;
            loudest = loudest.max(snapshot.get(peak));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    (kicks, loudest)
}

fn until(what: &str, time: Duration, mut happened: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < time, "{what} did not happen in {time:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

fn drops_in_time(live: LiveAudio) {
    let start = Instant::now();
    drop(live);
    let took = start.elapsed();
    assert!(took < Duration::from_millis(2_500), "drop took {took:?}");
}

fn monitor() -> AudioChoice {
    AudioChoice::Device {
        name: Some(MONITOR.to_owned()),
        channels: None,
    }
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn sound_arrives_from_a_monitor() {
    if let Some(pulse) = Pulse::start() {
        pulse.run_test("audio_live::inside_capture");
    }
}

#[test]
#[ignore = "runs inside the sound server of another test"]
fn inside_capture() {
    let inputs: Vec<String> = audio::devices()
        .into_iter()
        .filter(|d| d.direction == Direction::Input)
        .map(|d| format!("{} {} {} {}", d.host, d.id, d.sample_rate, d.channels))
        .collect();
    assert!(
        inputs.contains(&format!("PulseAudio {MONITOR} 48000 2")),
        "{inputs:?}"
    );
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("drop.wav");
    let expected = write_drop(&wav, 6.0, 0.3);
    let (tap, mut tapped) = rtrb::RingBuffer::new(2 * 48_000 * 20);
    let mut live = audio::start(&monitor(), Some(tap)).unwrap();
    assert_eq!((live.sample_rate(), live.channels()), (RATE, 2));
    assert!(live.is_sounding() && !live.finished());
    assert!(live.status().contains("hearing"), "{}", live.status());

    let start = Instant::now();
    let mut player = paplay(&wav);
    let (kicks, loudest) = listen(&mut live, Duration::from_secs(8));
    let wall_secs = start.elapsed().as_secs_f64();
    player.wait().unwrap();
    println!("{} kicks of {expected}, peak {loudest}", kicks.len());
    assert!((0.3..0.55).contains(&loudest), "peak {loudest}");
    let wrong = kicks.len().abs_diff(expected);
    assert!(wrong <= 1, "{} kicks of {expected}: {kicks:?}", kicks.len());
    // They come at the pace of the beat.
    let steps: Vec<f64> = kicks.windows(2).map(|k| k[1] - k[0]).collect();
    let on_beat = steps
        .iter()
        .filter(|s| (*s - xtask::demo_track::BEAT_SECS).abs() < 0.05)
        .count();
    assert!(on_beat + 2 >= steps.len(), "{steps:?}");

    // The tap has every sample, at real time.
    let recorded = tapped.slots() as f64 / 2.0 / f64::from(RATE);
    println!("{recorded:.2} s recorded in {wall_secs:.2} s");
    assert!((recorded - wall_secs).abs() < 0.6, "{recorded}");
    let loud = std::iter::from_fn(|| tapped.pop().ok())
        .filter(|x| x.abs() > 0.1)
        .count();
    assert!(loud > 48_000, "{loud} loud samples recorded");
    assert_eq!(live.counters(), audio::Counters::default());
    drops_in_time(live);
}

#[test]
fn a_lost_device_is_picked_up_again() {
    if let Some(pulse) = Pulse::start() {
        pulse.run_test("audio_live::inside_unplug");
    }
}

#[test]
#[ignore = "runs inside the sound server of another test"]
fn inside_unplug() {
    let dir = tempfile::tempdir().unwrap();
    let wav = dir.path().join("drop.wav");
    write_drop(&wav, 3.0, 0.0);
    let mut live = audio::start(&monitor(), None).unwrap();
    until("connection", Duration::from_secs(5), || live.is_connected());
    let before = threads();
    for round in 1..=2 {
        pulse::unplug();
        let took = until("the loss", Duration::from_secs(8), || !live.is_connected());
        println!("lost after {took:?}: {}", live.status());
        assert!(live.status().contains("lost"), "{}", live.status());
        // Time goes on without samples, and signals are dark.
        let at_secs = live.signals.read().at_secs;
        std::thread::sleep(Duration::from_millis(1_500));
        let snapshot = *live.signals.read();
        assert!((0.9..2.1).contains(&(snapshot.at_secs - at_secs)));
        // The beat is kept for a while, and slow loudness looks back for three seconds.
        let lasting = |id: &str| {
            matches!(id, "tempo" | "loudness-slow" | "bar" | "bar-phase") || id.starts_with("beat")
        };
        for (spec, value) in SIGNALS.iter().zip(snapshot.values) {
            assert!(value < 0.1 || lasting(spec.id), "{}: {value}", spec.id);
        }
        pulse::plug();
        let took = until("the return", Duration::from_secs(8), || live.is_connected());
        println!("back after {took:?}: {}", live.status());
        let mut player = paplay(&wav);
        let (kicks, _) = listen(&mut live, Duration::from_secs(4));
        player.wait().unwrap();
        assert!(kicks.len() >= 4, "round {round}: {kicks:?}");
        assert_eq!(live.counters().losses, round);
    }
    let after = threads();
    assert!(after <= before + 2, "{before} threads became {after}");
    drops_in_time(live);
}

/// Writes short bursts, one each fifth of a second from the first second on; their times.
fn write_bursts(path: &Path, count: usize) -> Vec<f64> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let times: Vec<f64> = (0..count).map(|n| 1.0 + 0.2 * n as f64).collect();
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    let end_secs = times[count - 1] + 0.5;
    for n in 0..(end_secs * f64::from(RATE)) as u32 {
        let secs = f64::from(n) / f64::from(RATE);
        let loud = times.iter().any(|t| (*t..t + 0.005).contains(&secs));
        // Half the sample rate over 48: a kilohertz square.
        let sign = if n / 24 % 2 == 0 { 1.0 } else { -1.0 };
        let value = if loud { 0.9 * sign } else { 0.0 };
        writer.write_sample((value * 32_767.0) as i16).unwrap();
        writer.write_sample((value * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    times
}

#[test]
fn the_delay_from_sample_to_signal_is_measured() {
    if let Some(pulse) = Pulse::start() {
        pulse.run_test("audio_live::inside_delay");
    }
}

#[test]
#[ignore = "runs inside the sound server of another test"]
fn inside_delay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bursts.wav");
    let times = write_bursts(&path, 20);
    let mut ears = audio::start(&monitor(), None).unwrap();
    until("connection", Duration::from_secs(5), || ears.is_connected());
    let file = AudioChoice::File {
        path,
        repeat: false,
        mute: false,
    };
    let speaker = audio::start(&file, None).unwrap();
    let peak = SignalId::find("peak").unwrap();
    // When each burst was seen, and what the ears say of when it was at the input.
    let mut seen: Vec<(Instant, Instant)> = Vec::new();
    let mut low = true;
    let start = Instant::now();
    while !speaker.finished() && start.elapsed() < Duration::from_secs(15) {
        if let Some(snapshot) = ears.signals.read_new().copied() {
            let value = snapshot.get(peak);
            if low && value > 0.5 {
                seen.push((Instant::now(), ears.heard_at(snapshot.at_secs)));
            }
            low = value < 0.4;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    let from = |then: Instant, now: Instant| {
        1e3 * if now >= then {
            (now - then).as_secs_f64()
        } else {
            -(then - now).as_secs_f64()
        }
    };
    // Each burst with the one that was seen next.
    let mut delays = Vec::new();
    let mut errors = Vec::new();
    for secs in &times {
        let played = speaker.heard_at(*secs);
        let next = seen
            .iter()
            .find(|(at, _)| (-40.0..160.0).contains(&from(played, *at)));
        if let Some((at, heard)) = next {
            delays.push(from(played, *at));
            errors.push(from(played, *heard));
        }
    }
    delays.sort_by(f64::total_cmp);
    errors.sort_by(f64::total_cmp);
    assert!(delays.len() + 2 >= times.len(), "{delays:?}");
    let at = |list: &[f64], share: f64| list[((list.len() - 1) as f64 * share) as usize];
    println!(
        "sample to signal: {:.1} ms p10, {:.1} ms p50, {:.1} ms p90, {:.1} ms at most; {:?}",
        at(&delays, 0.1),
        at(&delays, 0.5),
        at(&delays, 0.9),
        at(&delays, 1.0),
        ears.latency()
    );
    println!(
        "what the ears say of it is off by {:.1} ms p10, {:.1} ms p50, {:.1} ms p90",
        at(&errors, 0.1),
        at(&errors, 0.5),
        at(&errors, 0.9)
    );
    // A beat is placed by this: two frames of 30 a second would be seen.
    assert!(at(&errors, 0.5).abs() < 66.0, "{errors:?}");
    let latency = ears.latency();
    assert!(
        latency.buffer_secs > 0.0 && latency.buffer_secs < 0.1,
        "{latency:?}"
    );
    assert!(latency.analysis_secs > 0.0, "{latency:?}");
}

#[test]
fn every_format_is_heard_and_channels_are_chosen() {
    if let Some(pulse) = Pulse::start() {
        pulse.run_test("audio_live::inside_formats");
    }
}

#[test]
#[ignore = "runs inside the sound server of another test"]
fn inside_formats() {
    let dir = tempfile::tempdir().unwrap();
    // Sound on the right only.
    let path = dir.path().join("right.wav");
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for n in 0..RATE * 6 {
        writer.write_sample(0_i16).unwrap();
        let value = if n / 50 % 2 == 0 { 20_000_i16 } else { -20_000 };
        writer.write_sample(value).unwrap();
    }
    writer.finalize().unwrap();
    let peak = SignalId::find("peak").unwrap();
    for (place, (rate, channels, format)) in [
        (44_100, 1, "s16le"),
        (192_000, 2, "s32le"),
        (96_000, 8, "float32le"),
        (48_000, 32, "s16le"),
        (88_200, 2, "s24le"),
    ]
    .into_iter()
    .enumerate()
    {
        let sink = format!("format{place}");
        let module =
            format!("sink_name={sink} rate={rate} channels={channels} format={format} norewinds=1");
        let mut arguments = vec!["load-module", "module-null-sink"];
        arguments.extend(module.split(' '));
        let loaded = Command::new("pactl")
            .args(&arguments)
            .stdout(Stdio::null())
            .status();
        assert!(loaded.unwrap().success(), "{module}");
        let input = |only: Option<&str>| AudioChoice::Device {
            name: Some(format!("{sink}.monitor")),
            channels: only.map(|text| text.parse().unwrap()),
        };
        // First, for an idle sink takes the rate of whoever comes to play.
        let mut all = audio::start(&input(None), None).unwrap();
        assert_eq!((all.sample_rate(), all.channels()), (rate, channels));
        let mut player = Command::new("paplay")
            .arg(format!("--device={sink}"))
            .arg(&path)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        // Pulse plays stereo on the front channels, which a sink of 32 has not.
        if channels < 32 {
            until(&module, Duration::from_secs(8), || {
                all.signals.read().get(peak) > 0.2
            });
        }
        if channels == 2 {
            let mut right = audio::start(&input(Some("2")), None).unwrap();
            let mut left = audio::start(&input(Some("1")), None).unwrap();
            assert_eq!((right.channels(), left.channels()), (1, 1));
            assert!(
                right.status().contains("channels 2 of 2"),
                "{}",
                right.status()
            );
            until("the right channel", Duration::from_secs(8), || {
                right.signals.read().get(peak) > 0.4
            });
            assert!(left.signals.read().get(peak) < 0.01);
            let error = audio::start(&input(Some("40")), None)
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("40") && error.contains("channels"),
                "{error}"
            );
        }
        player.kill().unwrap();
        player.wait().unwrap();
    }
}

#[test]
fn a_file_for_the_picture_alone_needs_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drop.wav");
    write_drop(&path, 1.0, 0.0);
    let choice = AudioChoice::File {
        path,
        repeat: false,
        mute: true,
    };
    let mut live = audio::start(&choice, None).unwrap();
    assert!(live.status().contains("for the picture alone"));
    until("the end", Duration::from_secs(10), || live.finished());
    assert!(!live.is_connected());
    assert!(live.signals.read().at_secs > 0.8);
}

#[test]
fn a_file_is_played_and_heard_in_step() {
    if let Some(pulse) = Pulse::start() {
        pulse.run_test("audio_live::inside_playback");
    }
}

#[test]
#[ignore = "runs inside the sound server of another test"]
fn inside_playback() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drop.wav");
    let expected = write_drop(&path, 5.0, 0.5);
    let mut ears = audio::start(&monitor(), None).unwrap();
    let file = AudioChoice::File {
        path,
        repeat: false,
        mute: false,
    };
    let mut live = audio::start(&file, None).unwrap();
    println!("{}", live.status());
    assert!(live.status().contains("through"), "{}", live.status());
    assert!(live.is_connected());
    // Both are listened to at once: what is analysed against what comes out of the speaker.
    let (own, heard) = std::thread::scope(|scope| {
        let other = std::thread::Builder::new()
            .name("ears".to_owned())
            .spawn_scoped(scope, || listen(&mut ears, Duration::from_secs(7)))
            .unwrap();
        let own = listen(&mut live, Duration::from_secs(7));
        (own, other.join().unwrap())
    });
    println!(
        "{} analysed, {} heard of {expected}",
        own.0.len(),
        heard.0.len()
    );
    assert!(own.0.len().abs_diff(expected) <= 1, "{:?}", own.0);
    assert!(heard.0.len().abs_diff(expected) <= 1, "{:?}", heard.0);
    // Pair each with the nearest.
    let delays: Vec<f64> = own
        .0
        .iter()
        .map(|t| {
            let distance = |h: &&f64| ((**h - t).abs() * 1e6) as i64;
            heard.0.iter().min_by_key(distance).unwrap() - t
        })
        .collect();
    let mut sorted = delays.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    println!("captured {:.1} ms after analysed (median)", 1e3 * median);
    assert!(median.abs() < 0.06, "{delays:?}");
    assert!(live.finished());
    assert!(!ears.finished());
    assert_eq!(live.counters(), audio::Counters::default());
    drops_in_time(live);
    drops_in_time(ears);
}

#[test]
fn a_dead_server_hangs_nothing() {
    if let Some(pulse) = Pulse::start() {
        let name = "audio_live::inside_dead_server";
        let server = pulse.server_id();
        let mut command = pulse.command(std::env::current_exe().unwrap());
        command.env("TEST_PULSE_ID", server.to_string());
        pulse::run_test(command, name);
    }
}

#[test]
#[ignore = "runs inside the sound server of another test"]
fn inside_dead_server() {
    let server = std::env::var("TEST_PULSE_ID").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drop.wav");
    write_drop(&path, 2.0, 0.0);
    let ears = audio::start(&monitor(), None).unwrap();
    let mut live = audio::start(
        &AudioChoice::File {
            path,
            repeat: true,
            mute: false,
        },
        None,
    )
    .unwrap();
    assert!(live.is_connected());
    let status = Command::new("kill").args(["-9", &server]).status().unwrap();
    assert!(status.success());
    until("both losses", Duration::from_secs(10), || {
        !ears.is_connected() && !live.is_connected()
    });
    until("the word about it", Duration::from_secs(5), || {
        live.status().contains("silently")
    });
    // The music goes on without a speaker.
    let (kicks, _) = listen(&mut live, Duration::from_secs(3));
    println!("{}; {} kicks", live.status(), kicks.len());
    assert!(kicks.len() >= 4, "{kicks:?}");
    assert!(!live.finished());
    drops_in_time(live);
    drops_in_time(ears);
}

#[test]
fn without_a_sound_system_a_file_plays_silently() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let nowhere = tempfile::tempdir().unwrap();
    command
        .env("XDG_RUNTIME_DIR", nowhere.path())
        .env("HOME", nowhere.path())
        .env(
            "PULSE_SERVER",
            format!("unix:{}/none", nowhere.path().display()),
        )
        .env("ALSA_CONFIG_PATH", "/dev/null");
    pulse::run_test(command, "audio_live::inside_nowhere");
}

#[test]
#[ignore = "runs inside an environment without sound"]
fn inside_nowhere() {
    let devices = audio::devices();
    println!("{devices:?}");
    let error = audio::start(
        &AudioChoice::Device {
            name: None,
            channels: None,
        },
        None,
    )
    .unwrap_err();
    println!("{error}");
    assert!(matches!(
        error,
        AudioError::NoInput { .. } | AudioError::Device { .. }
    ));
    let error = audio::start(&monitor(), None).unwrap_err();
    println!("{error}");

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drop.wav");
    let expected = write_drop(&path, 3.0, 0.2);
    let (tap, tapped) = rtrb::RingBuffer::new(2 * 48_000 * 10);
    let start = Instant::now();
    let mut live = audio::start(
        &AudioChoice::File {
            path,
            repeat: false,
            mute: false,
        },
        Some(tap),
    )
    .unwrap();
    let (kicks, _) = listen(&mut live, Duration::from_millis(3_800));
    println!("{}", live.status());
    assert!(live.status().contains("silently"), "{}", live.status());
    assert!(!live.is_connected());
    assert!(live.finished());
    assert!(kicks.len().abs_diff(expected) <= 1, "{kicks:?}");
    let recorded = tapped.slots() as f64 / 2.0 / f64::from(RATE);
    let wall = start.elapsed().as_secs_f64();
    assert!((recorded - wall).abs() < 0.4, "{recorded} s in {wall} s");
    drops_in_time(live);
}

#[test]
fn no_sound_and_no_file_are_plain() {
    let mut live = audio::start(&AudioChoice::None, None).unwrap();
    assert!(!live.is_sounding());
    assert_eq!(live.signals.read().values, [0.0; bendwave::signal::COUNT]);
    let missing = AudioChoice::File {
        path: PathBuf::from("/nowhere/at/all.wav"),
        repeat: false,
        mute: false,
    };
    let error = audio::start(&missing, None).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all.wav"));
}

#[test]
fn a_full_tap_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drop.wav");
    write_drop(&path, 2.0, 0.0);
    let (tap, _tapped) = rtrb::RingBuffer::new(1024);
    let live = audio::start(
        &AudioChoice::File {
            path,
            repeat: true,
            mute: false,
        },
        Some(tap),
    )
    .unwrap();
    until("an overrun", Duration::from_secs(10), || {
        live.counters().tap_overrun_samples > 0
    });
    assert!(live.status().contains("not recorded"), "{}", live.status());
}
