//! A real MIDI message, over a real server, arrives as an event and moves a number.

use crate::support::jack::{JackServer, MidiKeyboard, until, virtual_output};
use bendwave::mapping::{ControlState, Mapping};
use bendwave::midi::{self, Midi, MidiEvents, MidiMessage};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// Runs the ignored test `name` of this file in a child that sees a fresh server.
fn pass_in_child(name: &str) {
    let server = JackServer::start();
    let output = server.child(&format!("midi::{name}")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn controllers_come_and_go() {
    pass_in_child("controllers_come_and_go_in_child");
}

#[test]
fn only_the_wanted_controller_is_heard() {
    pass_in_child("only_the_wanted_controller_is_heard_in_child");
}

#[test]
fn a_knob_of_another_process_moves_a_number() {
    let server = JackServer::start();
    let mut keyboard = MidiKeyboard::plug_in(&server);
    let mut receiver = server
        .child("midi::knob_to_number_in_child")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The receiver opens the port when it sees it; until then messages go nowhere.
    let result = until("the receiver ends", || {
        keyboard.send(&[0xb0, 16, 127]);
        receiver.try_wait().unwrap()
    });
    assert!(result.success());
}

fn drained(events: &mut MidiEvents) -> Vec<MidiMessage> {
    let mut messages = Vec::new();
    events.drain(|event| messages.push(event.message));
    messages
}

fn wait_for_status(midi: &Midi, part: &str) {
    let mut last = String::new();
    until(part, || {
        last = midi.status();
        last.contains(part).then_some(())
    });
}

fn cc(controller: u8, value: u8) -> MidiMessage {
    MidiMessage::ControlChange {
        channel: 1,
        controller,
        value,
    }
}

#[test]
#[ignore = "the child of a test of this file"]
fn controllers_come_and_go_in_child() {
    let mut knobs = virtual_output("knobs");
    assert!(
        midi::ports()
            .unwrap()
            .iter()
            .any(|p| p == "bendwave-test:knobs")
    );
    let (midi, mut events) = Midi::start(Some("KNOBS")).unwrap();
    wait_for_status(&midi, "bendwave-test:knobs");

    // Every value counts: a whole sweep, in order, stamped with the time at which it came.
    let before = Instant::now();
    for value in 0..=127 {
        knobs.send(&[0xb0, 7, value]).unwrap();
    }
    let mut got = Vec::new();
    let mut times = Vec::new();
    until("a sweep", || {
        events.drain(|event| {
            got.push(event.message);
            times.push(event.at);
        });
        (got.len() >= 128).then_some(())
    });
    assert_eq!(got, (0..=127).map(|value| cc(7, value)).collect::<Vec<_>>());
    assert!(
        times
            .iter()
            .all(|at| *at >= before && *at <= Instant::now())
    );
    assert!(times.is_sorted());

    // Unplugged, and plugged in again.
    drop(knobs);
    wait_for_status(&midi, "no controller is");
    let mut knobs = virtual_output("knobs");
    wait_for_status(&midi, "bendwave-test:knobs");
    knobs.send(&[0xe0, 0, 64]).unwrap();
    let bend = until("a message after plugging in again", || {
        drained(&mut events).pop()
    });
    assert_eq!(
        bend,
        MidiMessage::PitchBend {
            channel: 1,
            value: 8192
        }
    );
    assert_eq!(midi.overruns(), 0);

    let stopping = Instant::now();
    drop(midi);
    assert!(stopping.elapsed() < Duration::from_secs(10), "stops soon");
}

#[test]
#[ignore = "the child of a test of this file"]
fn only_the_wanted_controller_is_heard_in_child() {
    let mut knobs = virtual_output("knobs");
    let mut pads = virtual_output("pads");
    let (some, mut some_events) = Midi::start(Some("pads")).unwrap();
    let (all, mut all_events) = Midi::start(None).unwrap();
    wait_for_status(&some, "pads");
    wait_for_status(&all, "knobs");
    wait_for_status(&all, "pads");
    assert!(!some.status().contains("knobs"), "{}", some.status());
    knobs.send(&[0xb0, 1, 1]).unwrap();
    // Sent later and over another port: when it is here, the first would be, too.
    thread::sleep(Duration::from_millis(100));
    pads.send(&[0xb0, 2, 2]).unwrap();
    let heard = until("the wanted one", || {
        Some(drained(&mut some_events)).filter(|m| !m.is_empty())
    });
    assert_eq!(heard, [cc(2, 2)]);
    let mut heard = Vec::new();
    until("both", || {
        heard.extend(drained(&mut all_events));
        (heard.len() == 2).then_some(())
    });
    assert_eq!(heard, [cc(1, 1), cc(2, 2)]);
}

#[test]
#[ignore = "the child of a test of this file"]
fn knob_to_number_in_child() {
    let text =
        "device: knobs\ncontrols:\n- {cc: 16, target: zoom.k, range: [0.5, 2.0], smooth_secs: 0}\n";
    let mapping = Mapping::parse(text, Path::new("test.yaml")).unwrap();
    let mut state = ControlState::new(&mapping, |_| [0.0, 1.0]);
    until("the server", || midi::ports().ok());
    let (_midi, mut events) = Midi::start(mapping.device.as_deref()).unwrap();
    let value = until("a value", || {
        events.drain(|event| state.apply(event));
        state.value(0, 0.05)
    });
    assert_eq!(value, 2.0);
}

#[test]
fn shipped_mappings_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let mapping = Mapping::load(&path).unwrap();
            assert!(!mapping.controls.is_empty(), "{}", path.display());
            names.push(path.file_stem().unwrap().to_owned());
        }
    }
    names.sort();
    assert_eq!(names, ["generic", "midimix", "nanokontrol2"]);
}
