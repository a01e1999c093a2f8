//! The whole program: its beat follows a MIDI clock and a finger, and its picture outlives the input.

use crate::perform::difference;
use crate::support::jack::{JackServer, MidiKeyboard};
use crate::support::program::{bendwave_beside, text, tiny_model};
use crate::support::pulse::{MONITOR, Pulse};
use crate::support::xvfb::{Display, wait_for};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;
use xtask::listening_set::{SAMPLE_RATE, Set};

/// A performance whose log can be read.
struct Show {
    child: Child,
    log: PathBuf,
}

impl Show {
    /// Source, tempo and sound of the last line about the clock.
    fn clock(&self) -> Option<(String, f64, String)> {
        let log = fs::read_to_string(&self.log).ok()?;
        // The last line may be half written.
        let whole = &log[..log.rfind('\n')?];
        let line = whole.lines().rev().find(|l| l.contains("clock: "))?;
        let (source, rest) = line.split_once("clock: ")?.1.split_once("), ")?;
        let (bpm, rest) = rest.split_once(" bpm")?;
        let sound = rest.split_once("sound: ")?.1;
        Some((source.to_owned(), bpm.parse().ok()?, sound.to_owned()))
    }

    #[track_caller]
    fn wait(&mut self, what: &str, wanted: impl Fn(&str, f64, &str) -> bool) {
        let mut last = None;
        for _ in 0..600 {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{what}: it ended: {}", self.said());
            last = self.clock().or(last);
            if let Some((source, bpm, sound)) = &last
                && wanted(source, *bpm, sound)
            {
                println!("{what}: {last:?}");
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}: {last:?}\n{}", self.said());
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A track of the tuning set as a file, and its tempo.
fn music(dir: &Path) -> (PathBuf, f64) {
    let recipe = Set::Tuning.recipes().swap_remove(0);
    let track = recipe.play();
    let path = dir.join("music.wav");
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for sample in track.samples {
        writer.write_sample((sample * 32_767.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
    (path, track.truth.bpm[0])
}

impl Drop for Show {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().ok();
        }
    }
}

#[test]
fn the_beat_follows_clock_and_finger_and_the_picture_outlives_the_input() {
    let Some(display) = Display::start(320, 240, true) else {
        return;
    };
    let Some(pulse) = Pulse::start() else { return };
    let jack = JackServer::start();
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let scene = dir.path().join("scene.yaml");
    fs::write(
        &scene,
        "seed: 3\nmodulators:\n  blink: {lfo: square, secs: 1}\ntransforms:\n\
         - {layer: 6, transform: scalar-multiply, params: [{signal: blink, range: [1.0, -2.0]}]}\n",
    )
    .unwrap();
    let log = dir.path().join("log.txt");
    let mut program = bendwave_beside(&[pulse.command("true"), display.command("true")]);
    program
        .envs(jack.env())
        .env("BENDWAVE_LOG", "bendwave=debug")
        .args(["perform", "--model", text(&model), "--scene", text(&scene)])
        .args(["--audio", MONITOR, "--channels", "1", "--provider", "cpu"])
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap());
    let mut show = Show {
        child: program.spawn().unwrap(),
        log,
    };
    show.wait("one channel is heard", |_, _, sound| {
        sound.contains("channels 1 of 2")
    });

    // A MIDI clock, then faster.
    let mut keyboard = MidiKeyboard::plug_in(&jack);
    keyboard.clock(120.0, 8.0);
    show.wait("120", |source, bpm, _| {
        source.starts_with("MIDI clock") && (bpm - 120.0).abs() < 1.5
    });
    keyboard.clock(128.0, 8.0);
    show.wait("128", |source, bpm, _| {
        source.starts_with("MIDI clock") && (bpm - 128.0).abs() < 1.5
    });
    // The cable falls out: the tempo goes on.
    drop(keyboard);
    show.wait("going on", |source, bpm, _| {
        source.starts_with("source lost") && (bpm - 128.0).abs() < 1.5
    });

    // A finger. xdotool is no good drummer.
    for _ in 0..5 {
        display.key("t");
        std::thread::sleep(Duration::from_millis(600));
    }
    show.wait("a finger", |source, bpm, _| {
        source.starts_with("tapped") && (60.0..101.0).contains(&bpm)
    });
    display.key("Up");
    show.wait("twice", |_, bpm, _| (120.0..202.0).contains(&bpm));
    display.key("c");
    show.wait("the next clock", |source, _, _| {
        source.ends_with("(tracker")
    });

    // The music itself, through the sound server.
    let music = music(dir.path());
    let mut player = pulse
        .command("paplay")
        .args(["--device=vj", text(&music.0)])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    show.wait("the music's beat", |source, bpm, _| {
        source.starts_with("tracker") && (bpm / music.1 - 1.0).abs() < 0.02
    });
    display.key("Down");
    show.wait("half of it", |_, bpm, _| {
        (2.0 * bpm / music.1 - 1.0).abs() < 0.02
    });
    player.kill().unwrap();
    player.wait().unwrap();

    // The input goes: the picture moves on, and the overlay's line says so.
    let pactl = |arguments: &[&str]| {
        let status = pulse.command("pactl").args(arguments).status().unwrap();
        assert!(status.success(), "pactl {arguments:?}");
    };
    pactl(&["unload-module", "module-null-sink"]);
    show.wait("lost", |_, _, sound| sound.contains("lost; looking for it"));
    let mut before = display.shot("before");
    for _ in 0..3 {
        before = wait_for("the picture goes on", || {
            let now = display.shot("blink");
            (difference(&before, &now) > 8.0).then_some(now)
        });
    }
    pactl(&[
        "load-module",
        "module-null-sink",
        "sink_name=vj",
        "rate=48000",
    ]);
    show.wait("back", |_, _, sound| sound.contains("hearing"));
}
