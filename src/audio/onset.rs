//! Onsets: something begins.

use super::flux::{BANDS, Rise};
use super::history::Follower;
use super::network::{self, Heard};
use crate::signal::place;

const ONSET: usize = place("onset");
const KICK: usize = place("kick");
const SNARE: usize = place("snare");
const HAT: usize = place("hat");
const SUB_ONSET: usize = place("sub-onset");

/// Rises above this all count as strong.
const STRONGEST: f32 = 1.0;

/// When a rise is an onset.
#[derive(Clone, Copy, Debug)]
pub(super) struct PickRule {
    /// Least rise above the mean of the last 150 ms.
    pub least_rise: f32,
    /// Least share of the strongest onsets of the last seconds, in \[0, 1\].
    pub share_of_strongest: f32,
    /// Least distance of two onsets in seconds.
    pub apart_secs: f64,
    /// Time in which the signal falls from 1 to 0, in seconds.
    pub fall_secs: f64,
}

/// Picks onsets as they come and holds a falling pulse after each.
#[derive(Clone, Debug)]
pub(super) struct Picker {
    rule: PickRule,
    hop_secs: f64,
    recent: Vec<f32>,
    next: usize,
    max_hops: usize,
    strongest: Follower,
    since_secs: f64,
}

impl Picker {
    pub(super) fn new(hop_secs: f64, rule: PickRule) -> Self {
        let hops = |secs: f64| (secs / hop_secs).round().max(1.0) as usize;
        Self {
            rule,
            hop_secs,
            recent: vec![0.0; hops(0.15)],
            next: 0,
            max_hops: hops(0.03),
            // Rises at once; forgets in seconds.
            strongest: Follower::new(hop_secs, 1e-6, 4.0),
            since_secs: f64::INFINITY,
        }
    }

    /// The pulse for the next hop, in \[0, 1\]: 1 at an onset, then falling to 0 as
    /// (1 − t / fall)².
    pub(super) fn update(&mut self, rise: f32) -> f32 {
        self.since_secs += self.hop_secs;
        let len = self.recent.len();
        let mean = self.recent.iter().sum::<f32>() / len as f32;
        let newest_max = (1..=self.max_hops.min(len))
            .map(|back| self.recent[(self.next + len - back) % len])
            .fold(0.0, f32::max);
        let least = (mean + self.rule.least_rise)
            .max(self.rule.share_of_strongest * self.strongest.value());
        if rise > least && rise >= newest_max && self.since_secs >= self.rule.apart_secs {
            self.since_secs = 0.0;
        }
        // The first sound after silence rises without bound; it must not set the measure.
        self.strongest.follow(rise.min(STRONGEST));
        self.recent[self.next] = rise;
        self.next = (self.next + 1) % len;
        let left = (1.0 - self.since_secs / self.rule.fall_secs).max(0.0) as f32;
        left * left
    }
}

/// Picks the beginnings that the network hears.
#[derive(Clone, Debug)]
pub(super) struct HeardPicker {
    least: f32,
    apart_secs: f64,
    fall_secs: f64,
    hop_secs: f64,
    /// The most since the last pick, and whether it fell away from there.
    most: f32,
    since_secs: f64,
}

/// A pick must be this much of what came before it.
const FALLEN: f32 = 0.6;

impl HeardPicker {
    fn new(hop_secs: f64, least: f32, apart_secs: f64, fall_secs: f64) -> Self {
        Self {
            least,
            apart_secs,
            fall_secs,
            hop_secs,
            most: 0.0,
            since_secs: f64::INFINITY,
        }
    }

    /// The pulse for the next hop, in \[0, 1\]: 1 at an onset, then falling to 0 as
    /// (1 − t / fall)². `likely` is news, if there is some.
    fn update(&mut self, likely: Option<f32>) -> f32 {
        self.since_secs += self.hop_secs;
        if let Some(likely) = likely {
            // Still the same one until it was hardly heard any more.
            if likely < FALLEN * self.most {
                self.most = 0.0;
            }
            if likely >= self.least && self.most == 0.0 && self.since_secs >= self.apart_secs {
                self.since_secs = 0.0;
            }
            if self.since_secs < self.apart_secs || self.most > 0.0 {
                self.most = self.most.max(likely);
            }
        }
        let left = (1.0 - self.since_secs / self.fall_secs).max(0.0) as f32;
        left * left
    }
}

/// All onset signals.
#[derive(Clone, Debug)]
pub(super) struct Onsets {
    onset: HeardPicker,
    kick: Picker,
    snare: Picker,
    hat: Picker,
    bands: [Picker; BANDS],
}

impl Onsets {
    pub(super) fn new(hop_secs: f64) -> Self {
        let picker = |least_rise, share_of_strongest, apart_secs, fall_secs| {
            Picker::new(
                hop_secs,
                PickRule {
                    least_rise,
                    share_of_strongest,
                    apart_secs,
                    fall_secs,
                },
            )
        };
        Self {
            onset: HeardPicker::new(hop_secs, 0.8, 0.03, 0.25),
            kick: picker(0.28, 0.45, 0.12, 0.25),
            snare: picker(0.1, 0.45, 0.1, 0.2),
            hat: picker(0.12, 0.25, 0.06, 0.15),
            bands: std::array::from_fn(|_| picker(0.2, 0.35, 0.08, 0.2)),
        }
    }

    /// The pulses of this hop. `heard` is news of the network, if there is some.
    pub(super) fn update(
        &mut self,
        audible: f32,
        rise: &Rise,
        heard: Option<&Heard>,
        values: &mut [f32],
    ) {
        values[ONSET] = self
            .onset
            .update(heard.map(|heard| audible * heard[network::ONSET]));
        values[KICK] = self.kick.update(audible * rise.kick);
        values[SNARE] = self.snare.update(audible * rise.snare);
        values[HAT] = self.hat.update(audible * rise.hat);
        let out = &mut values[SUB_ONSET..];
        for ((picker, rise), out) in self.bands.iter_mut().zip(&rise.bands).zip(out) {
            *out = picker.update(audible * rise);
        }
    }
}
