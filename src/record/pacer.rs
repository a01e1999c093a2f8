//! From frames at any time to a constant frame rate.

/// Where a live frame goes: repeat the picture before it `repeats` times, then write it if `write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) repeats: u64,
    pub(super) write: bool,
}

/// Places frames by their time on the sound's clock, so that the picture stays within 0.75 of a
/// frame of the sound however unevenly frames come.
///
/// The band is wider than half a frame on purpose: a renderer that runs at the recording's rate
/// with some jitter gets each frame exactly once, not a skip and a repeat at each rounding edge.
#[derive(Debug)]
pub(super) struct Pacer {
    fps: f64,
    start_micros: u64,
    next: u64,
}

/// Widest distance between a frame's time and the slot it takes, in frames.
const SLACK: f64 = 0.75;

impl Pacer {
    /// Slot 0 is at `start_micros` on the sound's clock.
    pub(super) fn new(fps: u32, start_micros: u64) -> Self {
        Self {
            fps: f64::from(fps),
            start_micros,
            next: 0,
        }
    }

    /// Takes the frame made for `at_micros`. The first frame also fills the time before it, by
    /// repeating itself: `repeats` then counts copies of the new frame.
    pub(super) fn place(&mut self, at_micros: u64) -> Placement {
        let since = at_micros.saturating_sub(self.start_micros);
        let wanted = since as f64 * 1e-6 * self.fps;
        let ahead = wanted - self.next as f64;
        if ahead < -SLACK {
            return Placement {
                repeats: 0,
                write: false,
            };
        }
        let repeats = if ahead > SLACK {
            // To the nearest slot.
            ahead.round() as u64
        } else {
            0
        };
        self.next += repeats + 1;
        Placement {
            repeats,
            write: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pacer, Placement};

    /// Written frames as (slot, frame's own time), for frames at `times` (µs).
    fn slots(fps: u32, times: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
        let mut pacer = Pacer::new(fps, 0);
        let (mut out, mut last) = (Vec::new(), None);
        for at in times {
            let Placement { repeats, write } = pacer.place(at);
            if write {
                for _ in 0..repeats {
                    out.push((out.len() as u64, last.unwrap_or(at)));
                }
                out.push((out.len() as u64, at));
                last = Some(at);
            }
        }
        out
    }

    #[test]
    fn an_even_stream_passes_one_to_one() {
        let times = (0..300).map(|n| n * 1_000_000 / 30);
        let written = slots(30, times.clone());
        assert!(written.iter().map(|w| w.1).eq(times));
    }

    #[test]
    fn jitter_below_half_a_frame_costs_no_frame() {
        let times: Vec<u64> = (0..300_u64)
            .map(|n| n * 33_333 + (n * 7919) % 16_000)
            .collect();
        let written = slots(30, times.clone());
        assert!(written.iter().map(|w| w.1).eq(times));
    }

    #[test]
    fn picture_stays_with_the_sound_at_any_rate() {
        for step in [3_000_u64, 11_111, 20_000, 47_000, 90_001] {
            let written = slots(30, (0..2_000_000).step_by(step as usize));
            let last = written.last().unwrap();
            let end = last.0 as f64 / 30.0;
            assert!(
                (end - last.1 as f64 * 1e-6).abs() <= 0.75 / 30.0 + 1e-9,
                "step {step}: slot {last:?}"
            );
            // Never from the future, never older than one step and the slack.
            for (slot, at) in written {
                let late = slot as f64 / 30.0 - at as f64 * 1e-6;
                assert!(late <= step as f64 * 1e-6 + 0.75 / 30.0, "{slot} {at}");
                assert!(late >= -0.75 / 30.0 - 1e-9, "{slot} {at}");
            }
        }
    }

    #[test]
    fn a_pause_is_filled() {
        let written = slots(25, [0, 40_000, 1_000_000]);
        assert_eq!(written.len(), 26);
        assert_eq!(written[24].1, 40_000);
        assert_eq!(written[25].1, 1_000_000);
    }

    #[test]
    fn a_clock_that_starts_late_is_honoured() {
        let mut pacer = Pacer::new(30, 5_000_000);
        assert_eq!(pacer.place(5_000_000).repeats, 0);
        assert_eq!(pacer.place(5_100_000).repeats, 2);
    }
}
