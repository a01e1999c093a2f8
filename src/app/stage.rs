//! What several commands set up alike: scene, model, bender, engine.

use crate::app::cli::{BendOn, EngineArgs, LatentArgs};
use crate::app::{model, say};
use crate::bend::{Bender, ClusterFile, ShaderSources};
use crate::engine::{self, Engine, Latent};
use crate::generator::{
    Generator, GeneratorError, RunMaker, RunOptions, RunPlan, Runs, Runtime, latent,
};
use crate::gpu;
use crate::import;
use crate::scene::{Patch, Scene};
use crate::tensor::MapShape;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Everything that a scene needs from outside to become a patch.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) scene: Scene,
    pub(crate) clusters: Option<ClusterFile>,
    /// Why the bends run where they run, to be put behind the bender's name; may be empty.
    pub(crate) bends_why: String,
    pub(crate) run_maker: RunMaker,
}

impl Stage {
    /// Loads all that `args` and the scene name, and says what runs where.
    ///
    /// # Errors
    /// When something named is missing or does not fit.
    pub(crate) fn set(args: &EngineArgs, scene: Scene) -> anyhow::Result<Self> {
        let folder = model::folder(
            args.model.as_deref(),
            scene.model.as_deref(),
            args.ort_lib.as_deref(),
        )?;
        let clusters = match args.clusters.as_deref().or(scene.clusters.as_deref()) {
            Some(path) => Some(ClusterFile::load(path)?),
            None => None,
        };
        let runtime = Runtime::load(args.ort_lib.as_deref())?;
        let options = RunOptions {
            aspect: args.aspect.or(scene.aspect).unwrap_or_default(),
            class: args.class.or(scene.class),
        };
        let generator = Generator::load_with(&folder, runtime, args.provider, options)?;
        let patch = patch(&scene, &generator, clusters.as_ref())?;
        let shape = generator.image_shape();
        let class = match (generator.manifest().classes, options.class) {
            (0, _) => String::new(),
            (n, class) => format!(", class {} of 0 to {}", class.unwrap_or(0), n - 1),
        };
        say(&format!(
            "network: {}×{} px, {} layers{class}, on {}",
            shape.width,
            shape.height,
            generator.manifest().layers.len(),
            generator.provider()
        ));
        let run_maker = generator.run_maker(runtime);
        let has_bends = !patch.bends.is_empty();
        let mut engine = Engine::new(generator, Bender::cpu(), patch)?;
        let mut bends_why = String::new();
        // Without bends there is no reason to wake a GPU.
        if has_bends {
            let shape = |layer| engine.generator().layer_shape(layer);
            let choice = choose_bender(args, engine.patch(), &shape)?;
            if let Some(bender) = choice.bender {
                engine.set_bender(bender);
            }
            bends_why = choice.why;
            say(&format!("bends: {}{bends_why}", engine.bender_name()));
        }
        Ok(Self {
            engine,
            scene,
            clusters,
            bends_why,
            run_maker,
        })
    }
}

