//! Which beat counts: the tracker's, a finger's, a MIDI clock's, an Ableton Link session's or a fixed tempo.
//!
//! A [`Clock`] takes all of them in and gives one [`Beat`] for the moment that is asked about. The
//! beat never goes back: when the source changes or corrects itself, it speeds up or waits for a
//! moment. Times are seconds on any one clock: the system's live, the sound's offline. It knows no
//! device, thread or window, allocates nothing, and gives the same for the same calls.

mod line;
mod pulses;
mod tap;

pub use line::Line;
pub use pulses::Transport;

use crate::signal::{BEATS_PER_BAR, Beat};
use line::{Follower, nearest};
use pulses::Pulses;
use std::fmt;
use std::str::FromStr;
use tap::Taps;

/// Slowest and fastest tempo, in beats per minute.
pub const BPM_RANGE: (f64, f64) = (20.0, 400.0);

/// Beats in a bar.
const BAR: f64 = BEATS_PER_BAR as f64;

/// For how many beats the tracker must say that the bar begins elsewhere before it is believed:
/// downbeats are its weakest point.
const BAR_PATIENCE_BEATS: f64 = 8.0;

/// Time constant in which the confidence fades when the source is gone and the tempo goes on, in
/// seconds.
const FADE_SECS: f64 = 8.0;

/// Which source the performer wants.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ClockChoice {
    /// A running MIDI clock, else a Link session with others in it, else taps, else the tracker.
    #[default]
    Auto,
    /// What is heard.
    Tracker,
    /// What is tapped.
    Tap,
    /// A MIDI clock.
    Midi,
    /// An Ableton Link session.
    Link,
    /// This tempo, in beats per minute.
    Fixed(f64),
}

impl FromStr for ClockChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "tracker" => Self::Tracker,
            "tap" => Self::Tap,
            "midi" => Self::Midi,
            "link" => Self::Link,
            number => {
                let (slowest, fastest) = BPM_RANGE;
                match number.parse() {
                    Ok(bpm) if (slowest..=fastest).contains(&bpm) => Self::Fixed(bpm),
                    _ => {
                        return Err(format!(
                            "auto, tracker, tap, midi, link, or beats per minute from {slowest} to {fastest}"
                        ));
                    }
                }
            }
        })
    }
}

impl fmt::Display for ClockChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Tracker => f.write_str("tracker"),
            Self::Tap => f.write_str("tap"),
            Self::Midi => f.write_str("midi"),
            Self::Link => f.write_str("link"),
            Self::Fixed(bpm) => write!(f, "{bpm} bpm"),
        }
    }
}

/// Where the beat comes from at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockSource {
    /// Nothing gave a tempo yet.
    #[default]
    None,
    /// What is heard.
    Tracker,
    /// What is tapped.
    Tap,
    /// A MIDI clock.
    Midi,
    /// An Ableton Link session.
    Link,
    /// The tempo that was given.
    Fixed,
    /// The source is gone; its tempo goes on.
    Coasting,
}

impl fmt::Display for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no tempo yet",
            Self::Tracker => "tracker",
            Self::Tap => "tapped",
            Self::Midi => "MIDI clock",
            Self::Link => "Ableton Link",
            Self::Fixed => "fixed",
            Self::Coasting => "source lost, going on",
        })
    }
}

/// What a performer does to the beat, at the window or by a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockAction {
    /// Here is a beat.
    Tap,
    /// All beats a hundredth of a second earlier.
    Earlier,
    /// All beats a hundredth of a second later.
    Later,
    /// Half the tempo.
    Half,
    /// Twice the tempo.
    Double,
    /// A bar begins now.
    Resync,
    /// Another source.
    NextSource,
}

/// How far a nudge shifts the beats, in seconds.
const NUDGE_SECS: f64 = 0.01;

impl ClockAction {
    /// Every action with the name that mapping files give it, after `action.`.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("tap", Self::Tap),
        ("beat-earlier", Self::Earlier),
        ("beat-later", Self::Later),
        ("half-tempo", Self::Half),
        ("double-tempo", Self::Double),
        ("resync", Self::Resync),
        ("next-clock", Self::NextSource),
    ];

    /// The action of this name.
    pub fn find(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }
}

/// The arbiter of beats.
#[derive(Clone, Debug)]
pub struct Clock {
    choice: ClockChoice,
    /// What the command line said: the performer can come back to it.
    first_choice: ClockChoice,
    tracker: Option<(f64, Beat)>,
    taps: Taps,
    /// Taps lead, in `auto`.
    tapping: bool,
    pulses: Pulses,
    /// Whose pulses they are.
    sender: Option<u32>,
    /// We are in a Link session; where it is, if others are.
    session: Option<Option<Line>>,
    /// Added to the source's beats: nudges and a bar set by hand.
    shift_beats: f64,
    /// The bar is set by hand: the tracker's does not count.
    bar_by_hand: bool,
    /// The tempo that half and double ask for: the source's octave nearest to it is taken.
    octave_of: Option<f64>,
    follower: Follower,
    source: ClockSource,
    bpm: f64,
    confidence: f64,
    at_secs: f64,
    /// Since when, in beats, the source's bar begins elsewhere.
    bar_off_since: Option<f64>,
}

