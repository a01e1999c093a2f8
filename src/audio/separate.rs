//! Percussive and harmonic parts by medians over frequency and over time (Fitzgerald 2010,
//! "Harmonic/Percussive Separation Using Median Filtering"), with the past alone.

use super::bands::Bands;

/// Frames in the median over time, and how many hops lie between them: about 0.18 s.
const TIME_FRAMES: usize = 17;
const FRAME_HOPS: u32 = 2;
/// Bands on each side in the median over frequency: two thirds of an octave.
const REACH: usize = 8;

/// Splits a spectrum of logarithmic bands, hop by hop.
#[derive(Clone, Debug)]
pub(super) struct Separation {
    /// The last magnitudes of each band.
    past: Vec<[f32; TIME_FRAMES]>,
    next: usize,
    hops: u32,
    /// Percussive share of each band, in \[0, 1\].
    mask: Vec<f32>,
}

impl Separation {
    pub(super) fn new(bands: &Bands) -> Self {
        Self {
            past: vec![[0.0; TIME_FRAMES]; bands.len()],
            next: 0,
            hops: 0,
            mask: vec![0.0; bands.len()],
        }
    }

    /// The percussive share of each band's magnitude in this hop.
    pub(super) fn update(&mut self, magnitudes: &[f32]) -> &[f32] {
        let len = magnitudes.len();
        let mut sorted = [0.0_f32; 2 * REACH + 1];
        for (band, mask) in self.mask.iter_mut().enumerate() {
            let around = &magnitudes[band.saturating_sub(REACH)..(band + REACH + 1).min(len)];
            let percussive = median(&mut sorted[..around.len()], around);
            let mut in_time = [0.0_f32; TIME_FRAMES];
            let harmonic = median(&mut in_time, &self.past[band]);
            let (p, h) = (percussive * percussive, harmonic * harmonic);
            *mask = if p + h > f32::MIN_POSITIVE {
                p / (p + h)
            } else {
                0.0
            };
        }
        self.hops += 1;
        if self.hops == FRAME_HOPS {
            self.hops = 0;
            for (past, magnitude) in self.past.iter_mut().zip(magnitudes) {
                past[self.next] = *magnitude;
            }
            self.next = (self.next + 1) % TIME_FRAMES;
        }
        &self.mask
    }
}

fn median(room: &mut [f32], values: &[f32]) -> f32 {
    room.copy_from_slice(values);
    let middle = room.len() / 2;
    *room.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::{Bands, Separation};

    #[test]
    fn a_tone_is_harmonic_and_a_click_is_percussive() {
        let bands = Bands::log_triangles(27.5, 16_000.0, 12.0, 23.4, 1025);
        let mut separation = Separation::new(&bands);
        let mut tone = vec![0.01; bands.len()];
        tone[40] = 1.0;
        for _ in 0..60 {
            separation.update(&tone);
        }
        assert!(separation.update(&tone)[40] < 0.01);
        let click: Vec<f32> = tone.iter().map(|x| x + 0.5).collect();
        let mask = separation.update(&click);
        assert!(mask[20] > 0.99, "{}", mask[20]);
        assert!(mask[40] < 0.3, "{}", mask[40]);
    }
}