/// Makes a run's sessions from the model folder's files.
///
/// # Errors
/// When a file is gone or ONNX Runtime refuses a run.
pub(crate) fn make_runs(maker: &RunMaker, plan: RunPlan) -> Result<Runs, GeneratorError> {
    maker.make(plan, |run| {
        let files = &maker.files()[run.clone()];
        let read = |file: &String| {
            let path = maker.folder().join(file);
            std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let segments: Vec<Vec<u8>> = files.iter().map(read).collect::<Result<_, _>>()?;
        import::join(&segments, *run.start()).map_err(|e| e.to_string())
    })
}

impl Stage {
    /// Lets neighbouring segments without a bend between them run together: for many frames.
    ///
    /// # Errors
    /// When ONNX Runtime refuses them.
    pub(crate) fn join_segments(&mut self) -> anyhow::Result<()> {
        let plan = self.engine.run_plan();
        let runs = make_runs(&self.run_maker, plan)?;
        drop(self.engine.set_runs(runs)?);
        Ok(())
    }

    /// Plays another scene on the same model; on an error the one before stays.
    ///
    /// # Errors
    /// When the scene does not fit, or ONNX Runtime fails.
    pub(crate) fn change_scene(&mut self, scene: Scene) -> anyhow::Result<()> {
        let patch = patch(&scene, self.engine.generator(), self.clusters.as_ref())?;
        self.engine.set_patch(patch)?;
        self.scene = scene;
        Ok(())
    }

    /// Takes the latent that the command line names, if it names one.
    ///
    /// # Errors
    /// When a file does not hold one for this model.
    pub(crate) fn set_latent(&mut self, args: &LatentArgs, truncate: bool) -> anyhow::Result<()> {
        let manifest = self.engine.generator().manifest();
        let z_dim = manifest.z_dim;
        let latent = if let Some(path) = &args.z {
            Latent::Z(latent::z_from_file(path, z_dim)?)
        } else if let Some(path) = &args.latent {
            let saved = import::read_latent(path, manifest)?;
            if let Some(noise) = saved.noise {
                self.engine.set_const_noise(noise);
            }
            let styles = saved.styles;
            Latent::W { styles, truncate }
        } else if let Some(seed) = args.seed {
            Latent::Z(latent::z_from_seed(seed, z_dim))
        } else {
            return Ok(());
        };
        self.engine.set_latent(latent);
        Ok(())
    }
}

/// Loads the scene, or an empty one.
///
/// # Errors
/// When there is a path and it is no scene.
pub(crate) fn scene(path: Option<&Path>, seed: Option<u32>) -> anyhow::Result<Scene> {
    let mut scene = match path {
        Some(path) => Scene::load(path)?,
        None => Scene::empty(0),
    };
    if let Some(seed) = seed {
        scene.set_seed(seed);
    }
    Ok(scene)
}

fn patch(
    scene: &Scene,
    generator: &Generator,
    clusters: Option<&ClusterFile>,
) -> anyhow::Result<Patch> {
    Ok(scene.patch(&|layer| generator.layer_shape(layer), clusters)?)
}

/// Rounds of the measurement that `auto` decides by.
const ROUNDS: usize = 5;

/// Where bends run.
#[derive(Debug)]
pub(crate) struct Choice {
    /// On an adapter, with room for the patch; `None` for the CPU.
    pub(crate) bender: Option<Bender>,
    /// To be put behind the bender's name; may be empty.
    pub(crate) why: String,
}

impl Choice {
    const fn cpu(why: String) -> Self {
        Self { bender: None, why }
    }
}

/// The bender that was asked for, and why. `auto` takes the one that is faster for the patch's bends,
/// and the CPU where the GPU does not work; `gpu` is an error without one.
///
/// # Errors
/// When what was asked for by name is not there.
pub(crate) fn choose_bender(
    args: &EngineArgs,
    patch: &Patch,
    shape: &dyn Fn(usize) -> Option<MapShape>,
) -> anyhow::Result<Choice> {
    if args.bend_on == BendOn::Cpu {
        return Ok(Choice::cpu(String::new()));
    }
    let choice: gpu::AdapterChoice = args.gpu.parse()?;
    let opened = gpu::Gpu::new(&choice)
        .map_err(anyhow::Error::from)
        .and_then(|gpu| gpu_bender(gpu, args.shaders.as_deref()));
    let mut bender = match opened {
        Ok(bender) => bender,
        // An adapter that was named must be there.
        Err(error) if args.bend_on == BendOn::Gpu || args.gpu != "auto" => return Err(error),
        Err(error) => return Ok(Choice::cpu(format!(" ({error:#})"))),
    };
    if args.bend_on == BendOn::Gpu {
        engine::make_room(&mut bender, patch, shape)?;
        return Ok(Choice {
            bender: Some(bender),
            why: String::new(),
        });
    }
    let on_cpu = engine::time_bends(&mut Bender::cpu(), patch, shape, ROUNDS)?;
    let on_gpu = match engine::time_bends(&mut bender, patch, shape, ROUNDS) {
        Ok(time) => time,
        Err(error) => return Ok(Choice::cpu(format!(" ({error})"))),
    };
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (on_cpu, on_gpu) = (ms(on_cpu), ms(on_gpu));
    if on_gpu < on_cpu {
        return Ok(Choice {
            bender: Some(bender),
            why: format!(", measured {on_gpu:.2} ms a frame; CPU {on_cpu:.2} ms"),
        });
    }
    let name = bender.name();
    // Without backend and kind: the overlay is narrow.
    let name = name.split(" (").next().unwrap_or(&name);
    Ok(Choice::cpu(format!(
        ", measured {on_cpu:.2} ms a frame; {name} {on_gpu:.2} ms"
    )))
}

fn gpu_bender(gpu: gpu::Gpu, shaders: Option<&Path>) -> anyhow::Result<Bender> {
    let gpu = Arc::new(gpu);
    Ok(match shaders {
        Some(folder) => Bender::gpu_with_shaders(gpu, &ShaderSources::read(folder)?)?,
        None => Bender::gpu(gpu)?,
    })
}
