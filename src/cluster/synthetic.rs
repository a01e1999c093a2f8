//! Activation maps whose groups are known, to try embeddings on.

use super::ClusteringError;
use super::metric::{Pictures, See};
use crate::generator::latent::RandomState;
use crate::tensor::MapShape;
use std::f64::consts::{PI, TAU};

/// In what the groups differ. Everything else is random in every map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A blob in one of four quarters.
    Position,
    /// A wave of one of four lengths: 2, 4, 8 or 14 across the map.
    Scale,
    /// A wave in one of four directions.
    Orientation,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Position, Self::Scale, Self::Orientation];
}

/// Groups of each kind.
pub const GROUPS: usize = 4;

/// Features of a made-up layer. Feature `f` belongs to group `f % GROUPS`.
#[derive(Debug)]
pub struct Features {
    kind: Kind,
    shape: MapShape,
    noise: f64,
    seed: u32,
    /// Each feature's own deviation from its group.
    own: Vec<[f64; 2]>,
}

impl Features {
    /// `noise` is the deviation of the white noise, where the pattern's is about 1.
    pub fn new(kind: Kind, channels: usize, side: usize, noise: f64, seed: u32) -> Self {
        let mut random = RandomState::new(seed);
        Self {
            kind,
            shape: MapShape {
                channels,
                height: side,
                width: side,
            },
            noise,
            seed,
            own: (0..channels)
                .map(|_| [random.gauss(), random.gauss()])
                .collect(),
        }
    }

    /// Shape of the layer.
    pub const fn shape(&self) -> MapShape {
        self.shape
    }

    /// The known groups.
    pub fn groups(&self) -> Vec<u32> {
        (0..self.shape.channels)
            .map(|f| (f % GROUPS) as u32)
            .collect()
    }

    /// The maps of one made-up picture.
    pub fn maps(&self, picture: u32) -> Vec<f32> {
        let mut random = RandomState::new(
            self.seed
                .wrapping_mul(0x9E37_79B9)
                .wrapping_add(picture)
                .wrapping_add(1),
        );
        let mut maps = Vec::with_capacity(self.shape.len());
        for (feature, own) in self.own.iter().enumerate() {
            let pattern = self.pattern(feature % GROUPS, *own, &mut random);
            let (gain, offset) = ((0.5 * random.gauss()).exp(), random.gauss());
            for value in pattern {
                let noisy = value + self.noise * random.gauss();
                maps.push((noisy * gain + offset) as f32);
            }
        }
        maps
    }

    fn pattern(&self, group: usize, own: [f64; 2], random: &mut RandomState) -> Vec<f64> {
        let side = self.shape.width as f64;
        let at = |i: usize| {
            let (x, y) = (i % self.shape.width, i / self.shape.width);
            (x as f64 / side, y as f64 / side)
        };
        let plane = self.shape.plane_len();
        if self.kind == Kind::Position {
            let quarter = [group % 2, group / 2].map(|half| 0.3 + 0.4 * half as f64);
            let x = quarter[0] + 0.06 * (own[0] + random.gauss());
            let y = quarter[1] + 0.06 * (own[1] + random.gauss());
            let width = 0.12 * (0.25 * random.gauss()).exp();
            return (0..plane)
                .map(|i| {
                    let (px, py) = at(i);
                    let square = (px - x).powi(2) + (py - y).powi(2);
                    4.0 * (-square / (2.0 * width * width)).exp()
                })
                .collect();
        }
        let uniform = |random: &mut RandomState| (random.gauss() * 97.0).rem_euclid(1.0);
        let (cycles, angle) = if self.kind == Kind::Scale {
            let jitter = (0.08 * random.gauss()).exp();
            ([2.0, 4.0, 8.0, 14.0][group] * jitter, PI * uniform(random))
        } else {
            let angle = PI * group as f64 / GROUPS as f64 + 0.08 * own[0] + 0.08 * random.gauss();
            (2.5 + 6.0 * uniform(random), angle)
        };
        let (sin, cos) = angle.sin_cos();
        let phase = TAU * uniform(random);
        (0..plane)
            .map(|i| {
                let (x, y) = at(i);
                1.4 * (TAU * cycles * (x * cos + y * sin) + phase).cos()
            })
            .collect()
    }
}

impl Pictures for Features {
    fn shape(&self, _layer: usize) -> MapShape {
        self.shape
    }

    fn picture(&mut self, index: usize, see: See<'_>) -> Result<(), ClusteringError> {
        see(0, &self.maps(index as u32));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Features, GROUPS, Kind};
    use crate::cluster::agreement::adjusted_rand_index;
    use crate::cluster::{Describe, Embedding, kmeans};

    fn recovered(kind: Kind, noise: f64, seed: u32, hide: bool) -> f64 {
        let features = Features::new(kind, 40, 32, noise, seed);
        recovered_by(&mut Describe::default(), &features, seed, hide)
    }

