//! Runs: neighbouring segments without a bend between them, joined into one session.
//!
//! A session of its own for each layer costs a hand-over between them: on the CPU the change of memory
//! layout that convolutions like, on a GPU the way to host memory and back. Runs are made beside the
//! chain, which stays as it is and takes over whenever a layer inside of a run is to be bent.

use crate::generator::chain::{named_dims, run_error};
use crate::generator::provider::Workload;
use crate::generator::residence::{Residence, Shared};
use crate::generator::{Generator, GeneratorError, Provider, Runtime};
use crate::tensor::FeatureMaps;
use ort::session::{IoBinding, Session};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// How a model's segments are run: which of them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    /// Segments of each run, in order; the last segment is `to_rgb`.
    runs: Vec<RangeInclusive<usize>>,
}

impl RunPlan {
    /// A run ends behind each layer of `bent`; `layers` is the model's number of layers.
    pub fn new(layers: usize, bent: impl Fn(usize) -> bool) -> Self {
        let mut runs = Vec::new();
        let mut first = 0;
        for segment in 0..=layers {
            if segment == layers || bent(segment) {
                runs.push(first..=segment);
                first = segment + 1;
            }
        }
        Self { runs }
    }

    /// Segments of each run, in order.
    pub fn runs(&self) -> &[RangeInclusive<usize>] {
        &self.runs
    }

    /// Whether a run ends behind this layer, so that a bend can sit there.
    pub fn stops_at(&self, layer: usize) -> bool {
        self.runs.iter().any(|run| *run.end() == layer)
    }
}

/// What sessions are made with, for another thread than the generator's.
#[derive(Clone, Debug)]
pub struct RunMaker {
    pub(super) runtime: &'static Runtime,
    pub(super) provider: Provider,
    pub(super) folder: PathBuf,
    pub(super) files: Vec<String>,
    /// Sizes of the graphs' named dimensions.
    pub(super) dims: Vec<(String, usize)>,
}

impl RunMaker {
    /// The model folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The segments' files in order, `to_rgb` last.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Makes the sessions. `join` gives a run's segments as one ONNX graph: inputs and outputs are
    /// theirs, `style` and `noise` with `_N` of the segment's number behind. A run of one segment
    /// needs no session.
    ///
    /// # Errors
    /// When `join` fails or ONNX Runtime refuses a graph.
    pub fn make(
        &self,
        plan: RunPlan,
        mut join: impl FnMut(RangeInclusive<usize>) -> Result<Vec<u8>, String>,
    ) -> Result<Runs, GeneratorError> {
        let mut sessions = Vec::with_capacity(plan.runs.len());
        for run in &plan.runs {
            if run.start() == run.end() {
                sessions.push(None);
                continue;
            }
            let made = join(run.clone()).and_then(|onnx| {
                self.provider
                    .session(self.runtime, &onnx, &self.dims, Workload::Show)
            });
            sessions.push(Some(made.map_err(|why| GeneratorError::Run {
                stage: name(run),
                why,
            })?));
        }
        Ok(Runs { plan, sessions })
    }
}

/// Sessions of runs, not yet part of a generator.
pub struct Runs {
    plan: RunPlan,
    sessions: Vec<Option<Session>>,
}

impl Runs {
    /// Which segments run together.
    pub const fn plan(&self) -> &RunPlan {
        &self.plan
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runs").field(&self.plan).finish()
    }
}

fn name(run: &RangeInclusive<usize>) -> String {
    format!("segments {} to {}", run.start(), run.end())
}

/// Runs bound to a generator's tensors.
pub struct BoundRuns {
    pub(super) plan: RunPlan,
    runs: Vec<Option<BoundRun>>,
}

impl fmt::Debug for BoundRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundRuns").field(&self.plan).finish()
    }
}

struct BoundRun {
    session: Session,
    binding: IoBinding,
    /// Inputs, to be bound again for each run where the residence wants that.
    inputs: Vec<(String, Input)>,
}

#[derive(Clone, Copy, Debug)]
enum Input {
    Start,
    Style(usize),
    Noise(usize),
    Maps(usize),
    Rgb(usize),
}

/// The tensors that runs read and write.
pub(super) struct Tensors<'a> {
    pub(super) start: &'a Shared,
    pub(super) styles: &'a [Shared],
    pub(super) noise: &'a [Shared],
    pub(super) maps: &'a mut [Shared],
    pub(super) rgb: &'a mut [Shared],
}

impl Tensors<'_> {
    fn get(&self, input: Input) -> Option<&Shared> {
        match input {
            Input::Start => Some(self.start),
            Input::Style(i) => self.styles.get(i),
            Input::Noise(i) => self.noise.get(i),
            Input::Maps(i) => self.maps.get(i),
            Input::Rgb(i) => self.rgb.get(i),
        }
    }
}

