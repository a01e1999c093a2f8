//! Where a controller's knobs stand, and what that means in the targets' units.

use crate::mapping::format::{Control, Mapping, Source};
use crate::midi::{MidiEvent, MidiMessage};
use crate::osc::OscEvent;
use crate::param::Curve;
use std::time::Instant;

/// From here up a control change counts as pressed, as the MIDI specification has it for
/// switches.
const PRESSED: f32 = 64.0 / 127.0;

/// Follows the controls of one [`Mapping`]. Allocates only when made.
#[derive(Clone, Debug)]
pub struct ControlState {
    controls: Vec<Follow>,
    /// Per target: which control was touched last. It alone has a say.
    newest: Vec<Option<usize>>,
}

#[derive(Clone, Debug)]
struct Follow {
    source: Source,
    channel: Option<u8>,
    input: [f32; 2],
    range: [f32; 2],
    curve: Curve,
    smooth_secs: f32,
    toggle: bool,
    /// Index into `newest`.
    target: usize,
    /// Where the knob stands, in \[0, 1\]; `None` until it was touched.
    position: Option<f32>,
    smoothed: f32,
    /// The button is down.
    down: bool,
    /// Presses nobody has asked about.
    presses: u32,
    pressed_at: Option<Instant>,
}

impl ControlState {
    /// Nothing touched yet. `own_range` gives the range, in the target's unit, of a control
    /// whose row has none.
    pub fn new(mapping: &Mapping, mut own_range: impl FnMut(&Control) -> [f32; 2]) -> Self {
        let mut targets: Vec<&str> = Vec::new();
        let controls = mapping
            .controls
            .iter()
            .map(|control| {
                let target = targets
                    .iter()
                    .position(|known| *known == control.target)
                    .unwrap_or_else(|| {
                        targets.push(&control.target);
                        targets.len() - 1
                    });
                Follow {
                    source: control.source,
                    channel: control.channel,
                    input: control.input,
                    range: control.range.unwrap_or_else(|| own_range(control)),
                    curve: control.curve,
                    smooth_secs: control.smooth_secs,
                    toggle: control.toggle,
                    target,
                    position: None,
                    smoothed: 0.0,
                    down: false,
                    presses: 0,
                    pressed_at: None,
                }
            })
            .collect();
        Self {
            controls,
            newest: vec![None; targets.len()],
        }
    }

    /// Puts the knobs where they stand in `old`, as far as both follow them for the same target:
    /// for a mapping or a scene that was changed during the show.
    pub fn adopt(&mut self, mapping: &Mapping, old: &Self, old_mapping: &Mapping) {
        for (index, control) in mapping.controls.iter().enumerate() {
            let same = |other: &Control| {
                (other.source, other.channel, &other.target)
                    == (control.source, control.channel, &control.target)
            };
            let Some(before) = old_mapping.controls.iter().position(same) else {
                continue;
            };
            let (now, then) = (&mut self.controls[index], &old.controls[before]);
            now.position = then.position;
            now.smoothed = then.smoothed;
            now.down = then.down;
            now.presses = then.presses;
            if old.newest[then.target] == Some(before) {
                self.newest[now.target] = Some(index);
            }
        }
    }

    /// Takes one event in. One message may move several controls.
    pub fn apply(&mut self, event: &MidiEvent) {
        let (source, channel, position) = match event.message {
            MidiMessage::ControlChange {
                channel,
                controller,
                value,
            } => (Source::Cc(controller), channel, f32::from(value) / 127.0),
            MidiMessage::NoteOn {
                channel,
                note,
                velocity,
            } => (Source::Note(note), channel, f32::from(velocity) / 127.0),
            MidiMessage::NoteOff { channel, note } => (Source::Note(note), channel, 0.0),
            MidiMessage::PitchBend { channel, value } => {
                (Source::PitchBend, channel, bend_position(value))
            }
            MidiMessage::ProgramChange { channel, program } => {
                (Source::Program(program), channel, 1.0)
            }
            // The clock's own.
            MidiMessage::Transport(_) => return,
        };
        for index in 0..self.controls.len() {
            let control = &self.controls[index];
            if control.source == source && control.channel.is_none_or(|only| only == channel) {
                self.touch(index, position, event.at);
            }
        }
    }

