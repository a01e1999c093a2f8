//! The papers' metric learning on a generator's layers.
//!
//! For each layer a small network ([`bendwave_metric`]) learns which feature an activation map came
//! from; its bottleneck is what features are grouped by. Trained networks are kept in files, and are
//! used in every build. Training needs the feature `metric-learning`.

mod kept;
#[cfg(feature = "metric-learning")]
mod learn;
mod learned;
#[cfg(feature = "metric-learning")]
mod maps;
mod quality;

pub use kept::{Kept, KeptLayer};
#[cfg(feature = "metric-learning")]
pub use learn::{Learner, Outcome};
pub use learned::Learned;
pub use quality::{Quality, Recipe};

use super::ClusteringError;
use crate::tensor::MapShape;

/// Called with a layer and its maps, channel after channel.
pub type See<'a> = &'a mut dyn FnMut(usize, &[f32]);

/// Where maps come from: a generator's pictures, or made up.
pub trait Pictures {
    /// Shape of a layer's maps.
    fn shape(&self, layer: usize) -> MapShape;

    /// Shows all layers' maps of the `index`-th picture. The same index gives the same picture.
    ///
    /// # Errors
    /// When the network fails.
    fn picture(&mut self, index: usize, see: See<'_>) -> Result<(), ClusteringError>;
}

/// Indices of the pictures that networks are tried on, far from those that they learn from.
pub const HELD_OUT: usize = 1 << 31;
