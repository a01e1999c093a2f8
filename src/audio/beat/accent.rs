//! What the beat is heard by: how strongly something begins, in each part of the spectrum.

use super::super::flux::PARTS;
use super::super::history::Follower;

/// Strengths, each in \[0, 1\]: one per part of the spectrum.
pub(super) type Accents = [f32; PARTS];

/// A rise that counts as strong where nothing stronger came: noise alone stays below.
const LEAST_STRONG: f32 = 0.3;

/// Turns rises of the spectrum into strengths relative to their own recent past.
#[derive(Clone, Debug)]
pub(super) struct AccentMeter {
    mean: [Follower; PARTS],
    strong: [Follower; PARTS],
}

impl AccentMeter {
    pub(super) fn new(hop_secs: f64) -> Self {
        Self {
            mean: std::array::from_fn(|_| Follower::new(hop_secs, 0.2, 0.2)),
            strong: std::array::from_fn(|_| Follower::new(hop_secs, 0.01, 6.0)),
        }
    }

    pub(super) fn update(&mut self, rises: &[f32; PARTS]) -> Accents {
        std::array::from_fn(|part| {
            let rise = rises[part].min(1.5);
            let above = (rise - self.mean[part].value()).max(0.0);
            self.mean[part].follow(rise);
            let strong = self.strong[part].follow(above).max(LEAST_STRONG);
            (above / strong).min(1.0)
        })
    }
}
