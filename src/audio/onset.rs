//! Onsets: something begins. Log-magnitude spectral flux with a maximum filter over frequency
//! (Böck and Widmer 2013, "Maximum filter vibrato suppression for onset detection"), and a causal
//! peak picker.

use super::bands::Bands;
use super::history::Follower;

/// How far back the flux compares, in seconds: about the time in which an attack fills enough of
/// the window.
const LAG_SECS: f64 = 0.016;

/// Parts of the spectrum, in Hz: what a kick moves, bodies of drums and notes, noise of snares and
/// claps, hats.
const PART_EDGES_HZ: [f32; 5] = [20.0, 160.0, 1_500.0, 6_000.0, 16_000.0];
const PARTS: usize = PART_EDGES_HZ.len() - 1;

/// Magnitudes are compressed as ln(1 + c · magnitude / recent loud). High: quiet sounds count too.
const COMPRESSION: f32 = 50.0;
/// Low: for a kick only what is loud counts.
const KICK_COMPRESSION: f32 = 8.0;

/// A part this far below the whole (−50 dB) is not amplified further.
const LEAST_PART_SHARE: f32 = 1e-5;

/// Rises above this all count as strong.
const STRONGEST: f32 = 1.0;

/// Rise of the spectrum in one hop, about 0 to 3.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rise {
    /// Of all parts alike.
    pub all: f32,
    /// Below 160 Hz, in proportion to the whole sound.
    pub kick: f32,
    /// Above 6 kHz.
    pub high: f32,
}

/// Spectral flux against the spectrum [`LAG_SECS`] ago.
pub(super) struct Flux {
    bands: Bands,
    /// First band of each part, and the end of the last.
    part_ends: [usize; PARTS + 1],
    parts: Bands,
    part_power: [f32; PARTS],
    part_loud: [Follower; PARTS],
    /// Magnitudes of the last hops; `next` is the oldest.
    past: Vec<Vec<f32>>,
    next: usize,
    now: Vec<f32>,
}

impl Flux {
    pub(super) fn new(hop_secs: f64, bin_hz: f32, bins: usize) -> Self {
        let bands = Bands::log_triangles(27.5, 16_000.0, 12.0, bin_hz, bins);
        let lag_hops = (LAG_SECS / hop_secs).round().max(1.0) as usize;
        let below = |edge: f32| bands.centres_hz().partition_point(|hz| *hz < edge);
        Self {
            part_ends: PART_EDGES_HZ.map(below),
            parts: Bands::between(&PART_EDGES_HZ, bin_hz, bins),
            part_power: [0.0; PARTS],
            part_loud: std::array::from_fn(|_| recent_loud(hop_secs)),
            past: vec![vec![0.0; bands.len()]; lag_hops],
            next: 0,
            now: vec![0.0; bands.len()],
            bands,
        }
    }

    /// The rise in this hop. `loud_power` is the power of the whole sound's recent loud, above 0.
    /// Old and new are measured against the recent loud of now, so that a gain cancels out.
    pub(super) fn update(&mut self, power: &[f32], loud_power: f32) -> Rise {
        self.bands.apply(power, &mut self.now);
        for magnitude in &mut self.now {
            *magnitude = magnitude.sqrt();
        }
        self.parts.apply(power, &mut self.part_power);
        let mut all = 0.0;
        let mut high = 0.0;
        for part in 0..PARTS {
            let own = self.part_loud[part].follow(self.part_power[part]);
            let loud = own.max(LEAST_PART_SHARE * loud_power);
            high = self.rise(part, COMPRESSION / loud.sqrt());
            all += high / PARTS as f32;
        }
        let kick = self.rise(0, KICK_COMPRESSION / loud_power.sqrt());
        self.past[self.next].copy_from_slice(&self.now);
        self.next = (self.next + 1) % self.past.len();
        Rise { all, kick, high }
    }

    /// Mean rise over the bands of a part.
    fn rise(&self, part: usize, scale: f32) -> f32 {
        let old = &self.past[self.next];
        let last = old.len().saturating_sub(1);
        let bands = self.part_ends[part]..self.part_ends[part + 1];
        let count = bands.len().max(1) as f32;
        let sum: f32 = bands
            .map(|b| {
                // The neighbours' maximum lets vibrato and drifting partials pass.
                let before = old[b.saturating_sub(1)]
                    .max(old[b])
                    .max(old[(b + 1).min(last)]);
                // ln(1 + s·new) − ln(1 + s·old), never below 0.
                ((1.0 + scale * self.now[b]) / (1.0 + scale * before))
                    .max(1.0)
                    .ln()
            })
            .sum();
        sum / count
    }
}

/// Follows the power of the recent loud: rises at once, forgets with a time constant of 4 s.
pub(super) fn recent_loud(hop_secs: f64) -> Follower {
    Follower::new(hop_secs, 1e-6, 4.0)
}

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
