//! The shape of a spectrum, and how much it stands out.

use super::history::{Follower, loudness, step_share};
use crate::signal::place;

const CENTROID: usize = place("centroid");
const FLATNESS: usize = place("flatness");
const FLUX: usize = place("flux");
const SALIENCE: usize = place("salience");

/// The centroid that is 0 and the one that is 1, in Hz.
const CENTROID_HZ: [f32; 2] = [100.0, 10_000.0];

/// Flatness of white noise's logarithmic bands is near 1; that of a tone this many decibels below
/// is 0.
const TONE_DB: f32 = -30.0;

/// Centroid, flatness, flux.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// log2 of each band's centre, and its width relative to the first.
    centres: Vec<[f32; 2]>,
    centroid: Follower,
    flatness: Follower,
    flux: Follower,
    most_flux: Follower,
}

impl Shape {
    pub(super) fn new(hop_secs: f64, centres_hz: &[f32]) -> Self {
        let smooth = || Follower::new(hop_secs, 0.03, 0.08);
        Self {
            centres: centres_hz.iter().map(|hz| [hz.log2(), 1.0 / hz]).collect(),
            centroid: smooth(),
            flatness: smooth(),
            flux: Follower::new(hop_secs, 0.005, 0.06),
            most_flux: Follower::new(hop_secs, 0.005, 6.0),
        }
    }

    /// The signals of this hop: `magnitudes` of the bands, and the `rise` of the whole.
    pub(super) fn update(
        &mut self,
        audible: f32,
        magnitudes: &[f32],
        rise: f32,
        values: &mut [f32],
    ) {
        let (mut sum, mut weighted, mut logs, mut powers) = (0.0, 0.0, 0.0, 0.0);
        for (magnitude, [octave, narrow]) in magnitudes.iter().zip(&self.centres) {
            sum += magnitude;
            weighted += magnitude * octave;
            // Per hertz, so that white noise is flat.
            let power = magnitude * magnitude * narrow;
            logs += (power + 1e-20).ln();
            powers += power;
        }
        if sum > 0.0 && audible > 0.01 {
            let [low, high] = CENTROID_HZ.map(f32::log2);
            let at = ((weighted / sum - low) / (high - low)).clamp(0.0, 1.0);
            self.centroid.follow(at);
            let count = magnitudes.len() as f32;
            // Geometric over arithmetic mean, in decibels.
            let db = 10.0 / std::f32::consts::LN_10 * (logs / count - (powers / count).ln());
            self.flatness.follow((1.0 - db / TONE_DB).clamp(0.0, 1.0));
        }
        // What is no more than the flutter of noise is not stretched.
        let most = self.most_flux.follow(rise).max(0.2);
        let flux = self.flux.follow((rise / most).min(1.0));
        values[CENTROID] = audible * self.centroid.value();
        values[FLATNESS] = audible * self.flatness.value();
        values[FLUX] = audible * flux;
    }
}

/// How far the last second stands out: the loudness of its bands over their long average. The
/// ratio is squared, after projectM's and maua's "salience"; 1 is √3 times the average. As long as less has
/// been heard than the averages span, they are means of what there was: where music begins, nothing stands
/// out yet.
#[derive(Clone, Debug)]
pub(super) struct Salience {
    /// Hops that were heard, up to where no average looks at it any more.
    heard: f32,
    short: Vec<f32>,
    long: Vec<f32>,
    short_share: f32,
    long_share: f32,
    value: Follower,
}

impl Salience {
    pub(super) fn new(hop_secs: f64, bands: usize) -> Self {
        Self {
            heard: 0.0,
            short: vec![0.0; bands],
            long: vec![0.0; bands],
            short_share: step_share(hop_secs, 0.4),
            long_share: step_share(hop_secs, 12.0),
            value: Follower::new(hop_secs, 0.1, 0.25),
        }
    }

    pub(super) fn update(
        &mut self,
        audible: f32,
        least_loud: f32,
        power: &[f32],
        values: &mut [f32],
    ) {
        if audible > 0.0 && self.heard * self.long_share < 1.0 {
            self.heard += 1.0;
        }
        let mean = 1.0 / self.heard.max(1.0);
        let (short_share, long_share) = (self.short_share.max(mean), self.long_share.max(mean));
        let mut ratio = 0.0;
        for ((short, long), power) in self.short.iter_mut().zip(&mut self.long).zip(power) {
            let now = loudness(*power);
            *short += short_share * (now - *short);
            *long += long_share * (now - *long);
            ratio += *short / long.max(least_loud).max(f32::MIN_POSITIVE);
        }
        ratio /= power.len().max(1) as f32;
        let out = ((ratio * ratio - 1.0) / 2.0).clamp(0.0, 1.0);
        values[SALIENCE] = audible * self.value.follow(out);
    }
}
