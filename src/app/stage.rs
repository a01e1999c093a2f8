//! What several commands set up alike: scene, model, bender, engine.

use crate::app::cli::{BendOn, EngineArgs, LatentArgs};
use crate::app::{model, say};
use crate::bend::{Bender, ClusterFile, ShaderSources};
use crate::engine::{Engine, Latent};
use crate::generator::{Generator, Runtime, latent};
use crate::gpu;
use crate::scene::{Patch, Scene};
use anyhow::bail;
use std::path::Path;
use std::sync::Arc;

/// Everything that a scene needs from outside to become a patch.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) scene: Scene,
    pub(crate) clusters: Option<ClusterFile>,
}

impl Stage {
    /// Loads all that `args` and the scene name, and says what runs where.
    ///
    /// # Errors
    /// When something named is missing or does not fit.
    pub(crate) fn set(args: &EngineArgs, scene: Scene) -> anyhow::Result<Self> {
        let folder = model::folder(args.model.as_deref(), scene.model.as_deref())?;
        let clusters = match args.clusters.as_deref().or(scene.clusters.as_deref()) {
            Some(path) => Some(ClusterFile::load(path)?),
            None => None,
        };
        let runtime = Runtime::load(args.ort_lib.as_deref())?;
        let generator = Generator::load(&folder, runtime, args.provider)?;
        let patch = patch(&scene, &generator, clusters.as_ref())?;
        // Without bends there is no reason to wake a GPU.
        let bender = if patch.bends.is_empty() {
            Bender::cpu()
        } else {
            bender(args)?
        };
        say(&format!(
            "network: {} px, {} layers, on {}",
            generator.manifest().resolution,
            generator.manifest().layers.len(),
            generator.provider()
        ));
        if !patch.bends.is_empty() {
            say(&format!("bends: {}", bender.name()));
        }
        let engine = Engine::new(generator, bender, patch)?;
        Ok(Self {
            engine,
            scene,
            clusters,
        })
    }
}

impl Stage {
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
        let (z_dim, w_dim) = (manifest.z_dim, manifest.w_dim);
        let latents = self.engine.generator().latents();
        let latent = if let Some(path) = &args.z {
            Latent::Z(latent::z_from_file(path, z_dim)?)
        } else if let Some(path) = &args.latent {
            let styles = latent::w_from_file(path, latents, w_dim)?;
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

/// The bender that was asked for. `auto` falls back to the CPU and says so; `gpu` is an error
/// without an adapter.
fn bender(args: &EngineArgs) -> anyhow::Result<Bender> {
    if args.bend_on == BendOn::Cpu {
        return Ok(Bender::cpu());
    }
    let choice = args.gpu.parse()?;
    match gpu::Gpu::new(&choice) {
        // A software adapter does the CPU's work with a detour.
        Ok(gpu) if args.bend_on == BendOn::Auto && gpu.is_software() => Ok(Bender::cpu()),
        Ok(gpu) => match gpu_bender(gpu, args.shaders.as_deref()) {
            Ok(bender) => Ok(bender),
            Err(error) if args.bend_on == BendOn::Auto => {
                say(&format!("bends run on the CPU: {error}"));
                Ok(Bender::cpu())
            }
            Err(error) => bail!("{error}"),
        },
        Err(error) if args.bend_on == BendOn::Auto && args.gpu == "auto" => {
            say(&format!("bends run on the CPU: {error}"));
            Ok(Bender::cpu())
        }
        Err(error) => bail!("{error}"),
    }
}

fn gpu_bender(gpu: gpu::Gpu, shaders: Option<&Path>) -> anyhow::Result<Bender> {
    let gpu = Arc::new(gpu);
    Ok(match shaders {
        Some(folder) => Bender::gpu_with_shaders(gpu, &ShaderSources::read(folder)?)?,
        None => Bender::gpu(gpu)?,
    })
}
