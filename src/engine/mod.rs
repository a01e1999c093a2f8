//! One frame from one snapshot: evaluates every number once, walks the latent, runs the generator
//! with the bends between its segments. Owns no thread, window or file, and gives the same picture
//! for the same inputs wherever it runs.

mod timing;
mod walk;

pub use timing::time_bends;

use crate::bend::{Bend, BendError, Bender, FrameTime, MAX_PARAMS, Mask};
use crate::generator::{BoundRuns, Generator, GeneratorError, RunPlan, Runs, latent};
use crate::import::SavedLatent;
use crate::param::{DriveState, ModulatorBank, Values};
use crate::scene::{NumberId, Patch, PatchBend};
use crate::signal::Snapshot;
use crate::tensor::{FeatureMaps, MapShape};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use walk::WalkState;

/// Where the picture's latent comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Latent {
    /// The scene's walk.
    Walk,
    /// This z, `z_dim` values.
    Z(Vec<f32>),
    /// These styles, `latents · w_dim` values.
    W {
        /// w of each layer.
        styles: Vec<f32>,
        /// Whether truncation applies; the papers' tool applies none to a loaded latent.
        truncate: bool,
    },
}

/// Time that a frame took, by part.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameTiming {
    /// Everything.
    pub total: Duration,
    /// All bends, with the way to the GPU and back.
    pub bends: Duration,
}

/// A model, a bender and a patch, ready to make frames.
#[derive(Debug)]
pub struct Engine {
    generator: Generator,
    bender: Bender,
    patch: Patch,
    latent: Latent,
    modulators: ModulatorBank,
    /// Constant noise that came with a latent.
    noise: Option<Vec<Vec<f32>>>,
    states: Vec<DriveState>,
    values: Vec<f32>,
    /// What controllers say; wins over the scene's drive.
    held: Vec<Option<f32>>,
    /// Bends by layer, parameters as of this frame, each with its place in the patch.
    by_layer: Vec<LayerBends>,
    walk: WalkState,
    styles: Vec<f32>,
    frame: u64,
    timing: FrameTiming,
    message: Option<String>,
    retired: Option<RetiredRuns>,
}

/// Runs that play no more.
#[derive(Debug)]
pub enum RetiredRuns {
    /// That played.
    Bound(Option<BoundRuns>),
    /// That came too late.
    Unused(Runs),
}

#[derive(Debug, Default)]
struct LayerBends {
    bends: Vec<Bend>,
    places: Vec<usize>,
}

/// Makes room in a bender for everything that a patch may ask of it.
///
/// # Errors
/// When a GPU has not that much memory.
pub fn make_room(
    bender: &mut Bender,
    patch: &Patch,
    layer_shape: &dyn Fn(usize) -> Option<MapShape>,
) -> Result<(), BendError> {
    let layers = (0..).take_while(|&l| layer_shape(l).is_some()).count();
    reserve(bender, &by_layer(patch, layers), layer_shape)
}

fn reserve(
    bender: &mut Bender,
    by_layer: &[LayerBends],
    layer_shape: &dyn Fn(usize) -> Option<MapShape>,
) -> Result<(), BendError> {
    for (layer, LayerBends { bends, .. }) in by_layer.iter().enumerate() {
        if let Some(shape) = layer_shape(layer).filter(|_| !bends.is_empty()) {
            bender.reserve(shape, bends)?;
        }
    }
    Ok(())
}

fn by_layer(patch: &Patch, layers: usize) -> Vec<LayerBends> {
    let mut by_layer = Vec::new();
    by_layer.resize_with(layers, LayerBends::default);
    for (place, bend) in patch.bends.iter().enumerate() {
        // The patch was made for this model's layers.
        if let Some(layer) = by_layer.get_mut(bend.layer) {
            layer.places.push(place);
            layer.bends.push(to_bend(bend, place));
        }
    }
    by_layer
}

