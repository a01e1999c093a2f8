//! What `bendwave cluster --mapping` writes, played by a controller: MIDI through JACK to the picture.

use crate::perform::difference;
use crate::support::jack::{JackServer, MidiKeyboard};
use crate::support::program::{bendwave_beside, succeed, text, tiny_model};
use crate::support::xvfb::{Display, wait_for};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

/// Where a knob changes nothing.
const REST: u8 = 64;

/// The numbers of the controls that play a cluster.
fn controls(mapping: &str) -> Vec<u8> {
    mapping
        .lines()
        .filter(|line| line.contains("range: ["))
        .filter_map(|line| {
            line.strip_prefix("- {cc: ")?
                .split(',')
                .next()?
                .parse()
                .ok()
        })
        .collect()
}

#[test]
fn knobs_of_clusters_turn_the_picture_and_change_nothing_at_rest() {
    let Some(display) = Display::start(480, 360, true) else {
        return;
    };
    let jack = JackServer::start();
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let at = |name: &str| dir.path().join(name);
    succeed(&[
        "cluster",
        "--model",
        text(&model),
        "--seed",
        "3",
        "--out",
        text(&at("clusters.yaml")),
        "--mapping",
        text(&at("knobs.yaml")),
        "--provider",
        "cpu",
    ]);
    let controls = controls(&fs::read_to_string(at("knobs.yaml")).unwrap());
    assert!(controls.len() >= 8, "{controls:?}");

    let mut program = bendwave_beside(&[display.command("true")]);
    let mut show = program
        .envs(jack.env())
        .args(["perform", "--audio", "none", "--provider", "cpu"])
        .args(["--model", text(&model)])
        .args(["--scene", text(&at("knobs-scene.yaml"))])
        .args(["--mapping", text(&at("knobs.yaml"))])
        .stdout(Stdio::null())
        .stderr(fs::File::create(at("log.txt")).unwrap())
        .spawn()
        .unwrap();
    let rest = wait_for("a picture that stands still", || {
        let first = display.shot("first");
        let there = first.lit().is_some_and(|[_, _, w, h]| w >= 300 && h >= 300);
        std::thread::sleep(Duration::from_millis(300));
        (there && difference(&first, &display.shot("second")) < 0.5).then_some(first)
    });
    let mut keyboard = MidiKeyboard::plug_in(&jack);
    for &number in &controls[..3] {
        // The port may take a second to be found: turn until it is.
        wait_for("a knob changes the picture", || {
            keyboard.send(&[0xB0, number, 127]);
            std::thread::sleep(Duration::from_millis(300));
            (difference(&rest, &display.shot("turned")) > 1.0).then_some(())
        });
        wait_for("at rest the picture is what it was", || {
            keyboard.send(&[0xB0, number, REST]);
            std::thread::sleep(Duration::from_millis(300));
            (difference(&rest, &display.shot("back")) < 0.2).then_some(())
        });
    }
    // All at rest at once: touched, and still the same picture.
    for &number in &controls {
        keyboard.send(&[0xB0, number, REST]);
    }
    std::thread::sleep(Duration::from_millis(500));
    assert!(difference(&rest, &display.shot("all at rest")) < 0.2);
    assert!(show.try_wait().unwrap().is_none());
    show.kill().unwrap();
    show.wait().unwrap();
    let log = fs::read_to_string(at("log.txt")).unwrap();
    assert!(!log.contains("the last picture stays"), "{log}");
}
