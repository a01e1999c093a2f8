//! Scenes: what a performance shows. A scene file is the network bending papers' YAML
//! (`transforms:`) plus, optionally, what a performance needs; a plain paper file is a valid scene.
//!
//! [`Scene::load`] reads and checks a file by itself; [`Scene::patch`] fits it to a model and a
//! cluster file and gives a [`Patch`], which the engine can run without looking anything up.
//! The format is in `docs/scene.md`.

mod entry;
mod features;
mod file;
mod names;
mod patch;

pub use features::Features;
pub use patch::{NumberId, Patch, PatchBend, PatchMask, PatchNumber};

use crate::audio::AnalysisConfig;
use crate::bend::{Border, MAX_PARAMS, MaskSpec, Painting, TransformSpec};
use crate::generator::{Aspect, NoiseMode};
use crate::lines;
use crate::param::{Drive, Modulator};
use crate::tensor::{MapShape, split_mix};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Most transforms in one scene.
pub const MAX_TRANSFORMS: usize = 256;

/// A scene file that has been read and checked by itself.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Where it was read from; errors name it.
    pub path: PathBuf,
    /// Its text; errors name the line.
    pub text: Arc<str>,
    /// Model folder, made absolute against the scene's folder.
    pub model: Option<PathBuf>,
    /// Cluster file, made absolute against the scene's folder.
    pub clusters: Option<PathBuf>,
    /// Proportions of the picture, if the scene asks for some.
    pub aspect: Option<Aspect>,
    /// Class of a conditional model, if the scene asks for one.
    pub class: Option<usize>,
    /// Seeds random feature choices, and the latent where `latent` names none.
    pub seed: u32,
    /// How often random feature choices were drawn anew; 0 gives those of the seed alone.
    pub draw: u32,
    /// Noise of the layers.
    pub noise: NoiseMode,
    /// Truncation ψ: 1 is the whole variety, 0 the mean picture.
    pub truncation: Drive,
    /// The walk through latent space.
    pub walk: Walk,
    /// What the scene adds to the signals, in the order of evaluation; drives name them by place.
    pub modulators: Vec<Modulator>,
    /// Transforms in file order.
    pub bends: Vec<SceneBend>,
    /// How sound is measured. Taken when the sound starts.
    pub analysis: AnalysisConfig,
}

/// The walk through latent space, in w.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    /// Where it goes.
    pub route: Route,
    /// Stops per second.
    pub speed: Drive,
    /// A second latent that the walk is pulled to, by this share (0 to 1).
    pub accent: Option<(u32, Drive)>,
}

/// Where a walk goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// From seed to seed and round again; one seed stands still.
    Loop(Vec<u32>),
    /// From this seed to ever new seeds, drawn from it.
    Endless(u32),
}

impl Default for Route {
    fn default() -> Self {
        Self::Endless(0)
    }
}

impl Route {
    /// The same kind of route from another seed: a loop gets as many new seeds, drawn from it.
    pub fn restart(&mut self, seed: u32) {
        match self {
            Self::Loop(seeds) => {
                let mut state = u64::from(seed);
                for (index, stop) in seeds.iter_mut().enumerate() {
                    *stop = if index == 0 {
                        seed
                    } else {
                        split_mix(&mut state) as u32
                    };
                }
            }
            Self::Endless(start) => *start = seed,
        }
    }
}

/// One transform of a scene.
#[derive(Clone, Debug)]
pub struct SceneBend {
    /// Name that controller mappings use; `LAYER.TRANSFORM` where the file gives none.
    pub name: String,
    /// Layer, 0 is the 4×4 one.
    pub layer: usize,
    /// Which transform.
    pub transform: &'static TransformSpec,
    /// Parameters as the file gives them, without those it leaves out.
    pub params: Vec<Drive>,
    /// `amount`, where the file gives it by name.
    pub amount: Option<Drive>,
    /// On which features.
    pub features: Features,
    /// How maps go on beyond their edges.
    pub border: Border,
    /// Where on the map.
    pub mask: Option<SceneMask>,
    /// The features that it mixes in, for a transform that does.
    pub with: Option<Features>,
}

impl SceneBend {
    /// Whether it draws features from the scene's seed.
    pub fn is_random(&self) -> bool {
        let random = |f: &Features| matches!(f, Features::Random(..));
        random(&self.features) || self.with.as_ref().is_some_and(random)
    }
}

