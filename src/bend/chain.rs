//! What has to be done for one layer in one frame: which channels travel, which steps run.

use super::BendError;
use super::kernel::Kernel;
use super::memory::{FrameTime, Memory};
use super::prepare::Site;
use super::spec::{Bend, MAX_PARAMS, Reads};
use super::uniform::BendUniform;
use crate::tensor::MapShape;
use std::ops::Range;

/// One bend that changes something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) kernel: &'static Kernel,
    pub(super) uniform: BendUniform,
    pub(super) reads: Reads,
    /// [`Bend::id`].
    pub(super) id: u32,
    first: usize,
    len: usize,
}

/// One channel of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) slot: u32,
    /// By what the step reads: the channel (time), its place among the bend's channels (past), the
    /// slot of the partner (partners).
    pub(super) more: u32,
}

/// The plan. Keeps its memory from frame to frame.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Channels that travel, ascending. A channel's place in this list is its slot.
    channels: Vec<u32>,
    /// For each slot, whether a step changes it: others are only read.
    changes: Vec<bool>,
    steps: Vec<Step>,
    /// Jobs of all steps, one step after another, slots ascending within a step.
    jobs: Vec<Job>,
    /// Slot by channel; `u32::MAX` for those that stay.
    slot_of: Vec<u32>,
    /// Weights of all steps.
    taps: Vec<f32>,
}

/// In `slot_of`, before slots are known.
const READ: u32 = 0;
const CHANGED: u32 = 1;

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
        time: FrameTime,
        memory: &mut Memory,
    ) -> Result<(), BendError> {
        self.clear(shape);
        if values != shape.len() {
            return Err(BendError::Length {
                expected: shape.len(),
                got: values,
            });
        }
        for bend in bends {
            check(bend, shape)?;
            memory.reserve(bend, shape);
            let values = bend.transform.resolve_clamped(&bend.params);
            let idle = bend.channels.is_empty()
                || (bend.transform.reads == Reads::Partners && bend.partners.is_empty())
                || bend.transform.is_identity(&values);
            // Time goes on, heard or not.
            if idle && bend.transform.reads != Reads::Time {
                continue;
            }
            let mut uniform = BendUniform::new(shape);
            uniform.amount = values[bend.transform.amount_index()];
            if bend.transform.border.is_some() {
                uniform.border = bend.border as u32;
            }
            uniform.seed = bend.seed;
            let mut site = Site {
                shape,
                dt_secs: f64::from(time.dt_secs),
                phase: memory.phase(bend),
                taps: &mut self.taps,
            };
            let kernel = (bend.transform.prepare)(&values, &mut site, &mut uniform);
            if idle {
                continue;
            }
            if let Some(mask) = &bend.mask {
                let painting = memory.painting(bend).unwrap_or(0) as u32;
                mask.prepare(shape, painting, &mut uniform);
            }
            memory.turn(bend, time, &mut uniform);
            self.add(bend, kernel, uniform);
        }
        self.assign_slots();
        Ok(())
    }

    fn clear(&mut self, shape: MapShape) {
        self.channels.clear();
        self.changes.clear();
        self.steps.clear();
        self.jobs.clear();
        self.taps.clear();
        self.slot_of.clear();
        self.slot_of.resize(shape.channels, u32::MAX);
    }

    fn add(&mut self, bend: &Bend, kernel: &'static Kernel, uniform: BendUniform) {
        let channels = bend.channels.as_slice();
        let partners = bend.partners.as_slice();
        self.steps.push(Step {
            kernel,
            uniform,
            reads: bend.transform.reads,
            id: bend.id,
            first: self.jobs.len(),
            len: channels.len(),
        });
        for (place, &channel) in channels.iter().enumerate() {
            let more = match bend.transform.reads {
                Reads::Map => 0,
                Reads::Time => channel,
                Reads::Past => place as u32,
                Reads::Partners => {
                    let partner = partners[place % partners.len()];
                    let mark = &mut self.slot_of[partner as usize];
                    if *mark != CHANGED {
                        *mark = READ;
                    }
                    partner
                }
            };
            // Channels for now: slots are known once all bends are.
            self.jobs.push(Job {
                slot: channel,
                more,
            });
            self.slot_of[channel as usize] = CHANGED;
        }
    }

    fn assign_slots(&mut self) {
        for (channel, slot) in self.slot_of.iter_mut().enumerate() {
            if *slot != u32::MAX {
                self.changes.push(*slot == CHANGED);
                *slot = self.channels.len() as u32;
                self.channels.push(channel as u32);
            }
        }
        for step in &self.steps {
            for job in &mut self.jobs[step.first..][..step.len] {
                job.slot = self.slot_of[job.slot as usize];
                if step.reads == Reads::Partners {
                    job.more = self.slot_of[job.more as usize];
                }
            }
        }
    }

    /// Channels that travel, ascending.
    pub(super) fn channels(&self) -> &[u32] {
        &self.channels
    }

    /// For each of [`Self::channels`], whether a step changes it.
    pub(super) fn changes(&self) -> &[bool] {
        &self.changes
    }

    /// Steps in order.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Weights of all steps.
    pub(super) fn taps(&self) -> &[f32] {
        &self.taps
    }

    /// Whether a step reads channels beside those that it changes.
    pub(super) fn crosses(&self) -> bool {
        self.steps.iter().any(|s| s.reads == Reads::Partners)
    }

    /// Jobs of a step whose slots lie in `window`, slots ascending.
    pub(super) fn jobs(&self, step: &Step, window: Range<usize>) -> &[Job] {
        let jobs = &self.jobs[step.first..][..step.len];
        let start = jobs.partition_point(|job| (job.slot as usize) < window.start);
        let end = jobs.partition_point(|job| (job.slot as usize) < window.end);
        &jobs[start..end]
    }
}

