//! Bends on the CPU, through the twins: the fallback without an adapter, and the faster way for
//! small maps that are in host memory anyway.

use super::BendError;
use super::chain::{Chain, Job, Step};
use super::cpu::{Plane, clean, fade, weight};
use super::memory::{FrameTime, Memory};
use super::spec::{Bend, Reads};
use super::uniform::BendUniform;
use crate::tensor::{FeatureMaps, MapShape};
use std::ops::Range;

/// See [`super::Bender::cpu`].
#[derive(Debug, Default)]
pub struct CpuBender {
    chain: Chain,
    memory: Memory,
    /// What [`Memory`] keeps the books of.
    remembered: Vec<f32>,
    weights: Weights,
    work: Work,
}

/// Room to work in. Keeps its memory.
#[derive(Debug, Default)]
struct Work {
    /// For each step, how many of its jobs are done.
    cursors: Vec<usize>,
    /// The map as it is, and as it becomes.
    from: Vec<f32>,
    to: Vec<f32>,
    /// For the twins.
    twins: Vec<f32>,
    /// Maps of partners as they were before a step.
    partners: Vec<f32>,
    /// By slot, where in `partners` it is.
    places: Vec<usize>,
}

/// Weights of masks by [`Bend::id`], kept while a mask does not move.
#[derive(Debug, Default)]
struct Weights(Vec<MaskPlane>);

#[derive(Clone, Debug, Default)]
struct MaskPlane {
    weights: Vec<f32>,
    made_from: Option<BendUniform>,
}

impl CpuBender {
    /// Makes room for the bends of a layer.
    pub(super) fn reserve(&mut self, shape: MapShape, bends: &[Bend]) {
        let plane = shape.plane_len();
        self.work.from.reserve(plane);
        self.work.to.reserve(plane);
        for bend in bends {
            self.memory.reserve(bend, shape);
            if bend.mask.is_some() {
                self.weights.plane(bend.id).weights.resize(plane, 0.0);
            }
        }
        self.settle_memory();
    }

    /// Forgets what bends remember.
    pub(super) fn forget(&mut self) {
        self.memory.forget();
        self.weights.0.clear();
    }

    /// Forgets what one bend remembers.
    pub(super) fn restart(&mut self, id: u32) {
        self.memory.restart(id);
    }

    fn settle_memory(&mut self) {
        if self.remembered.len() < self.memory.len() {
            self.remembered.resize(self.memory.len(), 0.0);
        }
        for (at, painting) in self.memory.take_paintings() {
            self.remembered[at..][..painting.len()].copy_from_slice(&painting);
            for plane in &mut self.weights.0 {
                plane.made_from = None;
            }
        }
    }

    /// See [`super::Bender::apply`].
    ///
    /// # Errors
    /// See [`super::Bender::apply`].
    pub fn apply(
        &mut self,
        maps: &mut FeatureMaps<'_>,
        bends: &[Bend],
        time: FrameTime,
    ) -> Result<(), BendError> {
        let shape = maps.shape();
        let FeatureMaps::Host { data, .. } = maps;
        self.chain
            .plan(bends, shape, data.len(), time, &mut self.memory)?;
        self.settle_memory();
        let plane = shape.plane_len();
        self.work.start(plane, self.chain.steps().len());
        self.weights.fill(&self.chain, plane, &self.remembered);
        // Steps that read only their own channel go together, channel by channel.
        let count = self.chain.steps().len();
        let mut first = 0;
        while first < count {
            let crosses = |s: &Step| s.reads == Reads::Partners;
            let last = match self.chain.steps()[first..].iter().position(crosses) {
                Some(0) => {
                    self.keep_partners(data, first, plane);
                    first + 1
                }
                Some(n) => first + n,
                None => count,
            };
            self.run(data, first..last, plane);
            first = last;
        }
        Ok(())
    }

    /// Runs some steps on every channel that they change.
    fn run(&mut self, data: &mut [f32], range: Range<usize>, plane: usize) {
        let chain = &self.chain;
        let work = &mut self.work;
        let slots = chain.channels().len();
        for (slot, &channel) in chain.channels().iter().enumerate() {
            let map = &mut data[channel as usize * plane..][..plane];
            let mut loaded = false;
            for index in range.clone() {
                let step = &chain.steps()[index];
                let jobs = chain.jobs(step, 0..slots);
                let Some(job) = jobs.get(work.cursors[index]).copied() else {
                    continue;
                };
                if job.slot != slot as u32 {
                    continue;
                }
                work.cursors[index] += 1;
                if !loaded {
                    loaded = true;
                    for (value, &x) in work.from.iter_mut().zip(map.iter()) {
                        *value = clean(x);
                    }
                }
                let weights = self.weights.of(step);
                work.step(step, job, channel, chain, weights, &mut self.remembered);
            }
            if loaded {
                map.copy_from_slice(&work.from);
            }
        }
    }

