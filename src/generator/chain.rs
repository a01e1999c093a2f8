//! The chain of segments.

use crate::generator::aspect::{Aspect, START};
use crate::generator::files::ModelFiles;
use crate::generator::manifest::{self, FileEntry, Manifest};
use crate::generator::noise::{self, NoiseMode};
use crate::generator::npy::NpyError;
use crate::generator::provider::Workload;
use crate::generator::residence::{Residence, Shared};
use crate::generator::runs::{BoundRuns, RunPlan, Runs, Tensors};
use crate::generator::{Provider, ProviderChoice, ProviderReport, Runtime};
use crate::tensor::{FeatureMaps, MapShape};
use ort::session::{IoBinding, Session};
use std::path::{Path, PathBuf};

/// Why a model folder cannot be used, or a run failed.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// The folder or one of its files cannot be read.
    #[error("{path}: {why}; make the folder anew with `bendwave import`", path = path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It has no such class.
    #[error("{path}: {why}", path = path.display())]
    Class {
        /// The model folder.
        path: PathBuf,
        /// What it has instead.
        why: String,
    },
    /// Its noise cannot be read.
    #[error(transparent)]
    Noise(#[from] NpyError),
    /// No provider takes the model.
    #[error("{path}: {provider} cannot run the model: {why}", path = path.display())]
    Provider {
        /// The model folder.
        path: PathBuf,
        /// The provider tried last.
        provider: Provider,
        /// What ONNX Runtime said.
        why: String,
    },
    /// ONNX Runtime failed while it ran.
    #[error("ONNX Runtime failed in {stage}: {why}")]
    Run {
        /// Which segment.
        stage: String,
        /// What it said.
        why: String,
    },
}

/// How a model is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Proportions of the picture.
    pub aspect: Aspect,
    /// Class of a conditional model; `None` is class 0.
    pub class: Option<usize>,
}

struct Stage {
    name: String,
    session: Session,
    binding: IoBinding,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// Runs segment `index` on the newest tensors.
    fn run_on(
        &mut self,
        index: usize,
        residence: Residence,
        tensors: &Tensors<'_>,
    ) -> Result<(), GeneratorError> {
        let Self { name, binding, .. } = self;
        let failed = |e: ort::Error| run_error(name, &e);
        residence
            .refresh(binding, "style", &tensors.styles[index])
            .map_err(failed)?;
        if let Some(noise) = tensors.noise.get(index) {
            residence.refresh(binding, "noise", noise).map_err(failed)?;
        }
        let before = match index {
            0 => tensors.start,
            _ => &tensors.maps[index - 1],
        };
        residence.refresh(binding, "x_in", before).map_err(failed)?;
        // Odd layers, and the last stage (whose index is odd too), read the newest skip.
        if index % 2 == 1 && index > 1 {
            let skip = &tensors.rgb[index / 2 - 1];
            residence.refresh(binding, "rgb_in", skip).map_err(failed)?;
        }
        self.run()
    }

    fn run(&mut self) -> Result<(), GeneratorError> {
        match self.session.run_binding(&self.binding) {
            Ok(_) => Ok(()),
            Err(e) => Err(GeneratorError::Run {
                stage: self.name.clone(),
                why: e.to_string(),
            }),
        }
    }
}

/// A loaded model.
#[derive(Debug)]
pub struct Generator {
    manifest: Manifest,
    folder: PathBuf,
    report: ProviderReport,
    residence: Residence,
    aspect: Aspect,
    mapping_network: Stage,
    z: Shared,
    /// One-hot, \[1, classes\], of a conditional model.
    class: Option<Shared>,
    w: Shared,
    /// The constant, of the picture's proportions.
    start: Shared,
    /// One per layer, then `to_rgb`.
    stages: Vec<Stage>,
    /// `style` of each stage, [1, w_dim].
    styles: Vec<Shared>,
    /// Feature maps of each layer.
    maps: Vec<Shared>,
    /// Noise of each layer.
    noise: Vec<Shared>,
    noise_const: Vec<Vec<f32>>,
    noise_mode: Option<NoiseMode>,
    /// RGB skips of the odd layers, in order; the last is the picture.
    rgb: Vec<Shared>,
    /// Sessions of several segments each, where no bend sits between them.
    runs: Option<BoundRuns>,
}

