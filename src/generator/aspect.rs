//! Pictures that are not square: a wider or higher start than the learned 4×4 constant.
//!
//! A StyleGAN2 generator is convolutional from its constant on, so a constant of other proportions
//! gives a picture of those: 4×7 for 16:9. The constant is stretched or tiled, the constant noise
//! of each layer is tiled (stretching would blur it).

use crate::tensor::MapShape;
use std::fmt;
use std::str::FromStr;

/// Edge of the learned constant.
pub(super) const START: usize = 4;
/// Longest edge of a start, in cells of the constant.
const LONGEST: usize = 32;

/// How the constant covers a start that is larger than itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// One composition, drawn out: bilinear.
    #[default]
    Stretch,
    /// The composition again and again.
    Tile,
}

/// Proportions of the picture: rows and columns that the network starts from. Square by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aspect {
    rows: usize,
    columns: usize,
    fill: Fill,
}

impl Default for Aspect {
    fn default() -> Self {
        Self {
            rows: START,
            columns: START,
            fill: Fill::Stretch,
        }
    }
}

impl Aspect {
    /// Rows and columns of the maps of a layer that is `resolution` pixels wide in a square picture.
    pub const fn size_at(self, resolution: usize) -> [usize; 2] {
        [
            self.rows * resolution / START,
            self.columns * resolution / START,
        ]
    }

    /// Pixels compared with the square picture.
    pub fn area(self) -> f64 {
        (self.rows * self.columns) as f64 / (START * START) as f64
    }

    /// Fills the start, \[channels, rows, columns\], from the constant, \[channels, 4, 4\].
    pub(super) fn start(self, constant: &[f32], start: &mut [f32]) {
        let planes = constant.chunks_exact(START * START);
        for (from, to) in planes.zip(start.chunks_exact_mut(self.rows * self.columns)) {
            for (y, row) in to.chunks_exact_mut(self.columns).enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    *value = match self.fill {
                        Fill::Tile => from[y % START * START + x % START],
                        Fill::Stretch => {
                            let (y0, y1, ty) = between(y, self.rows);
                            let (x0, x1, tx) = between(x, self.columns);
                            let at = |y: usize, x: usize| from[y * START + x];
                            let mix =
                                |a: f32, b: f32, t: f32| if t == 0.0 { a } else { a + (b - a) * t };
                            mix(
                                mix(at(y0, x0), at(y0, x1), tx),
                                mix(at(y1, x0), at(y1, x1), tx),
                                ty,
                            )
                        }
                    };
                }
            }
        }
    }

    /// Fills a layer's noise from the square one, which is repeated.
    pub(super) fn noise(self, square: &[f32], resolution: usize, noise: &mut [f32]) {
        let [_, columns] = self.size_at(resolution);
        for (y, row) in noise.chunks_exact_mut(columns).enumerate() {
            let from = y % resolution * resolution;
            for part in row.chunks_mut(resolution) {
                part.copy_from_slice(&square[from..from + part.len()]);
            }
        }
    }

    pub(super) fn shape_at(self, resolution: usize, channels: usize) -> MapShape {
        let [height, width] = self.size_at(resolution);
        MapShape {
            channels,
            height,
            width,
        }
    }
}

/// Neighbours and weight of cell `i` of `count` that cover the constant's cells, centres matched.
fn between(i: usize, count: usize) -> (usize, usize, f32) {
    let last = (START - 1) as f32;
    let at = ((i as f32 + 0.5) * START as f32 / count as f32 - 0.5).clamp(0.0, last);
    let low = at.floor() as usize;
    (low, (low + 1).min(START - 1), at - low as f32)
}

impl FromStr for Aspect {
    type Err = String;

    /// `16:9`, or `16:9/tile`. The shorter edge of the start has 4 cells, the longer one the whole
    /// number of cells that comes nearest.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "WIDTH:HEIGHT, as 16:9, or 16:9/tile; up to 8:1".to_owned();
        let (ratio, fill) = match text.split_once('/') {
            None => (text, Fill::Stretch),
            Some((ratio, "stretch")) => (ratio, Fill::Stretch),
            Some((ratio, "tile")) => (ratio, Fill::Tile),
            Some(_) => return Err(wrong()),
        };
        let (width, height) = ratio.split_once(':').ok_or_else(wrong)?;
        let number = |text: &str| -> Result<f64, String> {
            let number: f64 = text.trim().parse().map_err(|_e| wrong())?;
            (number > 0.0 && number.is_finite())
                .then_some(number)
                .ok_or_else(wrong)
        };
        let ratio = number(width)? / number(height)?;
        let long = (START as f64 * ratio.max(1.0 / ratio)).round();
        if long > LONGEST as f64 {
            return Err(wrong());
        }
        let long = long as usize;
        let (rows, columns) = if ratio >= 1.0 {
            (START, long)
        } else {
            (long, START)
        };
        Ok(Self {
            rows,
            columns,
            fill,
        })
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fill = match self.fill {
            Fill::Stretch => "stretched",
            Fill::Tile => "tiled",
        };
        write!(f, "{}×{} start, {fill}", self.rows, self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::Aspect;

    fn aspect(text: &str) -> Aspect {
        text.parse().unwrap()
    }

    #[test]
    fn ratios_give_whole_cells() {
        for (text, size) in [
            ("16:9", [4, 7]),
            ("9:16", [7, 4]),
            ("1:1", [4, 4]),
            ("2.35:1", [4, 9]),
            ("32:9/tile", [4, 14]),
            ("8:1", [4, 32]),
            ("1920:1080/stretch", [4, 7]),
        ] {
            assert_eq!(aspect(text).size_at(4), size, "{text}");
        }
        assert_eq!(aspect("16:9").size_at(1024), [1024, 1792]);
        for wrong in [
            "",
            "16",
            "16:0",
            "0:9",
            "-1:2",
            "9:1",
            "nan:1",
            "inf:1",
            "16:9/crop",
        ] {
            assert!(wrong.parse::<Aspect>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_square_start_is_the_constant_itself() {
        let constant: Vec<f32> = (0..32).map(|i| (i as f32).sin()).collect();
        for text in ["1:1", "1:1/tile"] {
            let mut start = vec![0.0; 32];
            aspect(text).start(&constant, &mut start);
            assert_eq!(start, constant);
        }
    }

    #[test]
    fn starts_are_stretched_or_tiled_and_noise_repeats() {
        let ramp: Vec<f32> = (0..16).map(|i| (i % 4) as f32).collect();
        let mut start = vec![0.0; 32];
        aspect("2:1").start(&ramp, &mut start);
        assert_eq!(start[..8], [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]);
        assert_eq!(start[8..16], start[..8]);
        aspect("2:1/tile").start(&ramp, &mut start);
        assert_eq!(start[..8], [0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0]);
        aspect("1:2/tile").start(&(0..16).map(|i| i as f32).collect::<Vec<_>>(), &mut start);
        assert_eq!(start[16..20], [0.0, 1.0, 2.0, 3.0]);

        let square: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let mut noise = vec![0.0; 8 * 14];
        aspect("16:9").noise(&square, 8, &mut noise);
        assert_eq!(
            noise[14..28],
            [
                8., 9., 10., 11., 12., 13., 14., 15., 8., 9., 10., 11., 12., 13.
            ]
        );
    }
}