impl Clock {
    /// A clock that has heard nothing.
    pub fn new(choice: ClockChoice) -> Self {
        Self {
            choice,
            first_choice: choice,
            tracker: None,
            taps: Taps::default(),
            tapping: false,
            pulses: Pulses::default(),
            sender: None,
            session: None,
            shift_beats: 0.0,
            bar_by_hand: false,
            octave_of: None,
            follower: Follower::default(),
            source: ClockSource::None,
            bpm: 0.0,
            confidence: 0.0,
            at_secs: f64::NEG_INFINITY,
            bar_off_since: None,
        }
    }

    /// What the tracker says of the moment `secs`.
    pub fn hear(&mut self, secs: f64, beat: &Beat) {
        self.tracker = beat.is_running().then_some((secs, *beat));
    }

    /// A message of a MIDI clock. Of several senders the first counts until it falls silent.
    pub fn transport(&mut self, secs: f64, sender: u32, message: Transport) {
        if self.sender != Some(sender) {
            if self.sender.is_some() && self.pulses.is_alive(secs) {
                return;
            }
            self.sender = Some(sender);
            self.pulses = Pulses::default();
        }
        self.pulses.take(secs, message);
    }

    /// Where the Link session is that we are in: `None` while nobody else is in it, for then nobody has set its tempo.
    /// To be told again and again, for others may go.
    pub fn session(&mut self, line: Option<Line>) {
        self.session = Some(line);
    }

    /// What the performer asks for at `secs`.
    pub fn act(&mut self, secs: f64, action: ClockAction) {
        match action {
            ClockAction::Tap => self.tap(secs),
            ClockAction::Earlier => self.nudge(NUDGE_SECS),
            ClockAction::Later => self.nudge(-NUDGE_SECS),
            ClockAction::Half => self.half(),
            ClockAction::Double => self.double(),
            ClockAction::Resync => self.resync(secs),
            ClockAction::NextSource => {
                self.choose_next();
            }
        }
    }

    /// The performer taps a beat. From the second tap of a series on, taps lead.
    pub fn tap(&mut self, secs: f64) {
        let before = self.taps.line();
        self.taps.tap(secs);
        if self.taps.line() != before {
            self.reset_hand();
            self.tapping = true;
            if self.choice != ClockChoice::Auto {
                self.choice = ClockChoice::Tap;
            }
        }
    }

    /// Shifts the beat by so many seconds: positive ones make it come earlier.
    pub fn nudge(&mut self, secs: f64) {
        self.shift_beats += secs * self.bpm / 60.0;
    }

    /// Half the tempo.
    pub fn half(&mut self) {
        self.octave_of = Some((self.bpm / 2.0).max(BPM_RANGE.0));
    }

    /// Twice the tempo.
    pub fn double(&mut self) {
        self.octave_of = Some((self.bpm * 2.0).min(BPM_RANGE.1));
    }

    /// A bar begins at `secs`.
    pub fn resync(&mut self, secs: f64) {
        self.bar_by_hand = true;
        if let Some((_, line)) = self.led_by(secs) {
            self.shift_beats -= nearest(0.0, line.at(secs), BAR);
        } else if self.bpm > 0.0 {
            let ahead = (secs - self.at_secs).max(0.0) * self.bpm / 60.0;
            self.follower
                .skip((-(self.follower.beats() + ahead)).rem_euclid(BAR));
        }
        self.bar_off_since = None;
    }

    /// The next choice: auto, tracker, tap, midi, link if there is a session, and the one of the start if it was another.
    pub fn choose_next(&mut self) -> ClockChoice {
        let next = match self.choice {
            ClockChoice::Auto => ClockChoice::Tracker,
            ClockChoice::Tracker => ClockChoice::Tap,
            ClockChoice::Tap => ClockChoice::Midi,
            ClockChoice::Midi if self.session.is_some() => ClockChoice::Link,
            ClockChoice::Midi | ClockChoice::Link
                if matches!(self.first_choice, ClockChoice::Fixed(_)) =>
            {
                self.first_choice
            }
            ClockChoice::Midi | ClockChoice::Link | ClockChoice::Fixed(_) => ClockChoice::Auto,
        };
        self.choose(next);
        next
    }

    /// Changes the choice. Nudges, octave and the bar by hand are given up, and taps in `auto`.
    pub fn choose(&mut self, choice: ClockChoice) {
        self.choice = choice;
        self.tapping = false;
        self.reset_hand();
    }

