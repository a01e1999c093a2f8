//! A beat as a straight line: where it is at one moment, and how fast it goes.

/// Beats over time: `beats` at `at_secs`, and `bpm` from there on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// A moment, in seconds.
    pub at_secs: f64,
    /// Beats at that moment; multiples of 4 are downbeats.
    pub beats: f64,
    /// Beats per minute, above 0.
    pub bpm: f64,
}

impl Line {
    /// Beats at a moment.
    pub fn at(&self, secs: f64) -> f64 {
        (secs - self.at_secs).mul_add(self.bpm / 60.0, self.beats)
    }
}

/// What follows a line smoothly: it never goes back, and never faster or slower than half as
/// much again, except where it is told to jump forward.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Follower {
    at_secs: f64,
    beats: f64,
    started: bool,
}

/// Largest part of its own speed by which it catches up or waits.
const MAX_CATCH_UP: f64 = 0.5;
/// Time constant of catching up, in beats.
const CATCH_UP_BEATS: f64 = 0.25;

/// Distance from `from` to `to` on a circle of `around`, at most half of it either way.
pub(super) fn nearest(from: f64, to: f64, around: f64) -> f64 {
    let ahead = (to - from).rem_euclid(around);
    if ahead > around / 2.0 {
        ahead - around
    } else {
        ahead
    }
}

impl Follower {
    pub(super) fn beats(&self) -> f64 {
        self.beats
    }

    /// Goes on to a moment, after `line`. Only its phase within a beat is followed; whole beats
    /// are [`Follower::skip`]'s. A moment before the last one is taken for it.
    pub(super) fn advance(&mut self, secs: f64, line: &Line) {
        if !self.started {
            self.started = true;
            self.at_secs = secs;
            self.beats = line.at(secs).rem_euclid(4.0);
            return;
        }
        let dt = (secs - self.at_secs).max(0.0);
        self.at_secs = self.at_secs.max(secs);
        let per_sec = line.bpm / 60.0;
        let behind = nearest(self.beats, line.at(self.at_secs - dt), 1.0);
        let left = shrink(behind.abs(), dt * per_sec);
        self.beats += dt * per_sec + behind - left.copysign(behind);
    }

    /// Goes on at a tempo, after nothing.
    pub(super) fn coast(&mut self, secs: f64, bpm: f64) {
        let dt = (secs - self.at_secs).max(0.0);
        self.at_secs = self.at_secs.max(secs);
        self.beats += dt * bpm / 60.0;
    }

    /// Jumps forward by so many beats.
    pub(super) fn skip(&mut self, beats: f64) {
        self.beats += beats.max(0.0);
    }
}

/// What is left of a distance after going on for `beats`: it shrinks at the highest speed while
/// it is long and then ever slower, exactly, so that the frame rate does not matter.
fn shrink(distance: f64, beats: f64) -> f64 {
    let bend = MAX_CATCH_UP * CATCH_UP_BEATS;
    let straight = ((distance - bend) / MAX_CATCH_UP).clamp(0.0, beats);
    let left = distance - straight * MAX_CATCH_UP;
    left * (-(beats - straight) / CATCH_UP_BEATS).exp()
}

#[cfg(test)]
mod tests {
    use super::{Follower, Line, nearest};
    use proptest::prelude::*;

    #[test]
    fn the_nearest_way_round() {
        assert!((nearest(0.9, 0.1, 1.0) - 0.2).abs() < 1e-12);
        assert!((nearest(0.1, 0.9, 1.0) + 0.2).abs() < 1e-12);
        assert!((nearest(7.0, 4.0, 4.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn it_catches_up_within_a_beat_at_any_frame_rate() {
        let line = Line {
            at_secs: 0.0,
            beats: 0.0,
            bpm: 120.0,
        };
        let moved = Line { beats: 0.4, ..line };
        let run = |fps: u32, line: &Line| {
            let mut follower = Follower::default();
            follower.advance(
                0.0,
                &Line {
                    beats: 0.0,
                    ..*line
                },
            );
            (1..=fps)
                .map(|frame| {
                    let secs = f64::from(frame) / f64::from(fps);
                    follower.advance(secs, line);
                    follower.beats()
                })
                .collect::<Vec<f64>>()
        };
        for target in [
            moved,
            Line {
                beats: -0.4,
                ..line
            },
        ] {
            let (slow, fast) = (run(24, &target), run(144, &target));
            assert!((slow[23] - fast[143]).abs() < 1e-6);
            for (frame, value) in slow.iter().enumerate() {
                assert!((value - fast[frame * 6 + 5]).abs() < 1e-6, "{frame}");
            }
            // One second is two beats: all of it is made up.
            assert!(nearest(slow[23], target.at(1.0), 1.0).abs() < 0.01);
        }
    }

    proptest! {
        /// Whatever the line does, the beat never goes back and never rushes.
        #[test]
        fn it_never_goes_back(
            steps in prop::collection::vec((0.0f64..0.2, -10.0f64..10.0, 30.0f64..300.0), 1..200),
        ) {
            let mut follower = Follower::default();
            let mut secs = 0.0;
            follower.advance(0.0, &Line { at_secs: 0.0, beats: 0.0, bpm: 100.0 });
            for (dt, beats, bpm) in steps {
                let before = follower.beats();
                secs += dt;
                follower.advance(secs, &Line { at_secs: secs, beats, bpm });
                let moved = follower.beats() - before;
                let straight = dt * bpm / 60.0;
                prop_assert!(moved >= 0.5 * straight - 1e-9, "{moved} of {straight}");
                prop_assert!(moved <= 1.5 * straight + 1e-9, "{moved} of {straight}");
            }
        }
    }
}