    /// Takes a number of an OSC message in; says whether a control listens to its address.
    pub fn apply_osc(&mut self, event: &OscEvent) -> bool {
        let mut heard = false;
        for index in 0..self.controls.len() {
            let control = &mut self.controls[index];
            let Source::Osc { address, arg } = control.source else {
                continue;
            };
            if address != event.address {
                continue;
            }
            heard = true;
            if arg != event.arg {
                continue;
            }
            let [low, high] = control.input;
            let position = ((event.value - low) / (high - low)).clamp(0.0, 1.0);
            if event.press {
                control.down = false;
            }
            self.touch(index, if event.press { 1.0 } else { position }, event.at);
        }
        heard
    }

    /// Something else has set the target of control `index`: the controls of that target have no
    /// say until they are touched again.
    pub fn let_go(&mut self, index: usize) {
        if let Some(control) = self.controls.get(index) {
            self.newest[control.target] = None;
        }
    }

    fn touch(&mut self, index: usize, position: f32, at: Instant) {
        let control = &mut self.controls[index];
        let presses = control.presses;
        let moved = control.touch(position);
        if control.presses != presses {
            control.pressed_at = Some(at);
        }
        if moved {
            self.newest[control.target] = Some(index);
        }
    }

    /// The value of control `index` (of [`Mapping::controls`]) in its target's unit. `dt_secs`
    /// is the time since the last call. `None` until the control is touched, and while another
    /// control of the same target was touched later.
    pub fn value(&mut self, index: usize, dt_secs: f32) -> Option<f32> {
        let control = self.controls.get_mut(index)?;
        let position = control.position?;
        // Followed even while another control has the say, so that nothing stale is left.
        control.follow(position, dt_secs);
        (self.newest[control.target] == Some(index)).then(|| control.shaped())
    }

    /// How often control `index` was pressed since the last call: for actions.
    pub fn take_presses(&mut self, index: usize) -> u32 {
        self.controls
            .get_mut(index)
            .map_or(0, |control| std::mem::take(&mut control.presses))
    }

    /// When control `index` was pressed last, to the moment at which its message came: a tapped
    /// tempo needs better than a frame.
    pub fn pressed_at(&self, index: usize) -> Option<Instant> {
        self.controls.get(index)?.pressed_at
    }
}

/// Like other positions in \[0, 1\], with the wheel's rest exactly in the middle.
fn bend_position(value: u16) -> f32 {
    let offset = f32::from(value) - 8192.0;
    let reach = if offset < 0.0 { 8192.0 } else { 8191.0 };
    0.5 + 0.5 * offset / reach
}

impl Follow {
    /// True when this changes where the control stands.
    fn touch(&mut self, position: f32) -> bool {
        let pressed = match self.source {
            // Any velocity is a press.
            Source::Note(_) => position > 0.0,
            Source::Program(_) => true,
            Source::Cc(_) | Source::PitchBend => position >= PRESSED,
            Source::Osc { .. } => position >= 0.5,
        };
        // A program has no release: each one is a press. A second note-on without a note-off
        // (some pads do that) is one, too.
        let repeats = matches!(self.source, Source::Note(_) | Source::Program(_));
        let press = pressed && (repeats || !self.down);
        self.down = pressed;
        if press {
            self.presses = self.presses.saturating_add(1);
        }
        let stands = if self.toggle {
            if !press {
                return false;
            }
            // The first press goes to the top: until then the scene's own value held.
            if self.position.is_some_and(|at| at > 0.5) {
                0.0
            } else {
                1.0
            }
        } else {
            position
        };
        if self.position.is_none() {
            self.smoothed = stands;
        }
        self.position = Some(stands);
        true
    }