    fn reset_hand(&mut self) {
        self.shift_beats = 0.0;
        self.bar_by_hand = false;
        self.octave_of = None;
    }

    /// What the performer wants.
    pub fn choice(&self) -> ClockChoice {
        self.choice
    }

    /// Where the last beat came from.
    pub fn source(&self) -> ClockSource {
        self.source
    }

    /// Whether a MIDI clock has been stopped by its sender.
    pub fn is_stopped(&self) -> bool {
        self.source == ClockSource::Midi && !self.pulses.is_playing()
    }

    /// The beat at `secs`, which may lie ahead of everything that was heard. Moments must not
    /// fall: an earlier one is taken for the last.
    pub fn beat_at(&mut self, secs: f64) -> Beat {
        let dt = if self.at_secs.is_finite() {
            (secs - self.at_secs).max(0.0)
        } else {
            0.0
        };
        self.at_secs = self.at_secs.max(secs);
        match self.led_by(secs) {
            Some((source, line)) => {
                self.source = source;
                self.bpm = line.bpm;
                self.confidence = match (source, &self.tracker) {
                    (ClockSource::Tracker, Some((_, beat))) => f64::from(beat.confidence),
                    _ => 1.0,
                };
                if let Some(wanted) = &mut self.octave_of {
                    *wanted = line.bpm;
                }
                self.follower.advance(secs, &line);
                self.follow_bar(source, &line);
            }
            None if self.bpm > 0.0 => {
                self.source = ClockSource::Coasting;
                self.confidence *= (-dt / FADE_SECS).exp();
                self.follower.coast(secs, self.bpm);
            }
            None => return Beat::NONE,
        }
        let beats = self.follower.beats();
        let count = beats.floor();
        Beat {
            // Rounding to f32 may reach 1.
            phase: ((beats - count) as f32).min(1.0 - f32::EPSILON),
            beat_in_bar: (count as u64 % u64::from(BEATS_PER_BAR)) as u8,
            bpm: self.bpm as f32,
            confidence: self.confidence as f32,
            count: count as u64,
        }
    }

    /// Skips the beats that the source's bar is ahead by.
    fn follow_bar(&mut self, source: ClockSource, line: &Line) {
        let beats = self.follower.beats();
        let ahead = (line.at(self.at_secs) - beats).rem_euclid(BAR);
        let whole = ahead.round();
        // While the phase is still on its way, it is not clear which beat is meant.
        let clear = (ahead - whole).abs() < 0.2;
        if !clear || whole == 0.0 || whole == BAR {
            if clear {
                self.bar_off_since = None;
            }
            return;
        }
        let since = *self.bar_off_since.get_or_insert(beats);
        let patience = match source {
            ClockSource::Tracker if !self.bar_by_hand => BAR_PATIENCE_BEATS,
            _ => 0.0,
        };
        if beats - since >= patience {
            self.follower.skip(whole);
            self.bar_off_since = None;
        }
    }

    /// The source that has the say and its beat, with what the performer made of it.
    fn led_by(&self, secs: f64) -> Option<(ClockSource, Line)> {
        let tracker = || {
            let (at_secs, beat) = self.tracker?;
            let count = if self.bar_by_hand {
                beat.count as f64
            } else {
                f64::from(beat.beat_in_bar)
            };
            let line = Line {
                at_secs,
                beats: count + f64::from(beat.phase),
                bpm: f64::from(beat.bpm),
            };
            Some((ClockSource::Tracker, line))
        };
        let taps = || Some((ClockSource::Tap, self.taps.line()?));
        let midi = || {
            let line = self.pulses.line().filter(|_| self.pulses.is_alive(secs))?;
            Some((ClockSource::Midi, line))
        };
        let link = || Some((ClockSource::Link, self.session.flatten()?));
        let (source, line) = match self.choice {
            ClockChoice::Auto => midi()
                .or_else(link)
                .or_else(|| taps().filter(|_| self.tapping))
                .or_else(tracker),
            ClockChoice::Tracker => tracker(),
            ClockChoice::Tap => taps(),
            ClockChoice::Midi => midi(),
            ClockChoice::Link => link(),
            ClockChoice::Fixed(bpm) => Some((
                ClockSource::Fixed,
                Line {
                    at_secs: 0.0,
                    beats: 0.0,
                    bpm,
                },
            )),
        }?;
        let octave = self.octave_of.map_or(1.0, |wanted| {
            (wanted / line.bpm).log2().round().clamp(-3.0, 3.0).exp2()
        });
        Some((
            source,
            Line {
                at_secs: line.at_secs,
                beats: line.beats.mul_add(octave, self.shift_beats),
                bpm: line.bpm * octave,
            },
        ))
    }
}

#[cfg(test)]
mod tests;
