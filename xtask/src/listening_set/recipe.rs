//! Which tracks there are.

use super::groove::{self, Groove};
use crate::demo_track::voices::Noise;

/// A set of tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// What the network of the ears is trained on: grooves, bands and rolls of chance.
    Training,
    /// What constants are chosen on.
    Tuning,
    /// What is reported.
    HeldOut,
}

/// How the tempo moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Tempo {
    Steady,
    /// Evenly, to this share of the start, over the middle half.
    Ramp(f64),
    /// At once, to this share of the start, in the middle.
    Step(f64),
    /// To and fro by this share, in eight bars.
    Drift(f64),
}

/// What happens to the arrangement in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Middle {
    Plain,
    /// Eight bars without drums and bass.
    NoDrums,
    /// Two bars of nothing.
    Silence,
}

/// What was done to the finished mix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Master {
    /// Peaks at this many dBFS.
    Peak(f32),
    /// Driven into hard clipping by this many dB.
    Clipped(f32),
    /// White noise, this many dB below the peak.
    Noise(f32),
}

/// All there is to know about a track.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub(super) set: Set,
    pub(super) number: u32,
    pub(super) groove: Groove,
    pub(super) bpm: f64,
    pub(super) tempo: Tempo,
    pub(super) middle: Middle,
    pub(super) master: Master,
    /// Where the second of two sixteenths comes, as a share of the eighth: 0.5 is straight.
    pub(super) swing: f64,
    /// Largest error of the players, in seconds.
    pub(super) sloppiness_secs: f64,
    pub(super) bars: usize,
    /// Whether a snare roll leads to each ninth bar.
    pub(super) rolls: bool,
}

impl Set {
    /// Its name in files and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Tuning => "tuning",
            Self::HeldOut => "held-out",
        }
    }

    /// Its tracks.
    pub fn recipes(self) -> Vec<Recipe> {
        let (grooves, seed, count) = match self {
            Self::Training => (&[] as &[Groove], 5_000, 240),
            Self::Tuning => (groove::TUNING, 1_000, 36),
            Self::HeldOut => (groove::HELD_OUT, 77_000, 30),
        };
        (0..count)
            .map(|number| {
                let groove = grooves.get(number as usize % grooves.len().max(1));
                let groove = groove
                    .cloned()
                    .unwrap_or_else(|| Groove::of_chance(60_000 + number));
                Recipe::draw(self, number, groove, seed + number)
            })
            .collect()
    }
}

impl Recipe {
    fn draw(set: Set, number: u32, groove: Groove, seed: u32) -> Self {
        let mut noise = Noise::new(seed);
        for _ in 0..8 {
            noise.next();
        }
        let mut share = || 0.5 + 0.5 * noise.next();
        let [slow, fast] = groove.bpm;
        let bpm = slow + f64::from(share()) * (fast - slow);
        let tempo = match number % 6 {
            1 => Tempo::Ramp(if share() < 0.5 { 0.87 } else { 1.14 }),
            3 => Tempo::Drift(0.025),
            4 => Tempo::Step(if share() < 0.5 { 0.9 } else { 1.12 }),
            _ => Tempo::Steady,
        };
        let middle = match number % 5 {
            2 => Middle::NoDrums,
            4 => Middle::Silence,
            _ => Middle::Plain,
        };
        let master = match number % 7 {
            1 => Master::Peak(-36.0),
            3 => Master::Clipped(10.0),
            5 => Master::Noise(-24.0),
            _ => Master::Peak(-3.0),
        };
        let swing = if number % 4 == 3 && groove.hat.len() == 16 {
            0.54 + 0.1 * f64::from(share())
        } else {
            0.5
        };
        // About 45 s.
        let bars = (45.0 * bpm / 240.0).round().max(14.0) as usize;
        Self {
            set,
            number,
            groove,
            bpm,
            tempo,
            middle,
            master,
            swing,
            sloppiness_secs: if number % 3 == 2 { 0.008 } else { 0.0 },
            bars,
            rolls: set == Set::Training && number % 3 == 1,
        }
    }

    /// Set, number, groove and what happens, as a file name without ending.
    pub fn name(&self) -> String {
        let tempo = match self.tempo {
            Tempo::Steady => "steady",
            Tempo::Ramp(_) => "ramp",
            Tempo::Step(_) => "step",
            Tempo::Drift(_) => "drift",
        };
        let middle = match self.middle {
            Middle::Plain => "",
            Middle::NoDrums => "-break",
            Middle::Silence => "-silence",
        };
        let master = match self.master {
            Master::Peak(db) if db < -20.0 => "-quiet",
            Master::Peak(_) => "",
            Master::Clipped(_) => "-clipped",
            Master::Noise(_) => "-noise",
        };
        format!(
            "{}-{:02}-{}-{:.0}-{tempo}{middle}{master}",
            self.set.name(),
            self.number,
            self.groove.name,
            self.bpm
        )
    }

    /// The tempo at a beat.
    pub(super) fn bpm_at(&self, beat: f64) -> f64 {
        let way = beat / (4.0 * self.bars as f64);
        let factor = match self.tempo {
            Tempo::Steady => 1.0,
            Tempo::Ramp(to) => 1.0 + (to - 1.0) * (2.0 * way - 0.5).clamp(0.0, 1.0),
            Tempo::Step(to) => {
                // On a bar line.
                if beat >= (2 * self.bars) as f64 - (2 * self.bars % 4) as f64 {
                    to
                } else {
                    1.0
                }
            }
            Tempo::Drift(depth) => 1.0 + depth * (std::f64::consts::TAU * beat / 32.0).sin(),
        };
        self.bpm * factor
    }
}

#[cfg(test)]
mod tests {
    use super::{Recipe, Set};

    /// Drums of all grooves of a set; those without drums do not count.
    fn drums(set: Set) -> Vec<[String; 3]> {
        let of = |recipe: Recipe| {
            let groove = recipe.groove;
            [groove.kick, groove.snare, groove.hat].map(String::from)
        };
        let all = set.recipes().into_iter().map(of);
        all.filter(|lines| lines.iter().any(|line| line.contains(['x', 'X'])))
            .collect()
    }

    #[test]
    fn no_set_has_a_groove_of_another() {
        let [training, tuning, held_out] = [Set::Training, Set::Tuning, Set::HeldOut].map(drums);
        assert!(training.iter().all(|groove| !tuning.contains(groove)));
        assert!(training.iter().all(|groove| !held_out.contains(groove)));
        assert!(tuning.iter().all(|groove| !held_out.contains(groove)));
    }

    #[test]
    fn grooves_of_chance_differ_and_fit_the_bar() {
        let mut training = drums(Set::Training);
        let all = training.len();
        for line in training.iter().flatten() {
            assert!([12, 16, 24, 32].contains(&line.len()), "{line}");
        }
        training.sort();
        training.dedup();
        assert!(
            20 * training.len() > 19 * all,
            "{} of {all}",
            training.len()
        );
    }
}