    /// One step towards `position`: exact for any frame rate.
    fn follow(&mut self, position: f32, dt_secs: f32) {
        let keep = if self.smooth_secs > 0.0 {
            (-dt_secs.max(0.0) / self.smooth_secs).exp()
        } else {
            0.0
        };
        self.smoothed = keep.mul_add(self.smoothed - position, position);
    }

    fn shaped(&self) -> f32 {
        let [low, high] = self.range;
        let shaped = self.curve.apply(self.smoothed);
        // Exact at both ends, unlike low + (high − low)·shaped.
        low.mul_add(1.0 - shaped, high * shaped)
    }
}

#[cfg(test)]
mod tests {
    use super::ControlState;
    use crate::mapping::Mapping;
    use crate::midi::{MidiEvent, parse};
    use crate::osc::{Address, OscEvent};
    use proptest::prelude::*;
    use std::path::Path;
    use std::time::Instant;

    fn state(rows: &str) -> ControlState {
        let mapping = Mapping::parse(&format!("controls:\n{rows}"), Path::new("t.yaml")).unwrap();
        ControlState::new(&mapping, |_| [0.0, 1.0])
    }

    fn send(state: &mut ControlState, bytes: &[u8]) {
        state.apply(&MidiEvent {
            at: Instant::now(),
            port: 0,
            message: parse(bytes).unwrap(),
        });
    }

    #[test]
    fn a_knob_sweeps_its_range() {
        let mut s = state("- {cc: 16, channel: 2, target: a, range: [3, -1], smooth_secs: 0}\n");
        assert_eq!(s.value(0, 0.1), None);
        send(&mut s, &[0xb0, 16, 127]);
        send(&mut s, &[0xb1, 17, 127]);
        send(&mut s, &[0x91, 16, 127]);
        assert_eq!(s.value(0, 0.1), None, "other channel, CC and kind");
        send(&mut s, &[0xb1, 16, 0]);
        assert_eq!(s.value(0, 0.1), Some(3.0));
        send(&mut s, &[0xb1, 16, 127]);
        assert_eq!(s.value(0, 0.1), Some(-1.0));
        assert_eq!(s.value(1, 0.1), None, "no such control");
    }

    #[test]
    fn a_row_without_range_takes_the_targets() {
        let text = "controls:\n- {cc: 1, target: a, smooth_secs: 0}\n";
        let mapping = Mapping::parse(text, Path::new("t.yaml")).unwrap();
        let mut s = ControlState::new(&mapping, |control| {
            assert_eq!(control.target, "a");
            [10.0, 20.0]
        });
        send(&mut s, &[0xb0, 1, 127]);
        assert_eq!(s.value(0, 0.0), Some(20.0));
    }

