//! Modulators: what a scene adds to the signals. LFOs, noise, envelopes, sample and hold, steps,
//! counters and slew, in beats or seconds; each gives a value in \[0, 1\].
//!
//! A bank of them is evaluated once a frame from one snapshot. What runs on beats or seconds is a
//! function of the time alone, so that it is the same at any frame rate, live and offline.

mod entry;
mod envelope;
mod lfo;

pub use entry::{Inline, Named};
pub use lfo::Wave;

use crate::param::{Source, Values};
use crate::signal::{BEATS_PER_BAR, Beat, Snapshot};
use envelope::{Envelope, Rates};

/// MIDI notes, 0 to 127.
pub const NOTES: usize = 128;

/// How far below its threshold a trigger's source must fall before it can fire again.
const REARM_BELOW: f32 = 0.1;

/// One modulator, as a scene defines it.
#[derive(Clone, Debug, PartialEq)]
pub struct Modulator {
    kind: Kind,
    pace: Pace,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Lfo {
        wave: Wave,
        /// Where in its period it is at time 0, in \[0, 1\].
        phase: f64,
        width: f32,
        seed: u64,
    },
    Envelope(Rates),
    /// Takes the source's value at each tick and keeps it.
    Sample(Source),
    /// Goes through the values, one at each tick.
    Steps(Vec<f32>),
    /// Rises from 0 to 1 in so many ticks, then starts over.
    Count(u32),
    /// Follows a source no faster than from 0 to 1 in `rise_secs`, and back in `fall_secs`.
    Slew {
        source: Source,
        rise_secs: f32,
        fall_secs: f32,
    },
}

/// When a modulator ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    /// Every so many beats, counted from a bar's start.
    Beats(f64),
    /// Every so many seconds.
    Secs(f64),
    /// When a source rises through a threshold.
    Rise { source: Source, threshold: f32 },
    /// When a MIDI note begins.
    Note(u8),
    /// Needs none.
    Always,
}

/// The notes that are down, and those that were pressed since the last frame.
#[derive(Clone, Debug)]
pub struct Notes {
    velocity: [f32; NOTES],
    down: u128,
    pressed: u128,
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            velocity: [0.0; NOTES],
            down: 0,
            pressed: 0,
        }
    }
}

impl Notes {
    /// A note begins with a velocity in (0, 1\], or ends with 0. Others than 0 to 127 are ignored.
    pub fn play(&mut self, note: u8, velocity: f32) {
        let index = usize::from(note);
        if index >= NOTES {
            return;
        }
        if velocity > 0.0 {
            self.velocity[index] = velocity.min(1.0);
            self.down |= 1 << index;
            self.pressed |= 1 << index;
        } else {
            self.down &= !(1 << index);
        }
    }

    fn is_down(&self, note: u8) -> bool {
        self.down >> note & 1 == 1
    }

    fn was_pressed(&self, note: u8) -> bool {
        self.pressed >> note & 1 == 1
    }
}

/// What a modulator remembers.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    envelope: Envelope,
    /// Ticks so far of a trigger; which period it is of beats and seconds.
    ticks: i64,
    started: bool,
    /// The trigger's source is above its threshold.
    above: bool,
    value: f32,
}

/// A tick within this frame.
#[derive(Clone, Copy, Debug)]
struct Tick {
    /// How long before the frame's time it was, in seconds; never longer than the frame.
    age_secs: f32,
    /// How strong, in \[0, 1\].
    strength: f32,
}

/// Modulators in motion. Allocates only in [`ModulatorBank::reset`].
#[derive(Clone, Debug, Default)]
pub struct ModulatorBank {
    states: Vec<State>,
    values: Vec<f32>,
    time_secs: f64,
    notes: Notes,
}

/// The moment that is evaluated.
struct Moment<'a> {
    snapshot: &'a Snapshot,
    beats: f64,
    time_secs: f64,
    dt_secs: f32,
    notes: &'a Notes,
}

impl ModulatorBank {
    /// Makes room for so many modulators and starts them; the time goes on, so that what runs on
    /// seconds does not jump when a scene is changed during the show.
    pub fn reset(&mut self, count: usize) {
        self.states = vec![State::default(); count];
        self.values = vec![0.0; count];
    }

    /// A note begins with a velocity in (0, 1\], or ends with 0; counts in the next evaluation.
    pub fn play(&mut self, note: u8, velocity: f32) {
        self.notes.play(note, velocity);
    }

    /// The values, in the modulators' order, as of the last evaluation.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Evaluates all of them, in order, so that one may use those before it. `dt_secs` is the
    /// time since the last evaluation.
    pub fn evaluate(&mut self, modulators: &[Modulator], snapshot: &Snapshot, dt_secs: f32) {
        let dt_secs = dt_secs.max(0.0);
        self.time_secs += f64::from(dt_secs);
        let moment = Moment {
            snapshot,
            beats: beats_of(&snapshot.beat),
            time_secs: self.time_secs,
            dt_secs,
            notes: &self.notes,
        };
        for (at, (modulator, state)) in modulators.iter().zip(&mut self.states).enumerate() {
            let (before, rest) = self.values.split_at_mut(at);
            if let Some(value) = rest.first_mut() {
                *value = modulator.next(state, before, &moment).clamp(0.0, 1.0);
            }
        }
        self.notes.pressed = 0;
    }
}

