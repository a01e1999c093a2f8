//! What has to be done for one layer in one frame: which channels travel, which steps run.

use super::BendError;
use super::kernel::Kernel;
use super::spec::Bend;
use super::uniform::BendUniform;
use crate::tensor::MapShape;
use std::ops::Range;

/// One bend that changes something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) kernel: &'static Kernel,
    pub(super) uniform: BendUniform,
    first: usize,
    len: usize,
}

/// The plan. Keeps its memory from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Channels that travel, ascending. A channel's place in this list is its slot.
    channels: Vec<u32>,
    steps: Vec<Step>,
    /// Slots of all steps, one step after another, ascending within a step.
    slots: Vec<u32>,
    /// Slot by channel; `u32::MAX` for those that stay.
    slot_of: Vec<u32>,
}

impl Chain {
    /// Plans the bends, in order. Those that change nothing are left out.
    ///
    /// # Errors
    /// When the maps do not have the length of their shape, or a bend names a channel that the
    /// layer lacks.
    pub(super) fn plan(
        &mut self,
        bends: &[Bend],
        shape: MapShape,
        values: usize,
    ) -> Result<(), BendError> {
        self.channels.clear();
        self.steps.clear();
        self.slots.clear();
        if values != shape.len() {
            return Err(BendError::Length {
                expected: shape.len(),
                got: values,
            });
        }
        self.slot_of.clear();
        self.slot_of.resize(shape.channels, u32::MAX);
        for bend in bends {
            let channels = bend.channels.as_slice();
            if let Some(&last) = channels.last()
                && last as usize >= shape.channels
            {
                return Err(BendError::Channel {
                    transform: bend.transform.name,
                    channel: last,
                    channels: shape.channels,
                });
            }
            let values = bend.transform.resolve_clamped(&bend.params);
            if channels.is_empty() || bend.transform.is_identity(&values) {
                continue;
            }
            let mut uniform = BendUniform::new(shape);
            uniform.amount = values[bend.transform.amount_index()];
            (bend.transform.prepare)(&values, shape, &mut uniform);
            self.steps.push(Step {
                kernel: bend.transform.kernel,
                uniform,
                first: self.slots.len(),
                len: channels.len(),
            });
            // Channels for now: slots are known once all bends are.
            self.slots.extend_from_slice(channels);
            for &channel in channels {
                self.slot_of[channel as usize] = 0;
            }
        }
        for (channel, slot) in self.slot_of.iter_mut().enumerate() {
            if *slot == 0 {
                *slot = self.channels.len() as u32;
                self.channels.push(channel as u32);
            }
        }
        for slot in &mut self.slots {
            *slot = self.slot_of[*slot as usize];
        }
        Ok(())
    }

    /// Channels that travel, ascending.
    pub(super) fn channels(&self) -> &[u32] {
        &self.channels
    }

    /// Steps in order.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Slots of a step that lie in `window`, ascending.
    pub(super) fn slots(&self, step: &Step, window: Range<usize>) -> &[u32] {
        let slots = &self.slots[step.first..][..step.len];
        let start = slots.partition_point(|&slot| (slot as usize) < window.start);
        let end = slots.partition_point(|&slot| (slot as usize) < window.end);
        &slots[start..end]
    }
}

#[cfg(test)]
mod tests {
    use super::Chain;
    use crate::bend::{Bend, spec};
    use crate::tensor::{ChannelSet, MapShape};

    const SHAPE: MapShape = MapShape {
        channels: 8,
        height: 4,
        width: 4,
    };

    fn bend(name: &str, params: &[f32], channels: &[u32]) -> Bend {
        let transform = spec::find(name).unwrap();
        Bend {
            transform,
            channels: ChannelSet::from_indices(channels.iter().copied(), 8).unwrap(),
            params: transform.resolve(params).unwrap(),
        }
    }

    #[test]
    fn only_the_union_travels_and_identities_cost_nothing() {
        let mut chain = Chain::default();
        let bends = [
            bend("ablate", &[], &[5, 2]),
            bend("scale", &[1.0], &[0, 1]),
            bend("invert", &[0.0], &[7]),
            bend("invert", &[], &[]),
            bend("flip-h", &[], &[5, 6]),
        ];
        chain.plan(&bends, SHAPE, SHAPE.len()).unwrap();
        assert_eq!(chain.channels(), [2, 5, 6]);
        assert_eq!(chain.steps().len(), 2);
        assert_eq!(chain.slots(&chain.steps()[0], 0..3), [0, 1]);
        assert_eq!(chain.slots(&chain.steps()[1], 0..3), [1, 2]);
        assert_eq!(chain.slots(&chain.steps()[1], 2..3), [2]);
        chain.plan(&[], SHAPE, SHAPE.len()).unwrap();
        assert!(chain.channels().is_empty());
    }

    #[test]
    fn misfits_are_refused() {
        let mut chain = Chain::default();
        assert!(chain.plan(&[], SHAPE, 5).is_err());
        let narrow = MapShape {
            channels: 4,
            ..SHAPE
        };
        let error = chain
            .plan(&[bend("ablate", &[], &[1, 6])], narrow, narrow.len())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`ablate` is to bend channel 6, but the layer has 4 (0 to 3)"
        );
    }
}
