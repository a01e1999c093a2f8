//! Onsets: something begins. Log-magnitude spectral flux with a maximum filter over frequency
//! (SuperFlux, Böck and Widmer, DAFx 2013), and a causal peak picker.

use super::bands::Bands;
use super::history::Follower;

/// How far back the flux compares, in seconds: about the time in which an attack fills enough of
/// the window.
const LAG_SECS: f64 = 0.016;

/// Compression of magnitudes: ln(1 + 100 · magnitude / recent loud).
const COMPRESSION: f32 = 100.0;

/// Upper edge of what a kick moves, in Hz.
const LOW_HZ: f32 = 160.0;
/// A snare's noise starts above this, in Hz.
const NOISE_HZ: f32 = 1_500.0;
/// A hat's noise starts above this, in Hz.
const HIGH_HZ: f32 = 6_000.0;

/// Rise of the spectrum in one hop, per part of it: mean over the bands of a part, about 0 to 3.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rise {
    /// Below 160 Hz.
    pub low: f32,
    /// 160 to 1500 Hz.
    pub body: f32,
    /// 1.5 to 6 kHz.
    pub noise: f32,
    /// Above 6 kHz.
    pub high: f32,
}

/// Spectral flux against the spectrum [`LAG_SECS`] ago.
pub(super) struct Flux {
    bands: Bands,
    /// Magnitudes of the last hops; `next` is the oldest.
    past: Vec<Vec<f32>>,
    next: usize,
    now: Vec<f32>,
    old_log: Vec<f32>,
    /// Number of bands of each part, at least 1.
    part_len: [f32; 4],
}

fn part_of(hz: f32) -> usize {
    [LOW_HZ, NOISE_HZ, HIGH_HZ]
        .iter()
        .filter(|edge| hz >= **edge)
        .count()
}

impl Flux {
    pub(super) fn new(hop_secs: f64, bin_hz: f32, bins: usize) -> Self {
        let bands = Bands::log_triangles(27.5, 16_000.0, 12.0, bin_hz, bins);
        let lag_hops = (LAG_SECS / hop_secs).round().max(1.0) as usize;
        let mut part_len = [0.0_f32; 4];
        for hz in bands.centres_hz() {
            part_len[part_of(*hz)] += 1.0;
        }
        Self {
            past: vec![vec![0.0; bands.len()]; lag_hops],
            next: 0,
            now: vec![0.0; bands.len()],
            old_log: vec![0.0; bands.len()],
            part_len: part_len.map(|n| n.max(1.0)),
            bands,
        }
    }

    /// The rise in this hop. `recent_loud` is a magnitude (square root of power), above 0: old and
    /// new are both measured against it, so that a gain cancels out.
    pub(super) fn update(&mut self, power: &[f32], recent_loud: f32) -> Rise {
        self.bands.apply(power, &mut self.now);
        let scale = COMPRESSION / recent_loud;
        for magnitude in &mut self.now {
            *magnitude = magnitude.sqrt();
        }
        let past = &mut self.past[self.next];
        for (log, magnitude) in self.old_log.iter_mut().zip(past.iter()) {
            *log = (scale * magnitude).ln_1p();
        }
        let mut sums = [0.0_f32; 4];
        let last = self.now.len() - 1;
        for (b, magnitude) in self.now.iter().enumerate() {
            // The neighbours' maximum lets vibrato and drifting partials pass.
            let old = self.old_log[b.saturating_sub(1)]
                .max(self.old_log[b])
                .max(self.old_log[(b + 1).min(last)]);
            let rise = (scale * magnitude).ln_1p() - old;
            sums[part_of(self.bands.centres_hz()[b])] += rise.max(0.0);
        }
        past.copy_from_slice(&self.now);
        self.next = (self.next + 1) % self.past.len();
        Rise {
            low: sums[0] / self.part_len[0],
            body: sums[1] / self.part_len[1],
            noise: sums[2] / self.part_len[2],
            high: sums[3] / self.part_len[3],
        }
    }
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
        self.strongest.follow(rise);
        self.recent[self.next] = rise;
        self.next = (self.next + 1) % len;
        let left = (1.0 - self.since_secs / self.rule.fall_secs).max(0.0) as f32;
        left * left
    }
}