impl Engine {
    /// Prepares a patch on a model.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn new(generator: Generator, bender: Bender, patch: Patch) -> Result<Self, GeneratorError> {
        let styles = vec![0.0; generator.latents() * generator.manifest().w_dim];
        let mut engine = Self {
            generator,
            bender,
            patch: Patch::default(),
            latent: Latent::Walk,
            modulators: ModulatorBank::default(),
            noise: None,
            states: Vec::new(),
            values: Vec::new(),
            held: Vec::new(),
            by_layer: Vec::new(),
            walk: WalkState::default(),
            styles,
            frame: 0,
            timing: FrameTiming::default(),
            message: None,
            retired: None,
        };
        engine.set_patch(patch)?;
        Ok(engine)
    }

    /// Changes the patch. The walk goes on from its position. Numbers whose address is the same go
    /// on from where they are, and controllers keep hold of them. On an error the patch before stays.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn set_patch(&mut self, patch: Patch) -> Result<(), GeneratorError> {
        self.walk.set_route(&patch, &mut self.generator)?;
        self.carry_numbers(&patch);
        if patch.modulators != self.patch.modulators {
            self.modulators.reset(patch.modulators.len());
        }
        if patch.continues(&self.patch) {
            for place in patch.moved(&self.patch) {
                self.bender.restart(place as u32);
            }
        } else {
            self.bender.forget();
        }
        let layers = self.generator.manifest().layers.len();
        self.by_layer = by_layer(&patch, layers);
        let shape = |layer| self.generator.layer_shape(layer);
        if let Err(error) = reserve(&mut self.bender, &self.by_layer, &shape) {
            self.message = Some(format!("bends run on the CPU from now on: {error}"));
            self.bender = Bender::cpu();
        }
        self.patch = patch;
        if self
            .generator
            .run_plan()
            .is_some_and(|plan| !self.fits(plan))
        {
            self.retired = Some(RetiredRuns::Bound(self.generator.set_runs(None)?));
        }
        Ok(())
    }

    fn carry_numbers(&mut self, patch: &Patch) {
        let old: HashMap<&str, usize> = self.patch.addresses().zip(0..).collect();
        let mut states = vec![DriveState::default(); patch.numbers.len()];
        let mut values = vec![0.0; patch.numbers.len()];
        let mut held = vec![None; patch.numbers.len()];
        for (index, address) in patch.addresses().enumerate() {
            if let Some(&before) = old.get(address) {
                states[index] = self.states[before];
                values[index] = self.values[before];
                held[index] = self.held[before];
            }
        }
        (self.states, self.values, self.held) = (states, values, held);
    }

    /// Starts the walk anew from another seed; see [`crate::scene::Route::restart`]. On an error the walk before
    /// goes on.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn restart_walk(&mut self, seed: u32) -> Result<(), GeneratorError> {
        let mut route = self.patch.route.clone();
        route.restart(seed);
        self.walk.start(&route, &mut self.generator)?;
        self.patch.route = route;
        Ok(())
    }

    /// Which segments may run together for the patch: a run ends behind each layer with a bend.
    pub fn run_plan(&self) -> RunPlan {
        let layers = self.by_layer.len();
        RunPlan::new(layers, |layer| !self.by_layer[layer].bends.is_empty())
    }

    /// Lets runs take over from the chain of single segments; runs in which a layer of the patch cannot
    /// be bent are left aside. Gives what is not needed any more, to be dropped where there is time.
    ///
    /// # Errors
    /// When the runs are of another model; the chain takes over then.
    pub fn set_runs(&mut self, runs: Runs) -> Result<RetiredRuns, GeneratorError> {
        if self.fits(runs.plan()) {
            Ok(RetiredRuns::Bound(self.generator.set_runs(Some(runs))?))
        } else {
            Ok(RetiredRuns::Unused(runs))
        }
    }

    /// Runs that a change of the patch put out of use, to be dropped where there is time.
    pub fn take_retired_runs(&mut self) -> Option<RetiredRuns> {
        self.retired.take()
    }

    fn fits(&self, plan: &RunPlan) -> bool {
        let layers = self.by_layer.iter().enumerate();
        let mut bent = layers.filter(|(_, bends)| !bends.bends.is_empty());
        bent.all(|(layer, _)| plan.stops_at(layer))
    }

    /// Changes what does the bending, which must have room for the patch (see
    /// [`Bender::reserve`]); gives back the one before.
    pub fn set_bender(&mut self, bender: Bender) -> Bender {
        std::mem::replace(&mut self.bender, bender)
    }

    /// Changes where the latent comes from.
    pub fn set_latent(&mut self, latent: Latent) {
        self.latent = latent;
    }

    /// Holds a number at a controller's value, or lets the scene drive it again with `None`.
    pub fn hold(&mut self, number: NumberId, value: Option<f32>) {
        if let Some(held) = self.held.get_mut(number.index()) {
            *held = value.filter(|v| v.is_finite());
        }
    }

    /// A MIDI note begins with a velocity in (0, 1\], or ends with 0: for the scene's modulators, in
    /// the next frame.
    pub fn play(&mut self, note: u8, velocity: f32) {
        self.modulators.play(note, velocity);
    }

    /// The patch in use.
    pub const fn patch(&self) -> &Patch {
        &self.patch
    }

    /// The model in use.
    pub const fn generator(&self) -> &Generator {
        &self.generator
    }

    /// What does the bending, in words.
    pub fn bender_name(&self) -> String {
        self.bender.name()
    }

    /// Name of the adapter that bends; `None` for the CPU.
    pub fn bend_adapter(&self) -> Option<String> {
        self.bender.adapter()
    }

    /// A number as of the last frame.
    pub fn value(&self, number: NumberId) -> f32 {
        self.values.get(number.index()).copied().unwrap_or(0.0)
    }

    /// Puts other constant noise in the place of the model's, one square map for each layer. Maps of
    /// other sizes leave the model's in place, and a message.
    pub fn set_const_noise(&mut self, noise: Vec<Vec<f32>>) {
        match self.generator.set_const_noise(noise.clone()) {
            Ok(()) => self.noise = Some(noise),
            Err(layer) => {
                self.message = Some(format!("the noise of layer {layer} has another size"));
            }
        }
    }

    /// What the last frame was made of, to be loaded again: its styles after truncation, and the
    /// constant noise if it is not the model's own.
    pub fn saved_latent(&self) -> SavedLatent {
        SavedLatent {
            styles: self.styles.clone(),
            noise: self.noise.clone(),
        }
    }

    /// Copies the last frame's styles, `latents · w_dim` values, after truncation.
    pub fn copy_styles(&self, styles: &mut [f32]) {
        styles.copy_from_slice(&self.styles);
    }

    /// Time that the last frame took.
    pub const fn timing(&self) -> FrameTiming {
        self.timing
    }

    /// A problem that the picture survived, for the performer; each is given once.
    pub fn take_message(&mut self) -> Option<String> {
        self.message.take()
    }

    /// Makes the next frame. `dt_secs` is the time since the frame before. Gives \[3, H, W\], about
    /// \[−1, 1\], not clamped.
    ///
    /// # Errors
    /// When ONNX Runtime fails; a bend that fails leaves its layer unbent and a message.
    pub fn frame(&mut self, snapshot: &Snapshot, dt_secs: f32) -> Result<&[f32], GeneratorError> {
        let started = Instant::now();
        self.evaluate(snapshot, dt_secs);
        self.fill_styles(dt_secs)?;
        self.generator.set_noise(self.patch.noise, self.frame);
        let time = FrameTime {
            index: self.frame,
            dt_secs,
        };
        self.frame += 1;

        let mut bends_time = Duration::ZERO;
        let mut problem = None;
        let (bender, by_layer) = (&mut self.bender, &self.by_layer);
        let mut bend = |layer: usize, mut maps: FeatureMaps<'_>| {
            let bends = by_layer[layer].bends.as_slice();
            if bends.is_empty() {
                return;
            }
            let started = Instant::now();
            if let Err(error) = bender.apply(&mut maps, bends, time) {
                problem = Some(format!("bends run on the CPU from now on: {error}"));
                *bender = Bender::cpu();
                if let Err(error) = bender.apply(&mut maps, bends, time) {
                    problem = Some(format!("layer {layer} stays unbent: {error}"));
                }
            }
            bends_time += started.elapsed();
        };
        self.generator.synthesize(&self.styles, &mut bend)?;
        if problem.is_some() {
            self.message = problem;
        }
        self.timing = FrameTiming {
            total: started.elapsed(),
            bends: bends_time,
        };
        Ok(self.generator.image())
    }

    fn evaluate(&mut self, snapshot: &Snapshot, dt_secs: f32) {
        self.modulators
            .evaluate(&self.patch.modulators, snapshot, dt_secs);
        let values = Values {
            snapshot,
            modulators: self.modulators.values(),
        };
        for (index, number) in self.patch.numbers.iter().enumerate() {
            let driven = self.states[index].eval(&number.drive, &values, dt_secs);
            let value = self.held[index].unwrap_or(driven);
            self.values[index] = value.clamp(number.limits[0], number.limits[1]);
        }
        for layer in &mut self.by_layer {
            layer.drive(&self.patch, &self.values);
        }
    }

    fn fill_styles(&mut self, dt_secs: f32) -> Result<(), GeneratorError> {
        let psi = self.value(NumberId::TRUNCATION);
        let truncate = match &self.latent {
            Latent::W { styles, truncate } => {
                self.styles.copy_from_slice(styles);
                *truncate
            }
            Latent::Z(z) => {
                let w = self.generator.map(z)?;
                for style in self.styles.chunks_exact_mut(w.len()) {
                    style.copy_from_slice(w);
                }
                true
            }
            Latent::Walk => {
                let (speed, accent) = (
                    self.value(NumberId::WALK_SPEED),
                    self.value(NumberId::ACCENT),
                );
                self.walk
                    .advance(f64::from(speed) * f64::from(dt_secs), &mut self.generator)?;
                self.walk.write(accent, &mut self.styles);
                true
            }
        };
        if truncate {
            latent::truncate(&mut self.styles, &self.generator.manifest().w_avg, psi);
        }
        Ok(())
    }
}

impl LayerBends {
    /// Fills the parameters in from the values of a patch's numbers.
    fn drive(&mut self, patch: &Patch, values: &[f32]) {
        for (bend, &place) in self.bends.iter_mut().zip(&self.places) {
            let patch = &patch.bends[place];
            for (param, id) in bend.params.iter_mut().zip(&patch.params) {
                *param = values[id.index()];
            }
            if let (Some(mask), Some(numbers)) = (&mut bend.mask, &patch.mask) {
                for (param, id) in mask.params.iter_mut().zip(&numbers.params) {
                    *param = values[id.index()];
                }
            }
        }
    }
}

/// What the bender runs, its parameters still to be filled in.
fn to_bend(patch: &PatchBend, place: usize) -> Bend {
    let mut bend = Bend::new(patch.transform, patch.channels.clone(), [0.0; MAX_PARAMS]);
    bend.border = patch.border;
    bend.mask = patch.mask.as_ref().map(|mask| Mask {
        spec: mask.spec,
        params: mask.spec.defaults(),
        painting: mask.painting.clone(),
    });
    bend.partners = patch.partners.clone();
    bend.id = place as u32;
    bend.seed = patch.seed;
    bend
}
