//! Onsets: something begins. Log-magnitude spectral flux with a maximum filter over frequency
//! (Böck and Widmer 2013, "Maximum filter vibrato suppression for onset detection"), and a causal
//! peak picker.

use std::ops::Range;

use super::bands::Bands;
use super::history::Follower;
use super::separate::Separation;
use crate::signal::place;

const ONSET: usize = place("onset");
const KICK: usize = place("kick");
const SNARE: usize = place("snare");
const HAT: usize = place("hat");
const SUB_ONSET: usize = place("sub-onset");

/// How far back the flux compares, in seconds: about the time in which an attack fills enough of
/// the window.
const LAG_SECS: f64 = 0.016;

/// Parts of the spectrum, in Hz: what a kick moves, bodies of drums and notes, noise of snares and
/// claps, hats.
const PART_EDGES_HZ: [f32; 5] = [20.0, 160.0, 1_500.0, 6_000.0, 16_000.0];
pub(super) const PARTS: usize = PART_EDGES_HZ.len() - 1;

/// The six bands of [`super::analysis`].
pub(super) const BANDS: usize = 6;

/// What drums move, in Hz.
const KICK_HZ: [f32; 2] = [20.0, 160.0];
const SNARE_HZ: [f32; 2] = [1_500.0, 5_000.0];

/// Magnitudes are compressed as ln(1 + c · magnitude / recent loud). High: quiet sounds count too.
const COMPRESSION: f32 = 50.0;
/// Low: for a kick only what is loud counts.
const KICK_COMPRESSION: f32 = 8.0;
/// A snare's noise is spread over many bands.
const SNARE_COMPRESSION: f32 = 30.0;

/// A part this far below the whole (−50 dB) is not amplified further.
const LEAST_PART_SHARE: f32 = 1e-5;

/// Rises above this all count as strong.
const STRONGEST: f32 = 1.0;

/// Rise of the spectrum in one hop, about 0 to 3.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rise {
    /// Of each part of the spectrum, relative to its own recent loud.
    pub parts: [f32; PARTS],
    /// Of each of the six bands, likewise.
    pub bands: [f32; BANDS],
    /// Of all parts alike.
    pub all: f32,
    /// Below 160 Hz, in proportion to the whole sound.
    pub kick: f32,
    /// Of the percussive part from 1.5 to 5 kHz, in proportion to the whole sound.
    pub snare: f32,
    /// Of the percussive part above 6 kHz.
    pub hat: f32,
    /// Share of the magnitude that is percussive, in \[0, 1\].
    pub percussive: f32,
}

/// Bands of the spectrum whose rises are measured against what was loud in them.
#[derive(Clone, Debug)]
struct Group<const N: usize> {
    bands: Bands,
    power: [f32; N],
    loud: [Follower; N],
    /// The logarithmic bands of each.
    ranges: [Range<usize>; N],
}

impl<const N: usize> Group<N> {
    fn new(hop_secs: f64, edges_hz: &[f32], bin_hz: f32, bins: usize, fine: &Bands) -> Self {
        Self {
            bands: Bands::between(edges_hz, bin_hz, bins),
            power: [0.0; N],
            loud: std::array::from_fn(|_| recent_loud(hop_secs)),
            ranges: std::array::from_fn(|n| range(fine, [edges_hz[n], edges_hz[n + 1]])),
        }
    }

    /// What 1 is divided by in each band, as a compression.
    fn scales(&mut self, power: &[f32], loud_power: f32) -> [f32; N] {
        self.bands.apply(power, &mut self.power);
        std::array::from_fn(|n| {
            let own = self.loud[n].follow(self.power[n]);
            COMPRESSION / own.max(LEAST_PART_SHARE * loud_power).sqrt()
        })
    }
}

fn range(fine: &Bands, edges_hz: [f32; 2]) -> Range<usize> {
    let below = |edge: f32| fine.centres_hz().partition_point(|hz| *hz < edge);
    below(edges_hz[0])..below(edges_hz[1])
}

/// Spectral flux against the spectrum [`LAG_SECS`] ago.
pub(super) struct Flux {
    fine: Bands,
    parts: Group<PARTS>,
    bands: Group<BANDS>,
    kick: Range<usize>,
    snare: Range<usize>,
    separation: Separation,
    /// Magnitudes of the last hops; `next` is the oldest.
    past: Vec<Vec<f32>>,
    next: usize,
    now: Vec<f32>,
    /// Before, and the neighbours' maximum.
    before: Vec<f32>,
}

