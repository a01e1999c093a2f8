//! Bands of the spectrum, each relative to its own recent past.

use super::bands::Bands;
use super::config::AnalysisConfig;
use super::history::{Relative, loudness};

/// Adjacent or free bands and where their signals stand.
#[derive(Clone, Debug)]
pub(super) struct RelativeBands {
    bands: Bands,
    power: Vec<f32>,
    relative: Vec<Relative>,
    first: usize,
}

impl RelativeBands {
    /// `first` is the place of the first band's signal; the others follow.
    pub(super) fn new(bands: Bands, hop_secs: f64, config: &AnalysisConfig, first: usize) -> Self {
        Self {
            power: vec![0.0; bands.len()],
            relative: vec![Relative::new(hop_secs, config); bands.len()],
            bands,
            first,
        }
    }

    /// Takes in the power of each band and gives the whole.
    pub(super) fn measure(&mut self, spectrum: &[f32]) -> f32 {
        self.bands.apply(spectrum, &mut self.power);
        self.power.iter().sum()
    }

    /// Power of each band, as last measured.
    pub(super) fn power(&self) -> &[f32] {
        &self.power
    }

    /// Writes the signals of what was measured. `least_loud` is the loudness below which nothing
    /// counts as loud.
    pub(super) fn write(&mut self, audible: f32, least_loud: f32, values: &mut [f32]) {
        let out = &mut values[self.first..];
        for ((relative, power), out) in self.relative.iter_mut().zip(&self.power).zip(out) {
            *out = audible * relative.update(loudness(*power), least_loud);
        }
    }
}