    /// Copies the maps that a crossing step reads: it may change them itself.
    fn keep_partners(&mut self, data: &[f32], index: usize, plane: usize) {
        let chain = &self.chain;
        let work = &mut self.work;
        work.places.clear();
        work.places.resize(chain.channels().len(), usize::MAX);
        work.partners.clear();
        for job in chain.jobs(&chain.steps()[index], 0..chain.channels().len()) {
            let place = &mut work.places[job.more as usize];
            if *place == usize::MAX {
                *place = work.partners.len();
                let channel = chain.channels()[job.more as usize] as usize;
                let map = &data[channel * plane..][..plane];
                work.partners.extend(map.iter().map(|&x| clean(x)));
            }
        }
    }
}

impl Work {
    fn start(&mut self, plane: usize, steps: usize) {
        self.from.resize(plane, 0.0);
        self.to.resize(plane, 0.0);
        self.cursors.clear();
        self.cursors.resize(steps, 0);
    }

    /// From `from` to `from`, by way of `to`.
    fn step(
        &mut self,
        step: &Step,
        job: Job,
        channel: u32,
        chain: &Chain,
        weights: Option<&[f32]>,
        remembered: &mut [f32],
    ) {
        let u = &step.uniform;
        let plane = self.from.len();
        let past = |start: u32| start as usize + job.more as usize * plane;
        let is_past = step.reads == Reads::Past;
        let partner = match step.reads {
            Reads::Partners => &self.partners[self.places[job.more as usize]..][..plane],
            _ => &[],
        };
        let before: &[f32] = if is_past {
            &remembered[past(u.before)..][..plane]
        } else {
            &[]
        };
        let map = Plane {
            uniform: u,
            src: &self.from,
            channel,
            taps: chain.taps(),
            partner,
            before,
        };
        (step.kernel.twin)(&map, &mut self.to, &mut self.twins);
        if let Some(weights) = weights {
            for ((out, &x), &weight) in self.to.iter_mut().zip(&self.from).zip(weights) {
                *out = fade(x, *out, weight);
            }
        } else if u.amount < 1.0 {
            for (out, &x) in self.to.iter_mut().zip(&self.from) {
                *out = fade(x, *out, u.amount);
            }
        }
        if is_past {
            remembered[past(u.after)..][..plane].copy_from_slice(&self.to);
        }
        std::mem::swap(&mut self.from, &mut self.to);
    }
}

impl Weights {
    fn plane(&mut self, id: u32) -> &mut MaskPlane {
        let id = id as usize;
        if self.0.len() <= id {
            self.0.resize(id + 1, MaskPlane::default());
        }
        &mut self.0[id]
    }

    /// Makes the weights of every step that has a mask.
    fn fill(&mut self, chain: &Chain, len: usize, remembered: &[f32]) {
        for step in chain.steps().iter().filter(|s| s.uniform.mask != 0) {
            let key = mask_only(&step.uniform);
            let plane = self.plane(step.id);
            if plane.made_from == Some(key) {
                continue;
            }
            let painting = remembered
                .get(step.uniform.painting as usize..)
                .unwrap_or_default();
            plane.weights.resize(len, 0.0);
            weight::fill(&step.uniform, painting, &mut plane.weights);
            plane.made_from = Some(key);
        }
    }

    /// Weights of a step; `None` when it has no mask.
    fn of(&self, step: &Step) -> Option<&[f32]> {
        let plane = self.0.get(step.id as usize)?;
        (step.uniform.mask != 0).then_some(plane.weights.as_slice())
    }
}

/// What the weights depend on.
fn mask_only(u: &BendUniform) -> BendUniform {
    BendUniform {
        size: u.size,
        amount: u.amount,
        mask: u.mask,
        mask_at: u.mask_at,
        mask_axis: u.mask_axis,
        mask_edge: u.mask_edge,
        mask_slope: u.mask_slope,
        mask_invert: u.mask_invert,
        painting: u.painting,
        ..bytemuck::Zeroable::zeroed()
    }
}