/// Where on the map a transform of a scene works.
#[derive(Clone, Debug)]
pub struct SceneMask {
    /// Which kind.
    pub spec: &'static MaskSpec,
    /// Parameters that the file gives, by their place in the declaration.
    pub params: Vec<Option<Drive>>,
    /// The picture, where it is one.
    pub painting: Option<Arc<Painting>>,
    /// Its weights for the layer: they take a while to make.
    fitted: OnceLock<(MapShape, Arc<[f32]>)>,
}

impl SceneMask {
    /// Weights of the picture for a layer's maps.
    fn weights(&self, shape: MapShape) -> Option<Arc<[f32]>> {
        let painting = self.painting.as_ref()?;
        let (made_for, weights) = self.fitted.get_or_init(|| (shape, painting.fit(shape)));
        let plane = |s: MapShape| (s.width, s.height);
        Some(if plane(*made_for) == plane(shape) {
            Arc::clone(weights)
        } else {
            painting.fit(shape)
        })
    }
}

/// Why a scene cannot be used. Every message names the file and the key.
#[derive(Debug, thiserror::Error)]
pub enum SceneError {
    /// It cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no scene.
    #[error("{path}: {why}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line or key.
        why: String,
    },
    /// It does not fit the model or the cluster file.
    #[error("{path}: {key}: {why}", path = path.display())]
    Fit {
        /// The file.
        path: PathBuf,
        /// The key, as `transforms[2].layer`, behind its line where that is known.
        key: String,
        /// What is wrong and what would be right.
        why: String,
    },
}

impl SceneError {
    /// Puts the key's line before it.
    fn with_line(self, text: &str) -> Self {
        match self {
            Self::Fit { path, key, why } => {
                let key = match lines::find(text, &key) {
                    Some(line) => format!("line {line}: {key}"),
                    None => key,
                };
                Self::Fit { path, key, why }
            }
            other => other,
        }
    }
}

impl Scene {
    /// Reads a scene file.
    ///
    /// # Errors
    /// When it cannot be read or is no scene.
    pub fn load(path: &Path) -> Result<Self, SceneError> {
        Self::parse(&read(path)?, path)
    }

    /// Reads a scene from text; `path` names it in errors and anchors the files it names.
    ///
    /// # Errors
    /// When it is no scene.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SceneError> {
        file::parse(text, path).map_err(|error| error.with_line(text))
    }

    /// Reads a file of the papers' tool's strips: one transform, without a list and without a layer.
    /// Gives a scene for each of `layers` with that transform on it.
    ///
    /// # Errors
    /// When it cannot be read or is no such file.
    pub fn load_strip(
        path: &Path,
        layers: std::ops::Range<usize>,
    ) -> Result<Vec<Self>, SceneError> {
        file::strip(&read(path)?, path, layers)
    }

    /// The painted masks that a scene file names, whether they are there or not and whether the file
    /// is a good scene or not: to be watched.
    pub fn paintings(path: &Path) -> BTreeSet<PathBuf> {
        let text = read(path).unwrap_or_default();
        file::paintings(&text, path.parent().unwrap_or(Path::new("")))
    }

    /// A scene without transforms that stands still.
    pub fn empty(seed: u32) -> Self {
        Self {
            path: PathBuf::from("(no scene)"),
            text: Arc::default(),
            model: None,
            clusters: None,
            aspect: None,
            class: None,
            seed,
            draw: 0,
            noise: NoiseMode::Const,
            truncation: Drive::Constant(1.0),
            walk: Walk {
                route: Route::Loop(vec![seed]),
                speed: Drive::Constant(0.0),
                accent: None,
            },
            modulators: Vec::new(),
            bends: Vec::new(),
            analysis: AnalysisConfig::default(),
        }
    }

    /// Replaces the scene's seed: of the random feature choices and of the walk.
    pub fn set_seed(&mut self, seed: u32) {
        self.seed = seed;
        self.walk.route.restart(seed);
    }

    /// Draws every random feature choice anew, the same way each time from the same seed.
    pub const fn redraw(&mut self) {
        self.draw = self.draw.wrapping_add(1);
    }
}

/// Text of a scene file.
fn read(path: &Path) -> Result<String, SceneError> {
    const LARGEST_BYTES: u64 = 4 << 20;
    let io_error = |source| SceneError::Io {
        path: path.to_path_buf(),
        source,
    };
    let size = std::fs::metadata(path).map_err(io_error)?.len();
    if size > LARGEST_BYTES {
        return Err(SceneError::Format {
            path: path.to_path_buf(),
            why: format!("{size} bytes is too large for a scene file"),
        });
    }
    std::fs::read_to_string(path).map_err(io_error)
}

const _: () = assert!(
    MAX_PARAMS <= 16,
    "a patch's bends hold their numbers inline"
);