/// What a bend asks for with every parameter at its highest.
pub(super) fn heaviest(bend: &Bend, shape: MapShape) -> BendUniform {
    let mut values = [0.0; MAX_PARAMS];
    for (value, param) in values.iter_mut().zip(bend.transform.params) {
        *value = param.limits[1];
    }
    let mut uniform = BendUniform::new(shape);
    let mut site = Site {
        shape,
        dt_secs: 0.0,
        phase: &mut 0.0,
        taps: &mut Vec::new(),
    };
    (bend.transform.prepare)(&values, &mut site, &mut uniform);
    uniform
}

/// Whether the layer has the channels that a bend names.
fn check(bend: &Bend, shape: MapShape) -> Result<(), BendError> {
    for set in [&bend.channels, &bend.partners] {
        if let Some(&last) = set.as_slice().last()
            && last as usize >= shape.channels
        {
            return Err(BendError::Channel {
                transform: bend.transform.name,
                channel: last,
                channels: shape.channels,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Chain;
    use super::Job;
    use crate::bend::memory::{FrameTime, Memory};
    use crate::bend::{Bend, spec};
    use crate::tensor::{ChannelSet, MapShape};

    const SHAPE: MapShape = MapShape {
        channels: 8,
        height: 4,
        width: 4,
    };

    fn bend(name: &str, params: &[f32], channels: &[u32]) -> Bend {
        let transform = spec::find(name).unwrap();
        Bend::new(
            transform,
            ChannelSet::from_indices(channels.iter().copied(), 8).unwrap(),
            transform.resolve(params).unwrap(),
        )
    }

    fn plan(
        chain: &mut Chain,
        bends: &[Bend],
        shape: MapShape,
    ) -> Result<(), crate::bend::BendError> {
        let mut memory = Memory::default();
        chain.plan(bends, shape, shape.len(), FrameTime::default(), &mut memory)
    }

    fn slots(chain: &Chain, step: usize, window: std::ops::Range<usize>) -> Vec<u32> {
        let jobs = chain.jobs(&chain.steps()[step], window);
        jobs.iter().map(|job| job.slot).collect()
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
        plan(&mut chain, &bends, SHAPE).unwrap();
        assert_eq!(chain.channels(), [2, 5, 6]);
        assert_eq!(chain.steps().len(), 2);
        assert_eq!(slots(&chain, 0, 0..3), [0, 1]);
        assert_eq!(slots(&chain, 1, 0..3), [1, 2]);
        assert_eq!(slots(&chain, 1, 2..3), [2]);
        plan(&mut chain, &[], SHAPE).unwrap();
        assert!(chain.channels().is_empty());
    }

    #[test]
    fn partners_travel_but_are_not_changed() {
        let mut chain = Chain::default();
        let mut mix = bend("mix", &[], &[1, 4, 6]);
        plan(&mut chain, std::slice::from_ref(&mix), SHAPE).unwrap();
        assert!(chain.channels().is_empty());
        mix.partners = ChannelSet::from_indices([6, 7], 8).unwrap();
        plan(&mut chain, &[mix], SHAPE).unwrap();
        assert_eq!(chain.channels(), [1, 4, 6, 7]);
        assert_eq!(chain.changes(), [true, true, true, false]);
        let job = |slot, more| Job { slot, more };
        let jobs = chain.jobs(&chain.steps()[0], 0..4);
        assert_eq!(jobs, [job(0, 2), job(1, 3), job(2, 2)]);
        assert!(chain.crosses());
    }

    #[test]
    fn misfits_are_refused() {
        let mut chain = Chain::default();
        let mut memory = Memory::default();
        let short = chain.plan(&[], SHAPE, 5, FrameTime::default(), &mut memory);
        assert!(short.is_err());
        let narrow = MapShape {
            channels: 4,
            ..SHAPE
        };
        let error = plan(&mut chain, &[bend("ablate", &[], &[1, 6])], narrow).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`ablate` is to bend channel 6, but the layer has 4 (0 to 3)"
        );
    }
}
