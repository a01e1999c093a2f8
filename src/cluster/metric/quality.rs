//! How much effort goes into the metric.

use crate::tensor::MapShape;
use bendwave_metric::Range;
use std::fmt;
use std::str::FromStr;

/// What features are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quality {
    /// A description that needs no training.
    #[default]
    Baseline,
    /// Networks as the papers', on smaller maps, from fewer pictures, in minutes.
    Quick,
    /// Networks as the papers describe, in hours.
    Paper,
}

/// How networks of a quality are trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// Its name, which is also that of its folder.
    pub name: &'static str,
    /// Maps with longer sides are averaged down to this.
    pub largest_side: usize,
    /// How maps are brought to range.
    pub range: Range,
    /// Pictures to learn from.
    pub samples: usize,
    /// Pictures to be tried on.
    pub held_out: usize,
    /// How often each map is seen.
    pub epochs: usize,
    /// Maps of a step, instead of Table 1's.
    pub batch: Option<usize>,
    /// Adam's step size.
    pub rate: f64,
    /// Whether the step size falls to nothing, as half a cosine, to the end.
    pub falling: bool,
}

impl Quality {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Baseline, Self::Quick, Self::Paper];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Quick => "quick",
            Self::Paper => "paper",
        }
    }

    /// How its networks are trained; None where there are none.
    pub const fn recipe(self) -> Option<Recipe> {
        match self {
            Self::Baseline => None,
            Self::Quick => Some(Recipe {
                name: "quick",
                largest_side: 16,
                range: Range::Standard,
                samples: 240,
                held_out: 40,
                epochs: 6,
                batch: Some(128),
                rate: 2e-3,
                falling: true,
            }),
            Self::Paper => Some(Recipe {
                name: "paper",
                largest_side: 1024,
                range: Range::Clamp,
                samples: 1000,
                held_out: 100,
                epochs: 100,
                batch: None,
                rate: 1e-4,
                falling: false,
            }),
        }
    }
}

impl Recipe {
    /// Side of the maps that a layer's network takes: the greatest power of two that is not larger than
    /// the layer's maps.
    pub fn side(&self, height: usize, width: usize) -> usize {
        let side = height.min(width).clamp(4, self.largest_side.max(4));
        1 << side.ilog2()
    }

    /// About how much work a layer is: pixels that are seen in training.
    pub fn work(&self, shape: MapShape) -> u64 {
        let side = self.side(shape.height, shape.width);
        // Small maps have work beside their pixels.
        let map = (side * side + 64) as u64;
        map * (shape.channels * self.samples * self.epochs) as u64
    }

    /// Maps of a step for maps of this side: Table 1 of the 2021 paper, by size.
    pub fn batch(&self, side: usize) -> usize {
        self.batch.unwrap_or(match side {
            0..=32 => 500,
            33..=64 => 200,
            65..=128 => 80,
            129..=256 => 50,
            257..=512 => 20,
            _ => 10,
        })
    }

    /// Adam's step size when `done` of 1 is over.
    pub fn rate_at(&self, done: f64) -> f64 {
        match self.falling {
            true => self.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            false => self.rate,
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quality {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|quality| quality.name() == text)
            .ok_or_else(|| "baseline, quick or paper".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Quality;

    #[test]
    fn batches_of_table_1() {
        let paper = Quality::Paper.recipe().unwrap();
        let batches = [8, 16, 32, 64, 128, 256, 512, 1024].map(|side| paper.batch(side));
        assert_eq!(batches, [500, 500, 500, 200, 80, 50, 20, 10]);
        assert_eq!((paper.side(64, 64), paper.side(36, 64)), (64, 32));
        assert_eq!("quick".parse(), Ok(Quality::Quick));
        assert!("best".parse::<Quality>().is_err());
    }
}
