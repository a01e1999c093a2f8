//! The beat of a performance: the clock, fed by what is heard, by MIDI and by the performer, and
//! read for the moment at which a frame will be seen.

use crate::clock::{Clock, ClockAction, ClockChoice, Line};
use crate::link::Link;
use crate::midi::{MidiEvent, MidiMessage};
use crate::signal::Snapshot;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Longest look-ahead, in milliseconds.
const MAX_AHEAD_MS: f64 = 1000.0;
/// Time constant in which a measured delay is followed, in seconds: it must not shake the beat.
const FOLLOW_SECS: f64 = 2.0;

/// How far the beat runs ahead of the sound, so that picture and sound meet in the eye.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LookAhead {
    /// As long as a frame takes to the screen, as measured.
    Auto,
    /// So many seconds; negative ones let the beat lag.
    Fixed(f64),
}

impl FromStr for LookAhead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        match text.parse::<f64>() {
            Ok(ms) if (-MAX_AHEAD_MS..=MAX_AHEAD_MS).contains(&ms) => Ok(Self::Fixed(ms / 1e3)),
            _ => Err(format!(
                "auto, or milliseconds from -{MAX_AHEAD_MS} to {MAX_AHEAD_MS}"
            )),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Beats {
    clock: Clock,
    link: Option<Link>,
    /// Others in the Link session.
    peers: u64,
    epoch: Instant,
    look_ahead: LookAhead,
    ahead_secs: f64,
    placed_at: Instant,
}

impl Beats {
    pub(crate) fn new(choice: ClockChoice, link: Option<Link>, look_ahead: LookAhead) -> Self {
        let epoch = Instant::now();
        Self {
            clock: Clock::new(choice),
            link,
            peers: 0,
            epoch,
            look_ahead,
            ahead_secs: match look_ahead {
                LookAhead::Auto => 0.0,
                LookAhead::Fixed(secs) => secs,
            },
            placed_at: epoch,
        }
    }

    /// Seconds since the start; what came before it has negative ones.
    fn secs(&self, at: Instant) -> f64 {
        match at.checked_duration_since(self.epoch) {
            Some(since) => since.as_secs_f64(),
            None => -(self.epoch - at).as_secs_f64(),
        }
    }

    /// A MIDI message, if it is one of a clock.
    pub(crate) fn take(&mut self, event: &MidiEvent) {
        if let MidiMessage::Transport(transport) = event.message {
            let secs = self.secs(event.at);
            self.clock.transport(secs, event.port, transport);
        }
    }

    /// What the performer asks for; a word about it where the picture does not say it.
    pub(crate) fn act(&mut self, at: Instant, action: ClockAction) -> Option<String> {
        let secs = self.secs(at);
        self.clock.act(secs, action);
        (action == ClockAction::NextSource).then(|| format!("clock: {}", self.clock.choice()))
    }

    /// Sets the snapshot's beat to that of the moment at which a frame begun `now` will be seen.
    /// `heard_at` is when the snapshot's newest sample was at the input, `to_screen` the measured
    /// way of a frame, if there is one yet.
    pub(crate) fn place(
        &mut self,
        snapshot: &mut Snapshot,
        heard_at: Instant,
        now: Instant,
        to_screen: Option<Duration>,
    ) {
        let heard_secs = self.secs(heard_at);
        self.clock.hear(heard_secs, &snapshot.beat);
        self.hear_session();
        if let (LookAhead::Auto, Some(way)) = (self.look_ahead, to_screen) {
            let way = way.as_secs_f64().min(MAX_AHEAD_MS / 1e3);
            let passed = now.saturating_duration_since(self.placed_at).as_secs_f64();
            let keep = (-passed / FOLLOW_SECS).exp();
            self.ahead_secs = keep.mul_add(self.ahead_secs - way, way);
        }
        self.placed_at = now;
        let seen_secs = self.secs(now) + self.ahead_secs;
        snapshot.set_beat(self.clock.beat_at(seen_secs));
    }

    fn hear_session(&mut self) {
        let Some(session) = self.link.as_mut().map(Link::session) else {
            return;
        };
        let line = Line {
            at_secs: self.secs(session.at),
            beats: session.beats,
            bpm: session.bpm,
        };
        self.peers = session.peers;
        self.clock.session((session.peers > 0).then_some(line));
    }

    /// The look-ahead in use.
    pub(crate) fn ahead_secs(&self) -> f64 {
        self.ahead_secs
    }

    /// Source and choice, in words.
    pub(crate) fn status(&self) -> String {
        let (source, choice) = (self.clock.source(), self.clock.choice());
        let stopped = if self.clock.is_stopped() {
            ", stopped by its sender"
        } else {
            ""
        };
        match (&self.link, self.peers) {
            (None, _) => format!("{source}{stopped} ({choice})"),
            (Some(_), 0) => format!("{source}{stopped} ({choice}), nobody else on Link"),
            (Some(_), 1) => format!("{source}{stopped} ({choice}), one other on Link"),
            (Some(_), peers) => format!("{source}{stopped} ({choice}), {peers} others on Link"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Beats, LookAhead};
    use crate::clock::ClockChoice;
    use crate::signal::Snapshot;
    use std::time::Duration;

    #[test]
    fn look_ahead_is_a_word_or_milliseconds() {
        assert_eq!("auto".parse(), Ok(LookAhead::Auto));
        assert_eq!("25".parse(), Ok(LookAhead::Fixed(0.025)));
        assert_eq!("-10".parse(), Ok(LookAhead::Fixed(-0.01)));
        for text in ["", "soon", "nan", "1001"] {
            assert!(text.parse::<LookAhead>().unwrap_err().contains("1000"));
        }
    }

    #[test]
    fn the_beat_is_that_of_the_moment_at_which_it_is_seen() {
        let beats_at = |look_ahead: LookAhead, way: Option<Duration>| {
            let mut beats = Beats::new(ClockChoice::Fixed(60.0), None, look_ahead);
            let mut snapshot = Snapshot::SILENCE;
            // Long enough for the measured way to be followed.
            for tenth in 0..200 {
                let now = beats.epoch + Duration::from_millis(100 * tenth);
                beats.place(&mut snapshot, now, now, way);
            }
            snapshot.beat.count as f64 + f64::from(snapshot.beat.phase)
        };
        let way = Some(Duration::from_millis(80));
        let now = beats_at(LookAhead::Fixed(0.0), way);
        for (look_ahead, want) in [
            (LookAhead::Auto, 0.08),
            (LookAhead::Fixed(0.25), 0.25),
            (LookAhead::Fixed(-0.1), -0.1),
        ] {
            // Before the start, the bar before begins.
            let ahead = (beats_at(look_ahead, way) - now + 2.0).rem_euclid(4.0) - 2.0;
            assert!((ahead - want).abs() < 1e-3, "{look_ahead:?}: {ahead}");
        }
        assert!((beats_at(LookAhead::Auto, None) - now).abs() < 1e-6);
    }
}
