//! What rises in the spectrum: log-magnitude flux with a maximum filter over frequency (Böck and
//! Widmer 2013, "Maximum filter vibrato suppression for onset detection").

use std::ops::Range;

use super::bands::Bands;
use super::history::Follower;
use super::separate::Separation;

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

/// Groups of bands that the network gets.
const GROUPS: usize = 23;

/// Their edges in Hz: a third of an octave, wider below.
const GROUP_EDGES_HZ: [f32; GROUPS + 1] = [
    20.0, 60.0, 90.0, 120.0, 160.0, 220.0, 300.0, 400.0, 510.0, 640.0, 800.0, 1_000.0, 1_270.0,
    1_600.0, 2_000.0, 2_500.0, 3_150.0, 4_000.0, 5_000.0, 6_300.0, 8_000.0, 10_000.0, 12_500.0,
    16_000.0,
];

/// What the network gets: of each group the magnitude, its rise, and the percussive rise.
pub(super) const HEARING: usize = 3 * GROUPS;

/// Magnitudes are compressed as ln(1 + c · magnitude / recent loud). High: quiet sounds count too.
const COMPRESSION: f32 = 50.0;
/// Low: for a kick only what is loud counts.
const KICK_COMPRESSION: f32 = 8.0;
/// A snare's noise is spread over many bands.
const SNARE_COMPRESSION: f32 = 30.0;

/// A part this far below the whole (−50 dB) is not amplified further.
const LEAST_PART_SHARE: f32 = 1e-5;

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

fn mean(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let len = values.len().max(1) as f32;
    values.sum::<f32>() / len
}

/// Spectral flux against the spectrum [`LAG_SECS`] ago.
pub(super) struct Flux {
    fine: Bands,
    parts: Group<PARTS>,
    bands: Group<BANDS>,
    kick: Range<usize>,
    snare: Range<usize>,
    groups: [Range<usize>; GROUPS],
    separation: Separation,
    /// Magnitudes of the last hops; `next` is the oldest.
    past: Vec<Vec<f32>>,
    next: usize,
    now: Vec<f32>,
    /// Before, and the neighbours' maximum.
    before: Vec<f32>,
    /// Rise of each band, measured against its part.
    rises: Vec<f32>,
    hearing: [f32; HEARING],
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
            groups: std::array::from_fn(|n| {
                range(&fine, [GROUP_EDGES_HZ[n], GROUP_EDGES_HZ[n + 1]])
            }),
            separation: Separation::new(&fine),
            past: vec![vec![0.0; fine.len()]; lag_hops],
            next: 0,
            now: vec![0.0; fine.len()],
            before: vec![0.0; fine.len()],
            rises: vec![0.0; fine.len()],
            hearing: [0.0; HEARING],
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

    /// What the network gets of this hop: logarithms of magnitudes against the recent loud of the
    /// whole, about 0 to 4, and rises, about 0 to 3.
    pub(super) fn hearing(&self) -> &[f32; HEARING] {
        &self.hearing
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
        // ln(1 + s·new) − ln(1 + s·old) where it rises.
        let rise = |band: usize, scale: f32| {
            if now[band] > before[band] {
                ((1.0 + scale * now[band]) / (1.0 + scale * before[band])).ln()
            } else {
                0.0
            }
        };
        for (range, scale) in self.parts.ranges.iter().zip(part_scales) {
            for band in range.clone() {
                self.rises[band] = rise(band, scale);
            }
        }
        let parts: [f32; PARTS] =
            std::array::from_fn(|n| mean(self.parts.ranges[n].clone().map(|b| self.rises[b])));
        let quiet = 1.0 / loud_power.sqrt();
        for (n, range) in self.groups.iter().enumerate() {
            let magnitude = mean(range.clone().map(|b| now[b]));
            self.hearing[n] = (COMPRESSION * quiet * magnitude).ln_1p();
            self.hearing[GROUPS + n] = mean(range.clone().map(|b| self.rises[b]));
            self.hearing[2 * GROUPS + n] = mean(range.clone().map(|b| mask[b] * self.rises[b]));
        }
        let (percussive, all) = now
            .iter()
            .zip(mask)
            .fold((0.0, 0.0), |(p, a), (x, m)| (p + x * m, a + x));
        let rise = Rise {
            all: parts.iter().sum::<f32>() / PARTS as f32,
            bands: std::array::from_fn(|n| {
                let range = self.bands.ranges[n].clone();
                mean(range.map(|band| rise(band, band_scales[n])))
            }),
            kick: mean(self.kick.clone().map(|b| rise(b, KICK_COMPRESSION * quiet))),
            snare: mean(
                self.snare
                    .clone()
                    .map(|b| mask[b] * rise(b, SNARE_COMPRESSION * quiet)),
            ),
            hat: mean(
                self.parts.ranges[PARTS - 1]
                    .clone()
                    .map(|b| mask[b] * self.rises[b]),
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