impl Flux {
    pub(super) fn new(
        hop_secs: f64,
        band_edges_hz: &[f32; BANDS + 1],
        bin_hz: f32,
        bins: usize,
    ) -> Self {
        let fine = Bands::log_triangles(27.5, 16_000.0, 12.0, bin_hz, bins);
        let lag_hops = (LAG_SECS / hop_secs).round().max(1.0) as usize;
        Self {
            parts: Group::new(hop_secs, &PART_EDGES_HZ, bin_hz, bins, &fine),
            bands: Group::new(hop_secs, band_edges_hz, bin_hz, bins, &fine),
            kick: range(&fine, KICK_HZ),
            snare: range(&fine, SNARE_HZ),
            separation: Separation::new(&fine),
            past: vec![vec![0.0; fine.len()]; lag_hops],
            next: 0,
            now: vec![0.0; fine.len()],
            before: vec![0.0; fine.len()],
            fine,
        }
    }

    /// Centres of the logarithmic bands in Hz.
    pub(super) fn centres_hz(&self) -> &[f32] {
        self.fine.centres_hz()
    }

    /// Magnitudes of the logarithmic bands, as last measured.
    pub(super) fn magnitudes(&self) -> &[f32] {
        &self.now
    }

    /// The rise in this hop. `loud_power` is the power of the whole sound's recent loud, above 0.
    /// Old and new are measured against the recent loud of now, so that a gain cancels out.
    pub(super) fn update(&mut self, power: &[f32], loud_power: f32) -> Rise {
        self.fine.apply(power, &mut self.now);
        for magnitude in &mut self.now {
            *magnitude = magnitude.sqrt();
        }
        // The neighbours' maximum lets vibrato and drifting partials pass.
        let old = &self.past[self.next];
        for (band, before) in self.before.iter_mut().enumerate() {
            let around = &old[band.saturating_sub(1)..(band + 2).min(old.len())];
            *before = around.iter().fold(0.0, |most, x| most.max(*x));
        }
        let part_scales = self.parts.scales(power, loud_power);
        let band_scales = self.bands.scales(power, loud_power);
        let mask = self.separation.update(&self.now);
        let (now, before) = (&self.now, &self.before);
        let rise = |range: &Range<usize>, scale: f32, weight: &dyn Fn(usize) -> f32| {
            let sum: f32 = range
                .clone()
                .filter(|b| now[*b] > before[*b])
                .map(|b| {
                    // ln(1 + s·new) − ln(1 + s·old).
                    weight(b) * ((1.0 + scale * now[b]) / (1.0 + scale * before[b])).ln()
                })
                .sum();
            sum / range.len().max(1) as f32
        };
        let (every, sharp) = (|_: usize| 1.0, |b: usize| mask[b]);
        let whole = 1.0 / loud_power.sqrt();
        let parts: [f32; PARTS] =
            std::array::from_fn(|n| rise(&self.parts.ranges[n], part_scales[n], &every));
        let (percussive, all) = now
            .iter()
            .zip(mask)
            .fold((0.0, 0.0), |(p, a), (x, m)| (p + x * m, a + x));
        let rise = Rise {
            all: parts.iter().sum::<f32>() / PARTS as f32,
            bands: std::array::from_fn(|n| rise(&self.bands.ranges[n], band_scales[n], &every)),
            kick: rise(&self.kick, KICK_COMPRESSION * whole, &every),
            snare: rise(&self.snare, SNARE_COMPRESSION * whole, &sharp),
            hat: rise(
                &self.parts.ranges[PARTS - 1],
                part_scales[PARTS - 1],
                &sharp,
            ),
            percussive: if all > 0.0 { percussive / all } else { 0.0 },
            parts,
        };
        self.past[self.next].copy_from_slice(&self.now);
        self.next = (self.next + 1) % self.past.len();
        rise
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

/// All onset signals.
#[derive(Clone, Debug)]
pub(super) struct Onsets {
    onset: Picker,
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
            onset: picker(0.15, 0.3, 0.06, 0.25),
            kick: picker(0.28, 0.45, 0.12, 0.25),
            snare: picker(0.1, 0.45, 0.1, 0.2),
            hat: picker(0.12, 0.25, 0.06, 0.15),
            bands: std::array::from_fn(|_| picker(0.2, 0.35, 0.08, 0.2)),
        }
    }

    /// The pulses of this hop.
    pub(super) fn update(&mut self, audible: f32, rise: &Rise, values: &mut [f32]) {
        values[ONSET] = self.onset.update(audible * rise.all);
        values[KICK] = self.kick.update(audible * rise.kick);
        values[SNARE] = self.snare.update(audible * rise.snare);
        values[HAT] = self.hat.update(audible * rise.hat);
        let out = &mut values[SUB_ONSET..];
        for ((picker, rise), out) in self.bands.iter_mut().zip(&rise.bands).zip(out) {
            *out = picker.update(audible * rise);
        }
    }
}
