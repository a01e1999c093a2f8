//! A layer's maps for training: kept in memory as far as a budget goes, else drawn anew each epoch.

use super::{HELD_OUT, Pictures, Recipe};
use crate::cluster::ClusteringError;
use crate::tensor::{MapShape, split_mix};
use bendwave_metric::prepare;
use half::f16;

/// Bytes of maps in memory, at most (a picture's own maps come on top).
const BUDGET: usize = 256 << 20;

/// Some pictures' maps of one layer, prepared, 16-bit.
#[derive(Debug)]
pub(super) struct Maps {
    layer: usize,
    shape: MapShape,
    recipe: Recipe,
    side: usize,
    values: Vec<f16>,
    /// The pictures that are in `values`.
    held: Vec<usize>,
}

impl Maps {
    pub(super) fn new(layer: usize, shape: MapShape, recipe: Recipe) -> Self {
        Self {
            layer,
            shape,
            recipe,
            side: recipe.side(shape.height, shape.width),
            values: Vec::new(),
            held: Vec::new(),
        }
    }

    pub(super) const fn side(&self) -> usize {
        self.side
    }

    pub(super) const fn features(&self) -> usize {
        self.shape.channels
    }

    const fn plane(&self) -> usize {
        self.side * self.side
    }

    /// Pictures whose maps are in memory together.
    pub(super) const fn pictures_at_once(&self) -> usize {
        let bytes = 2 * self.features() * self.plane();
        match BUDGET / bytes {
            0 => 1,
            pictures => pictures,
        }
    }

    /// Takes the maps of these pictures, in place of those before; nothing to do where they are the same.
    pub(super) fn hold(
        &mut self,
        pictures: &[usize],
        source: &mut dyn Pictures,
        on_picture: &mut dyn FnMut() -> bool,
    ) -> Result<(), ClusteringError> {
        if self.held == pictures {
            return Ok(());
        }
        self.held.clear();
        self.values.clear();
        self.values
            .reserve_exact(pictures.len() * self.features() * self.plane());
        let mut small = vec![0.0; self.plane()];
        for &picture in pictures {
            source.picture(picture, &mut |layer, maps| {
                if layer == self.layer {
                    for map in maps.chunks_exact(self.shape.plane_len()) {
                        let from = [self.shape.height, self.shape.width];
                        prepare(map, from, self.side, self.recipe.range, &mut small);
                        self.values.extend(small.iter().map(|&x| f16::from_f32(x)));
                    }
                }
            })?;
            if !on_picture() {
                self.values.clear();
                return Err(ClusteringError::Stopped);
            }
        }
        self.held = pictures.to_vec();
        Ok(())
    }

    /// Copies the `index`-th map, counted over pictures and then features, and gives its feature.
    pub(super) fn copy(&self, index: usize, out: &mut [f32]) -> u32 {
        let from = &self.values[index * self.plane()..][..self.plane()];
        out.iter_mut().zip(from).for_each(|(o, x)| *o = x.to_f32());
        (index % self.features()) as u32
    }
}

/// The pictures that networks are tried on.
pub(super) fn held_out(recipe: &Recipe) -> Vec<usize> {
    (HELD_OUT..HELD_OUT + recipe.held_out).collect()
}

/// `0..count` in an order that follows from `seed`.
pub(super) fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed;
    for last in (1..count).rev() {
        // The bias of the remainder is below 1 in 2³².
        let other = (split_mix(&mut state) % (last as u64 + 1)) as usize;
        order.swap(last, other);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::shuffled;

    #[test]
    fn a_shuffle_has_everything_once() {
        let mut order = shuffled(1000, 3);
        assert_ne!(order, shuffled(1000, 4));
        assert_eq!(order, shuffled(1000, 3));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
        assert!(shuffled(0, 1).is_empty());
    }
}
