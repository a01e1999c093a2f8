//! A trained network, for use.

use crate::kernels::normal::Moments;
use crate::kernels::unit::affine;
use crate::kernels::{Group, WIDTH, pool, product, stem, unit, wide};
use crate::{EMBEDDING, FLAT, depth, stem_side};

/// All numbers of a trained network. The layers of the softmax are no part of it: they are not needed
/// once it is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// Side of the maps that it takes.
    pub side: usize,
    /// Weights of the first layer, [`stem::LEN`].
    pub stem: Vec<f32>,
    /// Their moments.
    pub stem_moments: Moments,
    /// Weights of each unit, [`unit::LEN`], and moments of its three normalisations.
    pub units: Vec<(Vec<f32>, [Moments; 3])>,
    /// Bottleneck: 10 rows of 800.
    pub neck: Vec<f32>,
    /// Its bias, 10.
    pub neck_bias: Vec<f32>,
}

/// A network that turns maps to embeddings.
#[derive(Clone, Debug)]
pub struct Network {
    parts: Parts,
    stem: stem::Trained,
    units: Vec<unit::Trained>,
    /// `[4·4·50 by pixel][10]`: turned, so that a pixel's column is added at once.
    neck: Vec<f32>,
}

/// Room that a network works in.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    rows: [Vec<f32>; 2],
    columns: Vec<f32>,
    unit: unit::Scratch,
}

/// Maps that are worked on together: about this many pixels after the stem.
const TOGETHER: usize = 2048;

impl Network {
    /// From all its numbers; None where they do not fit each other.
    pub fn new(parts: Parts) -> Option<Self> {
        let fits = parts.side.is_power_of_two()
            && (crate::LAST_SIDE..=1 << 14).contains(&parts.side)
            && parts.stem.len() == stem::LEN
            && has(&parts.stem_moments, WIDTH)
            && parts.units.len() == depth(parts.side)
            && parts.units.iter().all(|(weights, moments)| {
                weights.len() == unit::LEN && moments.iter().all(|m| has(m, WIDTH / 2))
            })
            && parts.neck.len() == EMBEDDING * FLAT
            && parts.neck_bias.len() == EMBEDDING;
        if !fits {
            return None;
        }
        Some(Self {
            stem: stem::Trained::new(parts.stem.clone(), &parts.stem_moments),
            units: parts
                .units
                .iter()
                .map(|(weights, moments)| unit::Trained::new(weights.clone(), moments.clone()))
                .collect(),
            neck: product::transposed(&parts.neck, [EMBEDDING, FLAT]),
            parts,
        })
    }

    /// Side of the maps that it takes.
    pub const fn side(&self) -> usize {
        self.parts.side
    }

    /// All its numbers.
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Embeddings of `maps`, `[maps][side][side]`, as prepared: ten numbers each.
    pub fn embed(&self, maps: &[f32], out: &mut [f32], scratch: &mut Scratch) {
        let plane = self.side() * self.side();
        let first = stem_side(self.side());
        let together = (TOGETHER / (first * first)).max(1);
        for (maps, out) in maps
            .chunks(together * plane)
            .zip(out.chunks_mut(together * EMBEDDING))
        {
            let group = Group {
                maps: maps.len() / plane,
                side: first,
            };
            self.embed_group(maps, group, out, scratch);
        }
    }

    fn embed_group(&self, maps: &[f32], mut group: Group, out: &mut [f32], scratch: &mut Scratch) {
        let [from, to] = &mut scratch.rows;
        from.resize(WIDTH * group.row(), 0.0);
        self.stem
            .run(maps, self.side(), from, group, &mut scratch.columns);
        for (index, unit) in self.units.iter().enumerate() {
            if index > 0 {
                let half = group.halved();
                to.resize(WIDTH * half.row(), 0.0);
                wide(
                    #[inline(always)]
                    || pool::pool(from, to, group),
                );
                std::mem::swap(from, to);
                group = half;
            }
            to.resize(WIDTH * group.row(), 0.0);
            unit.run(from, to, group, &mut scratch.unit);
            std::mem::swap(from, to);
        }
        let pixels = group.side * group.side;
        for (map, out) in out.chunks_exact_mut(EMBEDDING).enumerate() {
            out.copy_from_slice(&self.parts.neck_bias);
            for feature in 0..WIDTH {
                let values = &from[feature * group.row() + map * pixels..][..pixels];
                for (pixel, &value) in values.iter().enumerate() {
                    let column = &self.neck[(feature * pixels + pixel) * EMBEDDING..][..EMBEDDING];
                    out.iter_mut()
                        .zip(column)
                        .for_each(|(o, w)| *o += value * w);
                }
            }
        }
    }
}

fn has(moments: &Moments, features: usize) -> bool {
    moments.mean.len() == features
        && moments.variance.len() == features
        && affine(moments, &vec![1.0; 2 * features])
            .iter()
            .flatten()
            .all(|x| x.is_finite())
}
