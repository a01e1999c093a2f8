//! Short-time spectra of a pair of channels.

use std::f32::consts::TAU;
use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// Sliding window over two channels, with the mean of their power spectra. Both channels go
/// through one complex transform, left as real and right as imaginary part: sound in antiphase is
/// not lost, as it is in a mono mix.
pub(super) struct Stft {
    fft: Arc<dyn Fft<f32>>,
    /// The last `window.len()` frames; `next` is the oldest.
    ring: Vec<Complex32>,
    next: usize,
    /// Hann window, scaled so that powers add up to the mean square.
    window: Vec<f32>,
    buffer: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// One-sided power spectrum, `fft_len / 2 + 1` bins; sums to the windowed mean square.
    power: Vec<f32>,
    bin_hz: f32,
}

impl Stft {
    /// A window of `window_secs`, padded with zeros to a power of two.
    pub(super) fn new(sample_rate: u32, window_secs: f64) -> Self {
        let window_len = (f64::from(sample_rate) * window_secs).round().max(16.0) as usize;
        let fft_len = window_len.next_power_of_two();
        let fft = FftPlanner::new().plan_fft_forward(fft_len);
        // Periodic Hann: Σ w² = 3/8 · N. Parseval then gives mean square = Σ|X|² / (M · 3/8 · N).
        let scale = (1.0 / (0.375 * window_len as f32 * fft_len as f32)).sqrt();
        let window = (0..window_len)
            .map(|n| scale * (0.5 - 0.5 * (TAU * n as f32 / window_len as f32).cos()))
            .collect();
        let zero = Complex32::new(0.0, 0.0);
        Self {
            ring: vec![zero; window_len],
            next: 0,
            window,
            buffer: vec![zero; fft_len],
            scratch: vec![zero; fft.get_inplace_scratch_len()],
            power: vec![0.0; fft_len / 2 + 1],
            bin_hz: sample_rate as f32 / fft_len as f32,
            fft,
        }
    }

    /// Distance of the bins in Hz.
    pub(super) fn bin_hz(&self) -> f32 {
        self.bin_hz
    }

    /// Number of bins.
    pub(super) fn bins(&self) -> usize {
        self.power.len()
    }

    /// Takes one frame in.
    pub(super) fn push(&mut self, left: f32, right: f32) {
        self.ring[self.next] = Complex32::new(left, right);
        self.next = (self.next + 1) % self.ring.len();
    }

    /// Mean power spectrum of the two channels over the window that ends with the last frame.
    pub(super) fn power(&mut self) -> &[f32] {
        let (newest, oldest) = self.ring.split_at(self.next);
        let frames = oldest.iter().chain(newest);
        for ((out, frame), weight) in self.buffer.iter_mut().zip(frames).zip(&self.window) {
            *out = frame * weight;
        }
        self.buffer[self.window.len()..].fill(Complex32::new(0.0, 0.0));
        self.fft
            .process_with_scratch(&mut self.buffer, &mut self.scratch);
        // With Z = FFT(left + i·right): (|L[k]|² + |R[k]|²)/2 = (|Z[k]|² + |Z[M−k]|²)/4, and the
        // one-sided spectrum doubles every bin that has a mirror image.
        let len = self.buffer.len();
        for (k, power) in self.power.iter_mut().enumerate() {
            let mirror = self.buffer[(len - k) % len];
            let both = 0.25 * (self.buffer[k].norm_sqr() + mirror.norm_sqr());
            let sides = if k == 0 || 2 * k == len { 1.0 } else { 2.0 };
            *power = sides * both;
        }
        &self.power
    }
}

#[cfg(test)]
mod tests {
    use super::Stft;
    use std::f32::consts::TAU;

    #[test]
    fn powers_add_up_to_the_mean_square() {
        for sample_rate in [44_100, 48_000, 192_000] {
            let mut stft = Stft::new(sample_rate, 2048.0 / 48_000.0);
            for n in 0..sample_rate / 10 {
                let x = (TAU * 1000.0 * n as f32 / sample_rate as f32).sin();
                stft.push(x, -x);
            }
            let bin_hz = stft.bin_hz();
            let power = stft.power();
            let total: f32 = power.iter().sum();
            assert!((total - 0.5).abs() < 0.005, "{sample_rate}: {total}");
            let best = (0..power.len())
                .max_by(|a, b| power[*a].total_cmp(&power[*b]))
                .unwrap();
            assert!((best as f32 * bin_hz - 1000.0).abs() <= bin_hz);
        }
    }
}