/// Beats since the start, counted so that multiples of four are downbeats.
fn beats_of(beat: &Beat) -> f64 {
    let bar = u64::from(BEATS_PER_BAR);
    let behind = (u64::from(beat.beat_in_bar) + bar - beat.count % bar) % bar;
    (beat.count + behind) as f64 + f64::from(beat.phase)
}

impl Modulator {
    fn next(&self, state: &mut State, before: &[f32], moment: &Moment<'_>) -> f32 {
        let values = Values {
            snapshot: moment.snapshot,
            modulators: before,
        };
        let tick = self.pace.tick(state, &values, moment);
        state.started = true;
        match &self.kind {
            Kind::Lfo {
                wave,
                phase,
                width,
                seed,
            } => wave.at(self.pace.position(state, moment) + phase, *width, *seed),
            Kind::Envelope(rates) => {
                let envelope = &mut state.envelope;
                let mut after_secs = moment.dt_secs;
                if let Some(tick) = tick {
                    envelope.advance(rates, moment.dt_secs - tick.age_secs);
                    let held = matches!(self.pace, Pace::Note(_));
                    envelope.trigger(rates, tick.strength, held);
                    after_secs = tick.age_secs;
                }
                envelope.advance(rates, after_secs);
                if let Pace::Note(note) = self.pace
                    && !moment.notes.is_down(note)
                {
                    envelope.release();
                }
                envelope.level()
            }
            Kind::Sample(source) => {
                if tick.is_some() {
                    state.value = values.get(*source);
                }
                state.value
            }
            Kind::Steps(steps) => {
                let at = state.ticks.rem_euclid(steps.len().max(1) as i64) as usize;
                steps.get(at).copied().unwrap_or(0.0)
            }
            Kind::Count(steps) => {
                let at = state.ticks.rem_euclid(i64::from(*steps).max(1));
                at as f32 / (steps.saturating_sub(1)).max(1) as f32
            }
            Kind::Slew {
                source,
                rise_secs,
                fall_secs,
            } => {
                let target = values.get(*source);
                let reach = |secs: f32| {
                    if secs > 0.0 {
                        moment.dt_secs / secs
                    } else {
                        1.0
                    }
                };
                let (down, up) = (reach(*fall_secs), reach(*rise_secs));
                state.value = target.clamp(state.value - down, state.value + up);
                state.value
            }
        }
    }
}

impl Pace {
    /// Periods since the start.
    fn position(&self, state: &State, moment: &Moment<'_>) -> f64 {
        match self {
            Self::Beats(every) => moment.beats / every,
            Self::Secs(every) => moment.time_secs / every,
            Self::Rise { .. } | Self::Note(_) | Self::Always => state.ticks as f64,
        }
    }

    /// The newest tick in this frame; counts them. The first evaluation of a period is one, so
    /// that what samples has a value from the start.
    fn tick(&self, state: &mut State, values: &Values<'_>, moment: &Moment<'_>) -> Option<Tick> {
        let at_frame = |strength| {
            Some(Tick {
                age_secs: 0.0,
                strength,
            })
        };
        match *self {
            Self::Beats(_) | Self::Secs(_) => {
                let position = self.position(state, moment);
                let period = position.floor() as i64;
                let new = period != state.ticks || !state.started;
                state.ticks = period;
                // Without a tempo there are no beats.
                let running = moment.snapshot.beat.is_running() || matches!(self, Self::Secs(_));
                let age_secs =
                    (position - position.floor()) * self.period_secs(&moment.snapshot.beat);
                (new && running).then_some(Tick {
                    age_secs: (age_secs as f32).min(moment.dt_secs),
                    strength: 1.0,
                })
            }
            Self::Rise { source, threshold } => {
                let value = values.get(source);
                let edge = if state.above {
                    threshold - REARM_BELOW
                } else {
                    threshold
                };
                let was = std::mem::replace(&mut state.above, value >= edge.max(f32::EPSILON));
                if state.above && !was {
                    state.ticks += 1;
                    return at_frame(1.0);
                }
                None
            }
            Self::Note(note) => {
                if moment.notes.was_pressed(note) {
                    state.ticks += 1;
                    return at_frame(moment.notes.velocity[usize::from(note)]);
                }
                None
            }
            Self::Always => None,
        }
    }

    fn period_secs(&self, beat: &Beat) -> f64 {
        match self {
            Self::Beats(every) if beat.is_running() => every * 60.0 / f64::from(beat.bpm),
            Self::Secs(every) => *every,
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