    fn recovered_by(
        embedding: &mut dyn Embedding,
        features: &Features,
        seed: u32,
        hide: bool,
    ) -> f64 {
        let shape = features.shape();
        let len = embedding.len(0, shape);
        let mut mean = vec![0.0; shape.channels * len];
        let mut out = mean.clone();
        for picture in 0..12 {
            let mut maps = features.maps(picture);
            if hide {
                // Pixels in an order of each map's own: nothing is left to be found.
                for (i, map) in maps.chunks_exact_mut(shape.plane_len()).enumerate() {
                    map.rotate_left(i * 71 % shape.plane_len());
                    map.sort_by(f32::total_cmp);
                }
            }
            embedding.embed(0, &maps, shape, &mut out);
            mean.iter_mut().zip(&out).for_each(|(m, v)| *m += v / 12.0);
        }
        let found = kmeans::group(&mean, len, GROUPS, u64::from(seed)).unwrap();
        adjusted_rand_index(&found, &features.groups())
    }

    #[test]
    fn known_groups_are_recovered() {
        for kind in Kind::ALL {
            for seed in 0..2 {
                let index = recovered(kind, 0.7, seed, false);
                assert!(index > 0.9, "{kind:?} {seed}: {index}");
            }
        }
        assert!(recovered(Kind::Orientation, 0.7, 0, true) < 0.3);
    }

    /// The environment may ask for a part of it: NOISES=1.5,3 SEEDS=2.
    fn table(of: &str, mut recovered: impl FnMut(Kind, f64, u32) -> f64) {
        let asked = |name| std::env::var(name).ok();
        let seeds: u32 = asked("SEEDS").map_or(5, |n| n.parse().unwrap());
        let noises = asked("NOISES").unwrap_or_else(|| "0.7,1.5,3,5".to_owned());
        println!("| {of}, noise | position | scale | orientation |\n|---|---|---|---|");
        for noise in noises.split(',').map(|n| n.parse().unwrap()) {
            let mut row = format!("| {noise} ");
            for kind in Kind::ALL {
                let found: Vec<f64> = (0..seeds)
                    .map(|seed| recovered(kind, noise, seed))
                    .collect();
                let mean = found.iter().sum::<f64>() / f64::from(seeds);
                let least = found.iter().copied().fold(1.0, f64::min);
                row += &format!("| {mean:.2} ({least:.2}) ");
            }
            println!("{row}|");
        }
    }

    #[test]
    #[ignore = "a table of docs/clusters.md"]
    fn recovered_groups_table() {
        table("baseline", |kind, noise, seed| {
            recovered(kind, noise, seed, false)
        });
    }

    #[cfg(feature = "metric-learning")]
    mod learned {
        use super::{Kind, recovered_by, table};
        use crate::cluster::metric::{Kept, Learned, Learner, Quality, Recipe};
        use crate::cluster::synthetic::Features;

        /// The network that learned these features, and how well it knows maps that it has not seen.
        fn learn(features: &mut Features, recipe: Recipe, seed: u32) -> (Learned, f64) {
            let dir = tempfile::tempdir().unwrap();
            let kept = Kept::new(dir.path().to_path_buf(), None, "synthetic");
            let learner = Learner {
                recipe,
                seed,
                kept: &kept,
                training: String::new(),
            };
            let outcome = learner.layer(0, features, &mut |_| true).unwrap();
            let mut learned = Learned::default();
            let accuracy = outcome.kept.accuracy().unwrap();
            learned.insert(0, outcome.kept.network, recipe.range);
            (learned, accuracy)
        }

        fn index(kind: Kind, noise: f64, recipe: Recipe, seed: u32) -> f64 {
            let mut features = Features::new(kind, 40, 32, noise, seed);
            let (mut learned, _) = learn(&mut features, recipe, seed);
            recovered_by(&mut learned, &features, seed, false)
        }

        fn recipe(quality: Quality, samples: usize, epochs: usize) -> Recipe {
            Recipe {
                samples,
                epochs,
                held_out: 10,
                ..quality.recipe().unwrap()
            }
        }

        #[test]
        fn known_groups_are_learned() {
            let mut features = Features::new(Kind::Position, 16, 16, 0.7, 1);
            let (mut learned, accuracy) = learn(&mut features, recipe(Quality::Quick, 60, 3), 0);
            let found = recovered_by(&mut learned, &features, 0, false);
            assert!(found > 0.9, "{found}");
            let hidden = recovered_by(&mut learned, &features, 0, true);
            assert!(hidden < 0.5, "{hidden}");
            // Features of a group differ by little: it can not know them all, but guesses in the group.
            assert!(accuracy > 0.15, "{accuracy}");
            let (_, untrained) = learn(&mut features, recipe(Quality::Quick, 1, 1), 0);
            assert!(untrained < accuracy / 2.0, "{untrained} of {accuracy}");
        }

        #[test]
        #[ignore = "a table of docs/clusters.md"]
        fn recovered_groups_table_quick() {
            let recipe = recipe(Quality::Quick, 240, 6);
            table("quick", |kind, noise, seed| {
                index(kind, noise, recipe, seed)
            });
        }

        #[test]
        #[ignore = "a table of docs/clusters.md"]
        fn recovered_groups_table_paper() {
            // A fiftieth of the paper's steps: 200 pictures instead of 1000, 10 epochs instead of 100.
            let recipe = recipe(Quality::Paper, 200, 10);
            table("paper", |kind, noise, seed| {
                index(kind, noise, recipe, seed)
            });
        }
    }
}