/// RGB tensors that segments before `segment` have written: one for each odd one.
const fn rgb_before(segment: usize) -> usize {
    segment / 2
}

impl BoundRuns {
    pub(super) fn bind(runs: Runs, tensors: &mut Tensors<'_>) -> Result<Self, GeneratorError> {
        let mut bound = Vec::with_capacity(runs.sessions.len());
        for (session, run) in runs.sessions.into_iter().zip(&runs.plan.runs) {
            let failed = |why: String| GeneratorError::Run {
                stage: name(run),
                why,
            };
            bound.push(match session {
                None => None,
                Some(session) => Some(BoundRun::bind(session, run, tensors).map_err(failed)?),
            });
        }
        Ok(Self {
            plan: runs.plan,
            runs: bound,
        })
    }

    /// Runs everything; single segments through `single`, bends behind each run.
    pub(super) fn synthesize(
        &mut self,
        residence: Residence,
        tensors: &mut Tensors<'_>,
        single: &mut dyn FnMut(usize, &mut Tensors<'_>) -> Result<(), GeneratorError>,
        bend: &mut dyn FnMut(usize, FeatureMaps<'_>),
    ) -> Result<(), GeneratorError> {
        for (bound, run) in self.runs.iter_mut().zip(&self.plan.runs) {
            match bound {
                None => single(*run.start(), tensors)?,
                Some(bound) => {
                    for (name, input) in &bound.inputs {
                        if let Some(shared) = tensors.get(*input) {
                            residence
                                .refresh(&mut bound.binding, name, shared)
                                .map_err(|e| run_error(name, &e))?;
                        }
                    }
                    bound
                        .session
                        .run_binding(&bound.binding)
                        .map_err(|e| run_error(&name(run), &e))?;
                }
            }
            if let Some(maps) = tensors.maps.get_mut(*run.end()) {
                bend(*run.end(), maps.maps());
            }
        }
        Ok(())
    }
}

impl BoundRun {
    fn bind(
        session: Session,
        run: &RangeInclusive<usize>,
        tensors: &mut Tensors<'_>,
    ) -> Result<Self, String> {
        let text = |e: ort::Error| e.to_string();
        let unknown = |name: &str| format!("`{name}` is not known");
        let mut binding = session.create_binding().map_err(text)?;
        let mut inputs = Vec::new();
        for outlet in session.inputs() {
            let name = outlet.name();
            let numbered = |stem: &str| -> Option<usize> {
                name.strip_prefix(stem)?.strip_prefix('_')?.parse().ok()
            };
            let input = match name {
                "x_in" if *run.start() == 0 => Some(Input::Start),
                "x_in" => Some(Input::Maps(run.start().wrapping_sub(1))),
                "rgb_in" => Some(Input::Rgb(rgb_before(*run.start()).wrapping_sub(1))),
                _ => numbered("style")
                    .map(Input::Style)
                    .or_else(|| numbered("noise").map(Input::Noise)),
            };
            let shared = input.and_then(|i| Some((i, tensors.get(i)?)));
            let Some((input, shared)) = shared else {
                return Err(unknown(name));
            };
            binding.bind_input(name, &shared.tensor).map_err(text)?;
            inputs.push((name.to_owned(), input));
        }
        for outlet in session.outputs() {
            let name = outlet.name();
            let shared = match name {
                "x" => tensors.maps.get_mut(*run.end()),
                "rgb" => tensors.rgb.get_mut(rgb_before(run.end() + 1) - 1),
                "image" => tensors.rgb.last_mut(),
                _ => None,
            };
            let Some(shared) = shared else {
                return Err(unknown(name));
            };
            binding
                .bind_output(name, &mut shared.tensor)
                .map_err(text)?;
        }
        Ok(Self {
            session,
            binding,
            inputs,
        })
    }
}

impl Generator {
    /// What makes runs for this model, on any thread.
    pub fn run_maker(&self, runtime: &'static Runtime) -> RunMaker {
        let manifest = self.manifest();
        let layers = manifest.layers.iter().map(|l| l.file.clone());
        RunMaker {
            runtime,
            provider: self.provider().provider,
            folder: self.folder().to_path_buf(),
            files: layers.chain([manifest.to_rgb.file.clone()]).collect(),
            dims: named_dims(manifest.resolution, self.aspect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RunPlan;

    #[test]
    fn runs_end_behind_bent_layers() {
        let plan = RunPlan::new(7, |layer| [0, 3, 4].contains(&layer));
        assert_eq!(plan.runs(), [0..=0, 1..=3, 4..=4, 5..=7]);
        assert!(plan.stops_at(3) && !plan.stops_at(2));
        assert_eq!(RunPlan::new(7, |_| false).runs(), [0..=7]);
        assert_eq!(
            RunPlan::new(3, |_| true).runs(),
            [0..=0, 1..=1, 2..=2, 3..=3]
        );
    }
}
