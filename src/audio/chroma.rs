//! Which notes sound, whatever their octave, and where on the circle of fifths that is.

use super::history::{Follower, step_share};
use super::loudness::Biquad;
use super::stft::Stft;
use crate::signal::{Snapshot, place};

/// Rate to which sound is slowed down first, in Hz, about: notes above 2 kHz don't count.
const RATE_HZ: f64 = 6_000.0;
/// Length of the window in seconds: semitones part from 110 Hz on.
const WINDOW_SECS: f64 = 0.34;
/// Hops between two spectra.
const STEP_HOPS: u32 = 4;
/// Notes that count, in Hz.
const RANGE_HZ: [f32; 2] = [100.0, 2_000.0];
const NOTES: usize = 12;

const FIRST_NOTE: usize = place("chroma-c");
const TONAL_ANGLE: usize = place("tonal-angle");
const TONAL_STRENGTH: usize = place("tonal-strength");
const CHORD_CHANGE: usize = place("chord-change");

/// Sound at a lower rate: a sixth-order Butterworth low-pass, then every n-th frame.
#[derive(Clone, Debug)]
struct Decimator {
    filters: [[Biquad; 3]; 2],
    every: usize,
    until: usize,
}

impl Decimator {
    fn new(sample_rate: u32) -> Self {
        let rate = f64::from(sample_rate);
        let every = (rate / RATE_HZ).round().max(1.0) as usize;
        let corner_hz = 0.36 * rate / every as f64;
        // Butterworth: poles evenly on the circle.
        let filter = || {
            [0.517_638_1, std::f64::consts::FRAC_1_SQRT_2, 1.931_851_7]
                .map(|q| Biquad::low_pass(rate, corner_hz, q))
        };
        Self {
            filters: [filter(), filter()],
            every,
            until: every,
        }
    }

    fn next(&mut self, left: f32, right: f32) -> Option<[f32; 2]> {
        let mut out = [left, right];
        if self.every > 1 {
            for (x, filters) in out.iter_mut().zip(&mut self.filters) {
                *x = filters.iter_mut().fold(f64::from(*x), |x, f| f.next(x)) as f32;
            }
        }
        self.until -= 1;
        if self.until > 0 {
            return None;
        }
        self.until = self.every;
        for filter in self.filters.iter_mut().flatten() {
            filter.flush();
        }
        Some(out)
    }
}

/// Follows the notes.
pub(super) struct Chroma {
    decimator: Decimator,
    stft: Stft,
    hops: u32,
    now: [f32; NOTES],
    recent: [Follower; NOTES],
    /// The harmony of the last bars, for what is new.
    known: [f32; NOTES],
    known_share: f32,
    centre: [f32; 2],
    centre_share: f32,
    values: [f32; NOTES],
    change: f32,
}

impl Chroma {
    pub(super) fn new(sample_rate: u32, hop_secs: f64) -> Self {
        let decimator = Decimator::new(sample_rate);
        let rate = (f64::from(sample_rate) / decimator.every as f64).round() as u32;
        let step_secs = f64::from(STEP_HOPS) * hop_secs;
        Self {
            decimator,
            stft: Stft::new(rate, WINDOW_SECS),
            hops: 0,
            now: [0.0; NOTES],
            recent: std::array::from_fn(|_| Follower::new(step_secs, 0.03, 0.12)),
            known: [0.0; NOTES],
            known_share: step_share(step_secs, 0.8),
            centre: [0.0; 2],
            centre_share: step_share(step_secs, 3.0),
            values: [0.0; NOTES],
            change: 0.0,
        }
    }

    pub(super) fn push(&mut self, left: f32, right: f32) {
        if let Some([left, right]) = self.decimator.next(left, right) {
            self.stft.push(left, right);
        }
    }

    /// The signals of this hop. `audible` is 0 in silence and 1 in music.
    pub(super) fn update(&mut self, audible: f32, out: &mut Snapshot) {
        self.hops += 1;
        if self.hops == STEP_HOPS {
            self.hops = 0;
            self.step();
        }
        for (value, out) in self.values.iter().zip(&mut out.values[FIRST_NOTE..]) {
            *out = audible * value;
        }
        let [x, y] = self.centre;
        let strength = x.hypot(y).min(1.0);
        let angle = (y.atan2(x) / std::f32::consts::TAU).rem_euclid(1.0);
        // Without a key the angle is noise; rest at 0.
        out.values[TONAL_ANGLE] = if audible * strength > 0.02 {
            angle.min(1.0)
        } else {
            0.0
        };
        out.values[TONAL_STRENGTH] = audible * strength;
        out.values[CHORD_CHANGE] = audible * self.change;
    }

    fn step(&mut self) {
        let bin_hz = self.stft.bin_hz();
        let power = self.stft.power();
        self.now = [0.0; NOTES];
        let first = (RANGE_HZ[0] / bin_hz) as usize;
        let last = ((RANGE_HZ[1] / bin_hz) as usize).min(power.len().saturating_sub(2));
        for k in first.max(1)..last {
            let (before, here, after) = (power[k - 1], power[k], power[k + 1]);
            if here <= before || here < after || here <= 1e-14 {
                continue;
            }
            // A parabola through the logarithms finds the top between the bins.
            let (l, m, r) = ((before + 1e-20).ln(), here.ln(), (after + 1e-20).ln());
            let top = k as f32 + 0.5 * (l - r) / (l - 2.0 * m + r).min(-1e-6);
            let note = 12.0 * (top * bin_hz / 440.0).log2() + 69.0;
            let nearest = note.round();
            // Between two notes nothing counts.
            let tuned = 1.0 - 2.0 * (note - nearest).abs();
            // Overtones are not notes: high peaks count less.
            let low = (440.0 / (top * bin_hz)).min(1.0);
            let class = (nearest as i32).rem_euclid(NOTES as i32) as usize;
            self.now[class] += tuned * low * here.sqrt();
        }
        let mut sum = 0.0;
        let mut most = 0.0_f32;
        for (recent, now) in self.recent.iter_mut().zip(self.now) {
            let value = recent.follow(now);
            sum += value;
            most = most.max(value);
        }
        let mut sorted = self.recent.each_ref().map(Follower::value);
        sorted.sort_unstable_by(f32::total_cmp);
        let middle = sorted[NOTES / 2];
        let mut centre = [0.0; 2];
        let mut likeness = [0.0_f32; 3];
        for note in 0..NOTES {
            let value = self.recent[note].value();
            self.values[note] = if most > middle {
                ((value - middle) / (most - middle)).max(0.0)
            } else {
                0.0
            };
            // Fifths lie side by side on the circle.
            let (sin, cos) = (std::f32::consts::TAU * ((7 * note) % NOTES) as f32 / 12.0).sin_cos();
            let share = if sum > 0.0 { value / sum } else { 0.0 };
            centre[0] += share * cos;
            centre[1] += share * sin;
            likeness[0] += self.values[note] * self.known[note];
            likeness[1] += self.values[note] * self.values[note];
            likeness[2] += self.known[note] * self.known[note];
            self.known[note] += self.known_share * (self.values[note] - self.known[note]);
        }
        for (centre, now) in self.centre.iter_mut().zip(centre) {
            *centre += self.centre_share * (now - *centre);
        }
        let norm = (likeness[1] * likeness[2]).sqrt();
        self.change = if norm > 1e-6 {
            (1.0 - likeness[0] / norm).clamp(0.0, 1.0)
        } else {
            0.0
        };
    }
}