impl Generator {
    /// Loads a model folder for square pictures, as [`Self::load_with`].
    ///
    /// # Errors
    /// When the folder is damaged or no provider of the choice runs it.
    pub fn load(
        folder: &Path,
        runtime: &Runtime,
        choice: ProviderChoice,
    ) -> Result<Self, GeneratorError> {
        Self::load_with(folder, runtime, choice, RunOptions::default())
    }

    /// Loads a model folder, checks every file's hash and prepares everything a frame needs.
    ///
    /// # Errors
    /// When the folder is damaged, lacks the class, or no provider of the choice runs it.
    pub fn load_with(
        folder: &Path,
        runtime: &Runtime,
        choice: ProviderChoice,
        options: RunOptions,
    ) -> Result<Self, GeneratorError> {
        let files = ModelFiles::read(folder)?;
        check_class(folder, files.manifest.classes, options.class)?;
        let mut passed_over = Vec::new();
        let mut last = None;
        for provider in choice.candidates() {
            if !provider.built_in(runtime) {
                let why = "not in this ONNX Runtime library".to_owned();
                last = Some((provider, why.clone()));
                // Only say what could be expected on this platform.
                if matches!(provider, Provider::TensorRt | Provider::Cuda)
                    && !cfg!(target_os = "macos")
                {
                    passed_over.push((provider, why));
                }
                continue;
            }
            match Self::with_provider(folder, &files, runtime, provider, options, Workload::Show) {
                Ok(mut generator) => {
                    generator.report.passed_over = passed_over;
                    return Ok(generator);
                }
                Err(why) => {
                    let first_line = why.lines().next().unwrap_or_default().to_owned();
                    passed_over.push((provider, first_line));
                    last = Some((provider, why));
                }
            }
        }
        let (provider, why) = last.unwrap_or((Provider::Cpu, "nothing to try".to_owned()));
        Err(GeneratorError::Provider {
            path: folder.to_path_buf(),
            provider,
            why,
        })
    }

    /// Loads a model folder for work beside a performance: on the CPU, and only by the thread that
    /// calls it, at that thread's priority.
    ///
    /// # Errors
    /// When the folder is damaged.
    pub fn load_aside(folder: &Path, runtime: &Runtime) -> Result<Self, GeneratorError> {
        Self::load_for(folder, runtime, Workload::Aside)
    }

    /// Loads a model folder for a few pictures on the CPU: memory is given back after each segment.
    ///
    /// # Errors
    /// When the folder is damaged.
    pub(crate) fn load_once(folder: &Path, runtime: &Runtime) -> Result<Self, GeneratorError> {
        Self::load_for(folder, runtime, Workload::Once)
    }

    fn load_for(
        folder: &Path,
        runtime: &Runtime,
        workload: Workload,
    ) -> Result<Self, GeneratorError> {
        let files = ModelFiles::read(folder)?;
        Self::with_provider(
            folder,
            &files,
            runtime,
            Provider::Cpu,
            RunOptions::default(),
            workload,
        )
        .map_err(|why| GeneratorError::Provider {
            path: folder.to_path_buf(),
            provider: Provider::Cpu,
            why,
        })
    }