    #[test]
    fn knobs_stand_where_they_stood_after_a_change_of_the_mapping() {
        let read = |rows: &str| {
            Mapping::parse(&format!("controls:\n{rows}"), Path::new("t.yaml")).unwrap()
        };
        let before = read(
            "- {cc: 1, target: a, smooth_secs: 0}\n- {cc: 2, target: a, smooth_secs: 0}\n\
             - {cc: 3, target: b, smooth_secs: 0}\n- {cc: 4, target: c, smooth_secs: 0}\n",
        );
        let mut old = ControlState::new(&before, |_| [0.0, 1.0]);
        for bytes in [[0xb0, 1, 127], [0xb0, 2, 0], [0xb0, 3, 127], [0xb0, 4, 127]] {
            send(&mut old, &bytes);
        }
        // Another order and range, a new row, and another target for the fourth knob.
        let after = read(
            "- {cc: 3, target: b, range: [0, 5], smooth_secs: 0}\n- {cc: 9, target: b}\n\
             - {cc: 1, target: a, smooth_secs: 0}\n- {cc: 2, target: a, smooth_secs: 0}\n\
             - {cc: 4, target: d, smooth_secs: 0}\n",
        );
        let mut new = ControlState::new(&after, |_| [0.0, 1.0]);
        new.adopt(&after, &old, &before);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|i| new.value(i, 0.0)),
            [Some(5.0), None, None, Some(0.0), None]
        );
    }

    #[test]
    fn smoothing_is_the_same_at_any_frame_rate() {
        let rows = "- {cc: 1, target: a, smooth_secs: 0.5}\n";
        let (mut slow, mut fast) = (state(rows), state(rows));
        for s in [&mut slow, &mut fast] {
            send(s, &[0xb0, 1, 0]);
            assert_eq!(s.value(0, 1.0), Some(0.0), "the first touch is at once");
            send(s, &[0xb0, 1, 127]);
        }
        let once = slow.value(0, 0.5).unwrap();
        for _ in 0..49 {
            fast.value(0, 0.01);
        }
        let often = fast.value(0, 0.01).unwrap();
        assert!((once - 0.632_12).abs() < 1e-4, "{once}");
        assert!((once - often).abs() < 1e-4, "{once} {often}");
    }

    #[test]
    fn the_control_touched_last_has_the_say() {
        let mut s = state(
            "- {cc: 1, target: a, smooth_secs: 0}\n- {cc: 2, target: a, smooth_secs: 0}\n\
             - {cc: 3, target: b, smooth_secs: 0}\n",
        );
        send(&mut s, &[0xb0, 1, 127]);
        send(&mut s, &[0xb0, 3, 127]);
        assert_eq!(
            [0, 1, 2].map(|i| s.value(i, 0.0)),
            [Some(1.0), None, Some(1.0)]
        );
        send(&mut s, &[0xb0, 2, 0]);
        assert_eq!(
            [0, 1, 2].map(|i| s.value(i, 0.0)),
            [None, Some(0.0), Some(1.0)]
        );
        send(&mut s, &[0xb0, 1, 127]);
        assert_eq!(
            [0, 1, 2].map(|i| s.value(i, 0.0)),
            [Some(1.0), None, Some(1.0)]
        );
    }

    #[test]
    fn pads_count_presses_and_hold_their_velocity() {
        let mut s = state(
            "- {note: 36, target: action.next-seed}\n- {note: 36, target: a, smooth_secs: 0}\n",
        );
        send(&mut s, &[0x99, 36, 127]);
        assert_eq!(s.value(1, 0.0), Some(1.0));
        send(&mut s, &[0x89, 36, 0]);
        assert_eq!(s.value(1, 0.0), Some(0.0));
        send(&mut s, &[0x99, 36, 1]);
        send(&mut s, &[0x99, 36, 0]);
        assert_eq!(s.take_presses(0), 2);
        assert_eq!(s.take_presses(0), 0);
    }

    #[test]
    fn a_button_that_sends_cc_is_pressed_once() {
        let mut s = state("- {cc: 41, target: action.go}\n");
        for value in [127, 127, 64, 63, 0, 64] {
            send(&mut s, &[0xb0, 41, value]);
        }
        assert_eq!(s.take_presses(0), 2);
    }

    #[test]
    fn a_toggle_flips_at_each_press() {
        let mut s = state("- {cc: 32, target: a, range: [1, 5], toggle: true, smooth_secs: 0}\n");
        send(&mut s, &[0xb0, 32, 0]);
        assert_eq!(s.value(0, 0.0), None, "a release alone does nothing");
        for want in [5.0, 1.0, 5.0] {
            send(&mut s, &[0xb0, 32, 127]);
            send(&mut s, &[0xb0, 32, 0]);
            assert_eq!(s.value(0, 0.0), Some(want));
        }
    }

    fn osc(address: &str, arg: u8, value: f32) -> OscEvent {
        OscEvent {
            at: Instant::now(),
            address: Address::new(address).unwrap(),
            arg,
            value,
            press: false,
        }
    }

    #[test]
    fn osc_moves_what_its_row_says() {
        let mut s = state(
            "- {osc: /1/xy, target: a, range: [10, 20], smooth_secs: 0}\n\
             - {osc: /1/xy, arg: 2, input: [-1, 1], target: b, smooth_secs: 0}\n\
             - {osc: /go, target: action.go}\n- {cc: 1, target: a, smooth_secs: 0}\n",
        );
        assert!(!s.apply_osc(&osc("/2/xy", 0, 1.0)));
        assert!(s.apply_osc(&osc("/1/xy", 0, 0.5)));
        assert!(s.apply_osc(&osc("/1/xy", 1, 0.0)));
        assert!(
            s.apply_osc(&osc("/1/xy", 2, 7.0)),
            "heard, though nobody takes it"
        );
        assert_eq!([0, 1].map(|i| s.value(i, 0.0)), [Some(15.0), Some(0.5)]);
        s.apply_osc(&osc("/1/xy", 0, 99.0));
        assert_eq!(s.value(0, 0.0), Some(20.0));
        s.let_go(0);
        assert_eq!(s.value(0, 0.0), None, "something else has the say");
        send(&mut s, &[0xb0, 1, 0]);
        assert_eq!(s.value(3, 0.0), Some(0.0));
        for value in [1.0, 0.0, 0.7, 0.9] {
            s.apply_osc(&osc("/go", 0, value));
        }
        assert_eq!(s.take_presses(2), 2);
        let press = OscEvent {
            press: true,
            ..osc("/go", 0, 1.0)
        };
        assert!(s.apply_osc(&press) && s.apply_osc(&press));
        assert_eq!(
            s.take_presses(2),
            2,
            "messages without arguments have no release"
        );
    }

    #[test]
    fn the_pitch_wheel_rests_in_the_middle() {
        let mut s = state("- {pitch-bend: true, target: a, range: [-1, 1], smooth_secs: 0}\n");
        for (bytes, want) in [
            ([0xe0, 0, 0], -1.0),
            ([0xe0, 0, 64], 0.0),
            ([0xe0, 127, 127], 1.0),
        ] {
            send(&mut s, &bytes);
            assert_eq!(s.value(0, 0.0), Some(want));
        }
    }

    #[test]
    fn following_allocates_nothing() {
        let mut s = state("- {cc: 1, target: a}\n- {note: 36, target: action.go}\n");
        let mut sum = 0.0;
        crate::rt::no_alloc::without_alloc(|| {
            for value in 0..=127 {
                send(&mut s, &[0xb0, 1, value]);
                send(&mut s, &[0x90, 36, value]);
                sum += s.value(0, 0.01).unwrap_or_default();
                s.take_presses(1);
            }
        });
        assert!(sum > 0.0);
    }

    proptest! {
        /// Whatever is played, values stay in their range and are finite.
        #[test]
        fn values_stay_in_range(
            played in prop::collection::vec((prop::collection::vec(any::<u8>(), 3), 0.0f32..1.0), 0..50),
            range in prop::array::uniform2(-1e6f32..1e6),
        ) {
            let mut s = state(&format!(
                "- {{cc: 1, target: a, range: {range:?}, curve: smooth}}\n\
                 - {{note: 1, target: a, range: {range:?}, toggle: true}}\n\
                 - {{pitch-bend: true, target: b, range: {range:?}}}\n",
            ));
            let (low, high) = (range[0].min(range[1]), range[0].max(range[1]));
            let slack = 1e-6 * (low.abs() + high.abs());
            for (mut bytes, dt_secs) in played {
                // Few numbers, so that the controls are hit.
                bytes[0] = [0x80, 0x90, 0xb0, 0xe0][usize::from(bytes[0] % 4)];
                if bytes[0] != 0xe0 {
                    bytes[1] %= 2;
                }
                if let Some(message) = parse(&bytes) {
                    s.apply(&MidiEvent { at: Instant::now(), port: 0, message });
                }
                for index in 0..3 {
                    if let Some(value) = s.value(index, dt_secs) {
                        prop_assert!((low - slack..=high + slack).contains(&value), "{value}");
                    }
                }
            }
        }
    }
}
