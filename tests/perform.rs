//! The whole instrument: a real window, a real sound path and a real MIDI message reach the picture.

use crate::support::jack::{JackServer, MidiKeyboard};
use crate::support::program::{bendwave_beside, text, tiny_model};
use crate::support::pulse::{MONITOR, Pulse};
use crate::support::tools;
use crate::support::xvfb::{Display, Shot, wait_for};
use std::f32::consts::TAU;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn write_tone(path: &Path, secs: f32) {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 48_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..(secs * 48_000.0) as u32 {
        let value = (0.7 * (TAU * 220.0 * n as f32 / 48_000.0).sin() * 32_000.0) as i16;
        wav.write_sample(value).unwrap();
        wav.write_sample(value).unwrap();
    }
    wav.finalize().unwrap();
}

/// Mean absolute difference of two screenshots in 8-bit steps, every third pixel.
pub(crate) fn difference(a: &Shot, b: &Shot) -> f32 {
    let (mut sum, mut count) = (0u32, 0u32);
    for y in (0..a.height).step_by(3) {
        for x in (0..a.width).step_by(3) {
            for (p, q) in a.pixel(x, y).into_iter().zip(b.pixel(x, y)) {
                sum += u32::from(p.abs_diff(q));
                count += 1;
            }
        }
    }
    sum as f32 / count as f32
}