    fn with_provider(
        folder: &Path,
        files: &ModelFiles,
        runtime: &Runtime,
        provider: Provider,
        RunOptions { aspect, class }: RunOptions,
        workload: Workload,
    ) -> Result<Self, String> {
        let text = |e: ort::Error| e.to_string();
        let manifest = &files.manifest;
        let dims = named_dims(manifest.resolution, aspect);
        let map_dims = |channels: usize, resolution: usize| {
            let [rows, columns] = aspect.size_at(resolution);
            [1, channels, rows, columns]
        };
        let residence = Residence::of(provider);
        let stage = |entry: &FileEntry, bytes: &[u8]| -> Result<Stage, String> {
            let session = provider
                .session(runtime, bytes, &dims, workload)
                .map_err(|e| format!("{}: {e}", entry.file))?;
            let binding = session.create_binding().map_err(text)?;
            Ok(Stage {
                name: entry.file.clone(),
                session,
                binding,
            })
        };
        let allocate = |dims: &[usize]| residence.allocate(dims).map_err(text);

        let mut mapping_network = stage(&manifest.mapping_network, &files.mapping_network)?;
        let z = allocate(&[1, manifest.z_dim])?;
        let mut w = allocate(&[1, manifest.w_dim])?;
        mapping_network
            .binding
            .bind_input("z", &z.tensor)
            .map_err(text)?;
        mapping_network
            .binding
            .bind_output("w", &mut w.tensor)
            .map_err(text)?;
        let class = match manifest.classes {
            0 => None,
            classes => {
                let mut one_hot = allocate(&[1, classes])?;
                one_hot.values_mut()[class.unwrap_or(0)] = 1.0;
                let bind = &mut mapping_network.binding;
                bind.bind_input("class", &one_hot.tensor).map_err(text)?;
                Some(one_hot)
            }
        };
        let mut start = allocate(&map_dims(files.constant.len() / (START * START), START))?;
        aspect.start(&files.constant, start.values_mut());

        let count = manifest.layers.len();
        let mut stages = Vec::with_capacity(count + 1);
        let mut styles = Vec::with_capacity(count + 1);
        let mut maps: Vec<Shared> = Vec::with_capacity(count);
        let mut noise = Vec::with_capacity(count);
        let mut rgb: Vec<Shared> = Vec::new();
        for (index, layer) in manifest.layers.iter().enumerate() {
            let entry = FileEntry {
                file: layer.file.clone(),
                sha256: layer.sha256.clone(),
            };
            let mut stage = stage(&entry, &files.segments[index])?;
            let bind = &mut stage.binding;
            let side = layer.resolution;
            let style = allocate(&[1, manifest.w_dim])?;
            let layer_noise = allocate(&map_dims(1, side))?;
            let mut layer_maps = allocate(&map_dims(layer.channels, side))?;
            bind.bind_input("style", &style.tensor).map_err(text)?;
            bind.bind_input("noise", &layer_noise.tensor)
                .map_err(text)?;
            bind.bind_output("x", &mut layer_maps.tensor)
                .map_err(text)?;
            let before = maps.last().unwrap_or(&start);
            bind.bind_input("x_in", &before.tensor).map_err(text)?;
            if index % 2 == 1 {
                let mut skip = allocate(&map_dims(3, side / 2))?;
                if let Some(before) = rgb.last() {
                    bind.bind_input("rgb_in", &before.tensor).map_err(text)?;
                }
                bind.bind_output("rgb", &mut skip.tensor).map_err(text)?;
                rgb.push(skip);
            }
            stages.push(stage);
            styles.push(style);
            maps.push(layer_maps);
            noise.push(layer_noise);
        }
        let mut last = stage(&manifest.to_rgb, &files.to_rgb)?;
        let style = allocate(&[1, manifest.w_dim])?;
        let mut image = allocate(&map_dims(3, manifest.resolution))?;
        last.binding
            .bind_input("style", &style.tensor)
            .map_err(text)?;
        if let Some(before) = maps.last() {
            last.binding
                .bind_input("x_in", &before.tensor)
                .map_err(text)?;
        }
        if let Some(before) = rgb.last() {
            last.binding
                .bind_input("rgb_in", &before.tensor)
                .map_err(text)?;
        }
        last.binding
            .bind_output("image", &mut image.tensor)
            .map_err(text)?;
        stages.push(last);
        styles.push(style);
        rgb.push(image);

        let mut generator = Self {
            manifest: manifest.clone(),
            folder: folder.to_path_buf(),
            report: ProviderReport {
                provider,
                passed_over: Vec::new(),
            },
            residence,
            aspect,
            mapping_network,
            z,
            class,
            w,
            start,
            stages,
            styles,
            maps,
            noise,
            noise_const: files.noise.clone(),
            noise_mode: None,
            rgb,
            runs: None,
        };
        // A provider may load and still fail at the first run.
        let w_avg = generator.manifest.w_avg.repeat(generator.latents());
        generator.set_noise(NoiseMode::Const, 0);
        generator
            .synthesize(&w_avg, &mut |_, _| {})
            .map_err(|e| e.to_string())?;
        Ok(generator)
    }

    /// What the folder holds.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the model was loaded from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The model's constant noise by layer, of the square picture.
    pub(super) fn noise_const(&self) -> &[Vec<f32>] {
        &self.noise_const
    }

