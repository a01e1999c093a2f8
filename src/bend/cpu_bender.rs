//! Bends on the CPU, through the twins: the fallback without an adapter, and the faster way for
//! small maps that are in host memory anyway.

use super::BendError;
use super::chain::Chain;
use super::cpu::clean;
use super::spec::Bend;
use crate::tensor::{FeatureMaps, MapShape};

/// See [`super::Bender::cpu`].
#[derive(Debug, Default)]
pub struct CpuBender {
    chain: Chain,
    /// For each step, how many of its slots are done.
    cursors: Vec<usize>,
    /// The map as it is, and as it becomes.
    from: Vec<f32>,
    to: Vec<f32>,
}

impl CpuBender {
    /// Makes room for the maps of a layer.
    pub(super) fn reserve(&mut self, shape: MapShape) {
        self.from.reserve(shape.plane_len());
        self.to.reserve(shape.plane_len());
    }

    /// See [`super::Bender::apply`].
    ///
    /// # Errors
    /// See [`super::Bender::apply`].
    pub fn apply(&mut self, maps: &mut FeatureMaps<'_>, bends: &[Bend]) -> Result<(), BendError> {
        let shape = maps.shape();
        let FeatureMaps::Host { data, .. } = maps;
        self.chain.plan(bends, shape, data.len())?;
        let plane = shape.plane_len();
        self.from.resize(plane, 0.0);
        self.to.resize(plane, 0.0);
        self.cursors.clear();
        self.cursors.resize(self.chain.steps().len(), 0);
        let slots = self.chain.channels().len();
        // Channel by channel through all steps: a map stays in the cache meanwhile.
        for (slot, &channel) in self.chain.channels().iter().enumerate() {
            let map = &mut data[channel as usize * plane..][..plane];
            for (value, &x) in self.from.iter_mut().zip(map.iter()) {
                *value = clean(x);
            }
            for (step, cursor) in self.chain.steps().iter().zip(&mut self.cursors) {
                if self.chain.slots(step, 0..slots).get(*cursor) == Some(&(slot as u32)) {
                    *cursor += 1;
                    (step.kernel.twin)(&step.uniform, &self.from, &mut self.to);
                    std::mem::swap(&mut self.from, &mut self.to);
                }
            }
            map.copy_from_slice(&self.from);
        }
        Ok(())
    }
}
