//! Frequency bands of a power spectrum.

/// A weighted range of bins.
#[derive(Clone, Debug)]
struct Band {
    first_bin: usize,
    weights: Vec<f32>,
}

/// Bands over one spectrum. All are given in Hz, so that they mean the same at each sample rate.
#[derive(Clone, Debug)]
pub(super) struct Bands {
    bands: Vec<Band>,
    centres_hz: Vec<f32>,
}

impl Bands {
    /// Adjacent bands between `edges_hz`; a bin that an edge cuts counts in proportion.
    pub(super) fn between(edges_hz: &[f32], bin_hz: f32, bins: usize) -> Self {
        let pairs: Vec<[f32; 2]> = edges_hz.windows(2).map(|e| [e[0], e[1]]).collect();
        Self::each(&pairs, bin_hz, bins)
    }

    /// Bands with these edges, which may overlap.
    pub(super) fn each(edges_hz: &[[f32; 2]], bin_hz: f32, bins: usize) -> Self {
        let mut all = Self::empty();
        for [low, high] in edges_hz.iter().copied() {
            all.add(low, (low * high).sqrt(), high, bin_hz, bins, |k| {
                let start = (k as f32 - 0.5) * bin_hz;
                let overlap = (start + bin_hz).min(high) - start.max(low);
                (overlap / bin_hz).max(0.0)
            });
        }
        all
    }

    /// Triangles at a distance of `1 / per_octave` octaves from `low_hz` to `high_hz`, each from
    /// its lower to its upper neighbour. Where triangles would be narrower than the bins, there is
    /// one per bin.
    pub(super) fn log_triangles(
        low_hz: f32,
        high_hz: f32,
        per_octave: f32,
        bin_hz: f32,
        bins: usize,
    ) -> Self {
        let high_hz = high_hz.min((bins - 1) as f32 * bin_hz);
        let mut knots = vec![low_hz];
        let mut last = low_hz;
        while last < high_hz {
            last = (last * (1.0 / per_octave).exp2()).max(last + bin_hz);
            knots.push(last);
        }
        let mut all = Self::empty();
        for knot in knots.windows(3) {
            let (low, centre, high) = (knot[0], knot[1], knot[2]);
            if high > high_hz {
                break;
            }
            all.add(low, centre, high, bin_hz, bins, |k| {
                let hz = k as f32 * bin_hz;
                let rise = (hz - low) / (centre - low);
                let fall = (high - hz) / (high - centre);
                rise.min(fall).max(0.0)
            });
        }
        all
    }

    fn empty() -> Self {
        Self {
            bands: Vec::new(),
            centres_hz: Vec::new(),
        }
    }

    fn add(
        &mut self,
        low_hz: f32,
        centre_hz: f32,
        high_hz: f32,
        bin_hz: f32,
        bins: usize,
        weight: impl Fn(usize) -> f32,
    ) {
        let first_bin = ((low_hz / bin_hz).floor() as usize).min(bins);
        let end_bin = ((high_hz / bin_hz).ceil() as usize + 1).min(bins);
        self.bands.push(Band {
            first_bin,
            weights: (first_bin..end_bin).map(weight).collect(),
        });
        self.centres_hz.push(centre_hz);
    }

    /// Number of bands.
    pub(super) fn len(&self) -> usize {
        self.bands.len()
    }

    /// Centre of each band in Hz.
    pub(super) fn centres_hz(&self) -> &[f32] {
        &self.centres_hz
    }

    /// Power of each band. `out` has [`Self::len`] entries.
    pub(super) fn apply(&self, power: &[f32], out: &mut [f32]) {
        for (band, out) in self.bands.iter().zip(out) {
            *out = band
                .weights
                .iter()
                .zip(&power[band.first_bin..])
                .map(|(weight, power)| weight * power)
                .sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bands;

    #[test]
    fn adjacent_bands_share_out_every_bin() {
        let bands = Bands::between(&[20.0, 61.0, 150.0, 500.0], 23.4, 1025);
        let mut out = [0.0; 3];
        bands.apply(&vec![1.0; 1025], &mut out);
        let total: f32 = out.iter().sum();
        assert!((total - 480.0 / 23.4).abs() < 0.01, "{out:?}");
    }

    #[test]
    fn triangles_are_never_empty() {
        for bin_hz in [21.5, 23.4, 31.25] {
            let bands = Bands::log_triangles(30.0, 16_000.0, 12.0, bin_hz, 1025);
            let mut out = vec![0.0; bands.len()];
            bands.apply(&vec![1.0; 1025], &mut out);
            assert!(out.iter().all(|sum| *sum > 0.3), "{out:?}");
            assert!(bands.len() > 60, "{}", bands.len());
        }
    }
}