    /// The constant, of the picture's proportions.
    pub(super) const fn start(&self) -> &Shared {
        &self.start
    }

    /// The picture's proportions.
    pub const fn aspect(&self) -> Aspect {
        self.aspect
    }

    /// Which provider runs, and why.
    pub const fn provider(&self) -> &ProviderReport {
        &self.report
    }

    /// Number of w's that a picture takes: one for each layer and one for the last `ToRGB`.
    pub fn latents(&self) -> usize {
        self.manifest.layers.len() + 1
    }

    /// Shape of a layer's feature maps.
    pub fn layer_shape(&self, layer: usize) -> Option<MapShape> {
        let layer = self.manifest.layers.get(layer)?;
        Some(self.aspect.shape_at(layer.resolution, layer.channels))
    }

    /// Shapes of all layers' feature maps.
    pub fn layer_shapes(&self) -> Vec<MapShape> {
        (0..).map_while(|layer| self.layer_shape(layer)).collect()
    }

    /// Shape of the picture: 3 channels.
    pub fn image_shape(&self) -> MapShape {
        self.aspect.shape_at(self.manifest.resolution, 3)
    }

    /// Chooses the class of what [`Self::map`] gives from now on.
    ///
    /// # Errors
    /// When the model has no such class.
    pub fn set_class(&mut self, class: usize) -> Result<(), GeneratorError> {
        check_class(&self.folder, self.manifest.classes, Some(class))?;
        if let Some(one_hot) = &mut self.class {
            let values = one_hot.values_mut();
            values.fill(0.0);
            values[class] = 1.0;
        }
        Ok(())
    }

