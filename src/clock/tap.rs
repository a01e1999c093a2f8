//! Tempo and phase from a finger.

use super::{BPM_RANGE, Line};

/// Most taps that count.
const KEPT: usize = 16;
/// A pause this long, in seconds, begins anew: 30 bpm and slower cannot be tapped.
const PAUSE_SECS: f64 = 2.2;
/// Taps that come this much earlier or later than the others' tempo, as a share of it, begin
/// anew: the performer taps another tempo.
const OTHER_TEMPO: f64 = 0.3;

/// Taps of a performer.
#[derive(Clone, Debug, Default)]
pub(super) struct Taps {
    taps: [f64; KEPT],
    count: usize,
    line: Option<Line>,
}

impl Taps {
    /// One tap. The first one of a series begins a bar.
    pub(super) fn tap(&mut self, secs: f64) {
        if let Some(last) = self.count.checked_sub(1).map(|at| self.taps[at]) {
            let gap = secs - last;
            // A bouncing key is no tap.
            if gap < 60.0 / BPM_RANGE.1 / 2.0 {
                return;
            }
            let mean = (last - self.taps[0]) / (self.count - 1).max(1) as f64;
            let other = self.count >= 2 && (gap / mean - 1.0).abs() > OTHER_TEMPO;
            if gap > PAUSE_SECS {
                self.count = 0;
            } else if other {
                // The last tap was the first of the new tempo.
                self.taps[0] = last;
                self.count = 1;
            }
        }
        if self.count == KEPT {
            // A whole bar leaves, so that the first is still a downbeat.
            self.taps.copy_within(4.., 0);
            self.count -= 4;
        }
        self.taps[self.count] = secs;
        self.count += 1;
        self.fit();
    }

    /// The line through the taps, by least squares: single taps are 20 ms off, their trend is not.
    fn fit(&mut self) {
        let taps = &self.taps[..self.count];
        if taps.len() < 2 {
            return;
        }
        let n = taps.len() as f64;
        let mean_secs = taps.iter().sum::<f64>() / n;
        let mean_beat = (n - 1.0) / 2.0;
        let (mut rise, mut run) = (0.0, 0.0);
        for (beat, secs) in taps.iter().enumerate() {
            let beat = beat as f64 - mean_beat;
            rise += beat * (secs - mean_secs);
            run += beat * beat;
        }
        let beat_secs = rise / run;
        self.line = Some(Line {
            at_secs: mean_secs,
            beats: mean_beat,
            bpm: (60.0 / beat_secs).clamp(BPM_RANGE.0, BPM_RANGE.1),
        });
    }

    /// The beat as it was tapped; `None` until two taps came.
    pub(super) fn line(&self) -> Option<Line> {
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::Taps;

    /// Uneven by up to ±`off` seconds, the same each time.
    fn finger(index: u32, off: f64) -> f64 {
        let noise = f64::from(index.wrapping_mul(2_654_435_761) >> 8) / f64::from(1u32 << 24);
        off * (2.0 * noise - 1.0)
    }

    #[test]
    fn two_taps_give_a_tempo_and_more_make_it_sure() {
        let mut taps = Taps::default();
        taps.tap(10.0);
        assert_eq!(taps.line(), None);
        taps.tap(10.5);
        let line = taps.line().unwrap();
        assert!((line.bpm - 120.0).abs() < 1e-9);
        assert!(line.at(10.0).abs() < 1e-9, "the first tap is a downbeat");
        for index in 2..40u32 {
            taps.tap(10.0 + 0.5 * f64::from(index) + finger(index, 0.025));
        }
        let line = taps.line().unwrap();
        assert!((line.bpm - 120.0).abs() < 0.7, "{line:?}");
        let phase = line.at(10.0 + 0.5 * 39.0).rem_euclid(4.0);
        assert!((phase - 3.0).abs() < 0.04, "{phase}");
    }

    #[test]
    fn a_pause_or_another_tempo_begins_anew() {
        let mut taps = Taps::default();
        for secs in [0.0, 0.5, 1.0, 1.5] {
            taps.tap(secs);
        }
        taps.tap(1.501);
        assert!((taps.line().unwrap().bpm - 120.0).abs() < 1e-6, "a bounce");
        // The tempo stays through a single tap after a pause; two give the new one.
        taps.tap(10.0);
        assert!((taps.line().unwrap().bpm - 120.0).abs() < 1e-6);
        taps.tap(10.4);
        assert!((taps.line().unwrap().bpm - 150.0).abs() < 1e-6);
        taps.tap(10.8);
        taps.tap(11.8);
        assert!((taps.line().unwrap().bpm - 60.0).abs() < 1e-6);
    }
}
