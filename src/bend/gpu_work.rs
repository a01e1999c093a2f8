//! What one submission to the GPU does: the steps of a chain as dispatches.

use super::chain::{Chain, Job, Step};
use super::kernel::{self, Pass, Writes};
use super::spec::Reads;
use super::uniform::BendUniform;
use std::ops::Range;

/// What one submission does. Keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) dispatches: Vec<Dispatch>,
    /// `stride` bytes for each dispatch.
    pub(super) uniforms: Vec<u8>,
    /// Weights of all steps, then slot and one more word for each job of all dispatches.
    pub(super) lists: Vec<u32>,
    /// In which of the two buffers each slot is.
    pub(super) sides: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Dispatch {
    pub(super) pass: &'static Pass,
    /// The buffer that it reads.
    pub(super) side: usize,
    pub(super) planes: u32,
}

/// Set in a job's second word when that slot is in the other buffer.
const OTHER_SIDE: u32 = 1 << 31;

impl Work {
    /// Turns the steps, as far as they touch the slots in `window`, into dispatches.
    pub(super) fn plan(
        &mut self,
        chain: &Chain,
        window: &Range<usize>,
        stride: usize,
        scratch: usize,
    ) {
        self.dispatches.clear();
        self.uniforms.clear();
        self.lists.clear();
        self.lists.extend(chain.taps().iter().map(|t| t.to_bits()));
        self.sides.clear();
        self.sides.resize(window.len(), 0);
        for step in chain.steps() {
            let jobs = chain.jobs(step, window.clone());
            // A dispatch reads one side and writes the other.
            let first = self.lists.len();
            let passes = passes(step, scratch);
            for side in 0..2 {
                let first = self.lists.len();
                self.list(step, side, jobs, window.start);
                self.dispatch(step, passes, side, first, stride, scratch);
            }
            if turns(passes) % 2 == 1 {
                for job in self.lists[first..].chunks_exact(2) {
                    self.sides[job[0] as usize] ^= 1;
                }
            }
        }
    }

    /// Lists the jobs whose maps are on this side.
    fn list(&mut self, step: &Step, side: usize, jobs: &[Job], start: usize) {
        let start = start as u32;
        for job in jobs {
            let slot = job.slot - start;
            if self.sides[slot as usize] != side {
                continue;
            }
            let more = if step.reads == Reads::Partners {
                // Sides turn after both dispatches, and the old values stay where they were.
                let other = self.sides[(job.more - start) as usize] != side;
                (job.more - start) | if other { OTHER_SIDE } else { 0 }
            } else {
                job.more
            };
            self.lists.extend([slot, more]);
        }
    }

    /// Adds the passes for the jobs from place `first` of the list.
    fn dispatch(
        &mut self,
        step: &Step,
        passes: &[&'static Pass],
        side: usize,
        first: usize,
        stride: usize,
        scratch: usize,
    ) {
        let u = &step.uniform;
        let planes = (self.lists.len() - first) / 2;
        let needed = u.levels as usize * (u.size[0] * u.size[1]) as usize;
        let at_once = match passes[0].writes {
            Writes::Levels => scratch / needed,
            Writes::Maps => planes,
        };
        for start in (0..planes).step_by(at_once.max(1)) {
            let mut side = side;
            for &pass in passes {
                let levels = match pass.writes {
                    Writes::Levels => u.levels,
                    Writes::Maps => 1,
                };
                for level in (0..levels).step_by(2) {
                    let uniform = BendUniform {
                        first_job: (first + 2 * start) as u32,
                        level,
                        ..*u
                    };
                    let at = self.uniforms.len();
                    self.uniforms.resize(at + stride, 0);
                    self.uniforms[at..][..size_of::<BendUniform>()]
                        .copy_from_slice(bytemuck::bytes_of(&uniform));
                    self.dispatches.push(Dispatch {
                        pass,
                        side,
                        planes: at_once.min(planes - start) as u32,
                    });
                }
                side = (side + turns(&[pass])) % 2;
            }
        }
    }
}

/// The passes of a step, with room for so many floats of levels.
fn passes(step: &Step, scratch: usize) -> &'static [&'static Pass] {
    let u = &step.uniform;
    let needed = u.levels as usize * (u.size[0] * u.size[1]) as usize;
    if needed > scratch {
        return kernel::EXTREMUM.passes;
    }
    step.kernel.passes
}

/// How often passes turn the sides.
fn turns(passes: &[&Pass]) -> usize {
    passes.iter().filter(|p| p.writes == Writes::Maps).count()
}