    /// Runs the mapping network: z (`z_dim` values) to w (`w_dim` values), without truncation.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn map(&mut self, z: &[f32]) -> Result<&[f32], GeneratorError> {
        self.z.values_mut().copy_from_slice(z);
        self.residence
            .refresh(&mut self.mapping_network.binding, "z", &self.z)
            .map_err(|e| run_error("mapping_network", &e))?;
        if let Some(class) = &self.class {
            self.residence
                .refresh(&mut self.mapping_network.binding, "class", class)
                .map_err(|e| run_error("mapping_network", &e))?;
        }
        self.mapping_network.run()?;
        Ok(self.w.values())
    }

    /// Sets the noise of the next frames. `frame` numbers the frame for [`NoiseMode::Random`].
    pub fn set_noise(&mut self, mode: NoiseMode, frame: u64) {
        if self.noise_mode == Some(mode) && mode != NoiseMode::Random {
            return;
        }
        self.noise_mode = Some(mode);
        for (layer, shared) in self.noise.iter_mut().enumerate() {
            let values = shared.values_mut();
            match mode {
                NoiseMode::Const => {
                    let resolution = self.manifest.layers[layer].resolution;
                    self.aspect
                        .noise(&self.noise_const[layer], resolution, values);
                }
                NoiseMode::Random => noise::fill_random(values, layer, frame),
                NoiseMode::None => values.fill(0.0),
            }
        }
    }

    /// Puts other constant noise in the place of the model's, one square map for each layer.
    ///
    /// # Errors
    /// Gives the first layer whose map has another size.
    pub fn set_const_noise(&mut self, noise: Vec<Vec<f32>>) -> Result<(), usize> {
        let layers = &self.manifest.layers;
        for (layer, entry) in layers.iter().enumerate() {
            let wanted = entry.resolution * entry.resolution;
            if noise.get(layer).is_none_or(|map| map.len() != wanted) {
                return Err(layer);
            }
        }
        self.noise_const = noise;
        self.noise_mode = None;
        Ok(())
    }

    /// Makes a picture from `latents() · w_dim` style values. After each layer's activation, before
    /// `ToRGB` and the next layer, `bend` may change the feature maps in place. Gives
    /// \[3, H, W\], not clamped.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn synthesize(
        &mut self,
        styles: &[f32],
        bend: &mut dyn FnMut(usize, FeatureMaps<'_>),
    ) -> Result<&[f32], GeneratorError> {
        let w_dim = self.manifest.w_dim;
        debug_assert_eq!(styles.len(), self.latents() * w_dim);
        for (shared, w) in self.styles.iter_mut().zip(styles.chunks_exact(w_dim)) {
            shared.values_mut().copy_from_slice(w);
        }
        if self.runs.is_none() {
            return self.resynthesize(0, bend);
        }
        let residence = self.residence;
        let stages = &mut self.stages;
        let mut single = |index: usize, tensors: &mut Tensors<'_>| {
            stages[index].run_on(index, residence, tensors)
        };
        let mut tensors = Tensors {
            start: &self.start,
            styles: &self.styles,
            noise: &self.noise,
            maps: &mut self.maps,
            rgb: &mut self.rgb,
        };
        if let Some(runs) = &mut self.runs {
            runs.synthesize(residence, &mut tensors, &mut single, bend)?;
        }
        Ok(self.image())
    }

    /// Makes the last picture again from layer `first` on, segment by segment, with other bends. What
    /// is before it stays as it was, so the run before must have left the maps of the layers below
    /// `first` unbent, or bent as they are meant to be. While segments run together
    /// ([`Self::set_runs`]) some maps are not there: then it starts at layer 0.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn resynthesize(
        &mut self,
        first: usize,
        bend: &mut dyn FnMut(usize, FeatureMaps<'_>),
    ) -> Result<&[f32], GeneratorError> {
        let first = if self.runs.is_some() { 0 } else { first };
        let tensors = Tensors {
            start: &self.start,
            styles: &self.styles,
            noise: &self.noise,
            maps: &mut self.maps,
            rgb: &mut self.rgb,
        };
        for index in first..=tensors.maps.len() {
            self.stages[index].run_on(index, self.residence, &tensors)?;
            if let Some(maps) = tensors.maps.get_mut(index) {
                bend(index, maps.maps());
            }
        }
        Ok(self.image())
    }

    /// Which segments run together now; `None` when each runs by itself.
    pub fn run_plan(&self) -> Option<&RunPlan> {
        self.runs.as_ref().map(|runs| &runs.plan)
    }

    /// Lets runs take over from the chain, or the chain again with `None`. `bend` of
    /// [`Self::synthesize`] then gets only the layers at which a run ends. Gives what ran before, to
    /// be dropped where there is time for it.
    ///
    /// # Errors
    /// When the runs are of another model; the chain takes over then.
    pub fn set_runs(&mut self, runs: Option<Runs>) -> Result<Option<BoundRuns>, GeneratorError> {
        let before = self.runs.take();
        if let Some(runs) = runs {
            let mut tensors = Tensors {
                start: &self.start,
                styles: &self.styles,
                noise: &self.noise,
                maps: &mut self.maps,
                rgb: &mut self.rgb,
            };
            self.runs = Some(BoundRuns::bind(runs, &mut tensors)?);
        }
        Ok(before)
    }

    /// The last picture, \[3, H, W\].
    pub fn image(&self) -> &[f32] {
        self.rgb.last().map(Shared::values).unwrap_or_default()
    }
}

pub(super) fn run_error(stage: &str, error: &ort::Error) -> GeneratorError {
    GeneratorError::Run {
        stage: stage.to_owned(),
        why: error.to_string(),
    }
}

/// The graphs' named dimensions, as [`manifest`] lists them, with their sizes.
pub(super) fn named_dims(resolution: usize, aspect: Aspect) -> Vec<(String, usize)> {
    let sizes = (START.trailing_zeros()..=resolution.trailing_zeros()).map(|log| 1 << log);
    sizes
        .flat_map(|r: usize| {
            let [rows, columns] = aspect.size_at(r);
            [
                (manifest::height_name(r), rows),
                (manifest::width_name(r), columns),
            ]
        })
        .collect()
}

fn check_class(folder: &Path, classes: usize, class: Option<usize>) -> Result<(), GeneratorError> {
    let why = match (classes, class) {
        (_, None) => return Ok(()),
        (0, Some(class)) => format!("there is no class {class}: the model has no classes"),
        (n, Some(class)) if class >= n => {
            format!(
                "there is no class {class}: the model's classes are 0 to {}",
                n - 1
            )
        }
        _ => return Ok(()),
    };
    Err(GeneratorError::Class {
        path: folder.to_path_buf(),
        why,
    })
}
