//! The network: a model folder's segments, run one after another through ONNX Runtime.
//!
//! [`Runtime`] finds and loads the library, [`Provider`] chooses what runs the segments,
//! [`Generator`] runs them, [`latent`] makes and reads z and w, [`manifest`] describes the folder.
//! Where feature maps live is decided in `residence` alone.

mod aspect;
mod chain;
mod files;
pub mod latent;
pub mod manifest;
mod noise;
pub mod npy;
mod provider;
mod residence;
mod runs;
mod runtime;
mod whole;

pub use aspect::{Aspect, Fill};
pub use chain::{Generator, GeneratorError, RunOptions};
pub use files::check_folder;
pub use noise::NoiseMode;
pub use provider::{Provider, ProviderChoice, ProviderReport};
pub use runs::{BoundRuns, RunMaker, RunPlan, Runs};
pub use runtime::{Runtime, RuntimeError};
pub use whole::{FusedGenerator, MatrixProduct, evaluate};
