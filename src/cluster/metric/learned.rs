//! Vectors of trained networks.

use crate::cluster::{Describe, Embedding};
use crate::tensor::MapShape;
use bendwave_metric::{EMBEDDING, Network, Range, Scratch, prepare};
use std::collections::BTreeMap;

/// The bottleneck of each layer's trained network; for a layer without one, the description that
/// needs no training.
#[derive(Debug, Default)]
pub struct Learned {
    networks: BTreeMap<usize, (Network, Range)>,
    other: Describe,
    maps: Vec<f32>,
    scratch: Scratch,
}

/// Maps that are prepared at once.
const TOGETHER: usize = 64;

impl Learned {
    /// Takes a layer's network.
    pub fn insert(&mut self, layer: usize, network: Network, range: Range) {
        self.networks.insert(layer, (network, range));
    }

    /// Layers that have one.
    pub fn layers(&self) -> impl Iterator<Item = usize> + '_ {
        self.networks.keys().copied()
    }
}

impl Embedding for Learned {
    fn len(&self, layer: usize, shape: MapShape) -> usize {
        match self.networks.contains_key(&layer) {
            true => EMBEDDING,
            false => self.other.len(layer, shape),
        }
    }

    fn embed(&mut self, layer: usize, maps: &[f32], shape: MapShape, out: &mut [f32]) {
        let Some((network, range)) = self.networks.get(&layer) else {
            return self.other.embed(layer, maps, shape, out);
        };
        let side = network.side();
        if shape.height.min(shape.width) < side {
            out.fill(0.0);
            return;
        }
        self.maps.resize(TOGETHER * side * side, 0.0);
        for (maps, out) in maps
            .chunks(TOGETHER * shape.plane_len())
            .zip(out.chunks_mut(TOGETHER * EMBEDDING))
        {
            let mut count = 0;
            for map in maps.chunks_exact(shape.plane_len()) {
                let to = &mut self.maps[count * side * side..][..side * side];
                prepare(map, [shape.height, shape.width], side, *range, to);
                count += 1;
            }
            network.embed(&self.maps[..count * side * side], out, &mut self.scratch);
        }
    }
}
