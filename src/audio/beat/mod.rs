//! Beat, bar and tempo, from the past alone.

mod accent;
mod bar_pointer;
mod follow;
mod table;

use super::flux::PARTS;
use super::history::Follower;
use super::network::{BAR, BEAT, FRAME_HOPS, Heard};
use crate::signal::Beat;
use accent::AccentMeter;
use bar_pointer::BarPointer;
use follow::Clockwork;

/// After this many seconds of silence the beat is forgotten. Silence is slow to be believed: about
/// 16 s after loud music stops.
const FORGET_SECS: f64 = 6.0;

/// Follows the beat, hop by hop. Never allocates after [`BeatTracker::new`].
#[derive(Clone, Debug)]
pub(super) struct BeatTracker {
    hop_secs: f64,
    meter: AccentMeter,
    accents: [f32; PARTS],
    model: BarPointer,
    clockwork: Clockwork,
    heard: Follower,
    silent_secs: f64,
}

impl BeatTracker {
    pub(super) fn new(hop_secs: f64) -> Self {
        Self {
            hop_secs,
            meter: AccentMeter::new(hop_secs),
            accents: [0.0; PARTS],
            model: BarPointer::new(FRAME_HOPS as f64 * hop_secs),
            clockwork: Clockwork::new(hop_secs),
            heard: Follower::new(hop_secs, 0.3, 6.0),
            silent_secs: 0.0,
        }
    }

    /// The beat at the next hop. `rises` are those of the parts of the spectrum; `audible` is 0 in
    /// silence and 1 in music. `news` is what the network heard, every [`FRAME_HOPS`] hops: then
    /// the model goes on.
    pub(super) fn update(
        &mut self,
        rises: &[f32; PARTS],
        audible: f32,
        news: Option<&Heard>,
    ) -> Beat {
        let accents = self.meter.update(rises);
        for (sum, accent) in self.accents.iter_mut().zip(accents) {
            *sum = sum.max(audible * accent);
        }
        let loudest = accents.iter().fold(0.0_f32, |a, b| a.max(*b));
        let heard = self.heard.follow((4.0 * audible * loudest).min(1.0));
        let Some(news) = news else {
            return self.clockwork.coast();
        };
        let frame_secs = FRAME_HOPS as f64 * self.hop_secs;
        self.model
            .step(&self.accents, audible * news[BEAT], audible * news[BAR]);
        self.accents = [0.0; PARTS];
        if audible < 0.5 {
            self.silent_secs += frame_secs;
        } else {
            self.silent_secs = 0.0;
        }
        if self.silent_secs > FORGET_SECS {
            self.clockwork.stop();
            return self.clockwork.coast();
        }
        let belief = self.model.belief(self.clockwork.tempo_on(frame_secs));
        self.clockwork
            .update(&belief, frame_secs, frame_secs, heard.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP_SECS: f64 = 256.0 / 48_000.0;

    /// The tempo in bpm at the end of parts of so many bpm and seconds, of each of whose beats a network is sure.
    fn tempo_after(parts: &[[f64; 2]]) -> f32 {
        let mut tracker = BeatTracker::new(HOP_SECS);
        let frame_secs = FRAME_HOPS as f64 * HOP_SECS;
        let (mut beats, mut bpm) = (0.0_f64, 0.0);
        for [part_bpm, secs] in parts {
            for _ in 0..(secs / frame_secs) as usize {
                let before = beats.floor();
                beats += part_bpm / 60.0 * frame_secs;
                let is_beat = beats.floor() > before;
                let mut news = Heard::default();
                news[BEAT] = if is_beat { 0.9 } else { 0.01 };
                news[BAR] = if is_beat { 0.2 } else { 0.0 };
                let rises = [if is_beat { 1.0 } else { 0.0 }; PARTS];
                for hop in 0..FRAME_HOPS {
                    let news = (hop + 1 == FRAME_HOPS).then_some(&news);
                    bpm = tracker.update(&rises, 1.0, news).bpm;
                }
            }
        }
        bpm
    }

    #[test]
    fn the_level_of_the_metre_that_is_on_stays_for_a_while() {
        let near = |bpm: f32, wanted: f32| assert!((bpm / wanted - 1.0).abs() < 0.03, "{bpm}");
        for more in [4.0, 8.0, 12.0] {
            near(tempo_after(&[[66.0, 24.0], [132.0, more]]), 66.0);
        }
        // At first little is known.
        near(tempo_after(&[[66.0, 4.0], [132.0, 4.0]]), 132.0);
        // Another tempo is another music.
        near(tempo_after(&[[66.0, 24.0], [120.0, 6.0]]), 120.0);
        // What goes on is right in the end.
        near(tempo_after(&[[66.0, 24.0], [132.0, 60.0]]), 132.0);
        near(tempo_after(&[[174.0, 24.0], [87.0, 60.0]]), 87.0);
    }
}