#[test]
fn sound_and_midi_reach_the_picture_in_the_window() {
    if !tools::have(&["ffmpeg", "ffprobe"]) {
        return;
    }
    let Some(display) = Display::start(640, 480, true) else {
        return;
    };
    let Some(pulse) = Pulse::start() else { return };
    let jack = JackServer::start();
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let scene = dir.path().join("scene.yaml");
    fs::write(
        &scene,
        "seed: 3\ntransforms:\n\
         - {name: flash, layer: 6, transform: scalar-multiply, params: [{signal: peak, range: [1.0, -2.0]}], features: all, feature-param: null}\n\
         - {name: knob, layer: 1, transform: scalar-multiply, params: [1.0], features: all, feature-param: null}\n\
         - {layer: 3, transform: scalar-multiply, params: [-1.0], features: random, feature-param: 0.4}\n",
    )
    .unwrap();
    let mapping = dir.path().join("mapping.yaml");
    fs::write(&mapping, "controls:\n- {cc: 21, channel: 1, target: knob.factor, range: [1.0, -3.0], smooth_secs: 0}\n- {note: 40, target: action.redraw}\n").unwrap();
    let tone = dir.path().join("tone.wav");
    write_tone(&tone, 30.0);
    let video = dir.path().join("take.mp4");

    let mut program = bendwave_beside(&[pulse.command("true"), display.command("true")]);
    program
        .envs(jack.env())
        .args([
            "perform",
            "--model",
            text(&model),
            "--audio",
            MONITOR,
            "--scene",
            text(&scene),
        ])
        .args([
            "--mapping",
            text(&mapping),
            "--record",
            text(&video),
            "--record-size",
            "96x64",
            "--provider",
            "cpu",
            "--osc",
            "127.0.0.1:0",
        ])
        .stdout(Stdio::piped())
        .stderr(fs::File::create(dir.path().join("log.txt")).unwrap());
    let mut show = program.spawn().unwrap();
    let log = || fs::read_to_string(dir.path().join("log.txt")).unwrap_or_default();

    // The window is there, fullscreen, and stands still in silence.
    let started = Instant::now();
    let quiet = loop {
        let shot = display.shot("quiet");
        if shot.lit().is_some_and(|[_, _, w, h]| w >= 400 && h >= 400) {
            // Opening, the window may still change its size.
            std::thread::sleep(Duration::from_millis(500));
            if difference(&shot, &display.shot("still")) < 0.5 {
                break shot;
            }
        }
        assert!(show.try_wait().unwrap().is_none(), "it ended: {}", log());
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "no picture that stands still: {}",
            log()
        );
        std::thread::sleep(Duration::from_millis(200));
    };

    // Sound, through the sound server's monitor.
    let mut player = pulse.command("paplay").arg(&tone).spawn().unwrap();
    let change = wait_for("sound changes the picture", || {
        let change = difference(&quiet, &display.shot("loud"));
        (change > 8.0).then_some(change)
    });
    println!("sound changes the picture by {change:.1}");
    player.kill().unwrap();
    player.wait().unwrap();
    wait_for("silence brings the picture back", || {
        (difference(&quiet, &display.shot("quiet again")) < 1.0).then_some(())
    });

    // A message from a controller. The port may take a second to be found: turn until it is.
    let mut keyboard = MidiKeyboard::plug_in(&jack);
    let change = wait_for("a knob changes the picture", || {
        keyboard.send(&[0xB0, 21, 127]);
        std::thread::sleep(Duration::from_millis(300));
        let change = difference(&quiet, &display.shot("turned"));
        (change > 3.0).then_some(change)
    });
    println!("the knob changes the picture by {change:.1}");
    wait_for("turned back, the picture is back", || {
        keyboard.send(&[0xB0, 21, 0]);
        std::thread::sleep(Duration::from_millis(300));
        (difference(&quiet, &display.shot("turned back")) < 1.0).then_some(())
    });

    // OSC takes the same number from the knob, by its own address.
    let listens = wait_for("the port it listens on", || {
        let log = log();
        let line = log
            .lines()
            .find_map(|l| l.strip_prefix("OSC: listening on "));
        line.map(str::to_owned)
    });
    let osc = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let turn = |to: f32| {
        let mut packet = b"/knob/factor\0\0\0\0,f\0\0".to_vec();
        packet.extend(to.to_be_bytes());
        osc.send_to(&packet, listens.as_str()).unwrap();
    };
    turn(-3.0);
    wait_for("OSC changes the picture", || {
        (difference(&quiet, &display.shot("osc")) > 3.0).then_some(())
    });
    turn(1.0);
    wait_for("OSC brings the picture back", || {
        (difference(&quiet, &display.shot("osc back")) < 1.0).then_some(())
    });
    for wanted in [None, Some(())] {
        osc.send_to(b"/action/blackout\0\0\0\0,\0\0\0", listens.as_str())
            .unwrap();
        wait_for("an action by OSC", || {
            let lit = display.shot("blackout").lit().map(|_| ());
            (lit == wanted).then_some(())
        });
    }

    // A pad draws the random features anew.
    keyboard.send(&[0x90, 40, 100]);
    wait_for("other features change the picture", || {
        (difference(&quiet, &display.shot("redrawn")) > 3.0).then_some(())
    });

    // Escape leaves, the recording is finished and has picture and sound.
    let deadline = Instant::now() + Duration::from_secs(40);
    let status = loop {
        display.run("xdotool", &["key", "Escape"]);
        if let Some(status) = show.try_wait().unwrap() {
            break status;
        }
        assert!(
            Instant::now() < deadline,
            "Escape does not leave: {}",
            log()
        );
        std::thread::sleep(Duration::from_millis(300));
    };
    assert!(status.success(), "{}", log());
    let probe = std::process::Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-show_entries",
            "stream=codec_type,width,height,duration",
            "-of",
            "csv=p=0",
            text(&video),
        ])
        .output()
        .unwrap();
    let streams = String::from_utf8_lossy(&probe.stdout).into_owned();
    let secs = |kind: &str| -> f32 {
        let line = streams
            .lines()
            .find(|l| l.starts_with(kind))
            .unwrap_or_else(|| panic!("no {kind}: {streams} {}", log()));
        line.rsplit(',').next().unwrap().parse().unwrap()
    };
    assert!(streams.contains("video,96,64,"), "{streams}");
    assert!(
        secs("video") > 2.0 && (secs("video") - secs("audio")).abs() < 1.0,
        "{streams}"
    );
}
