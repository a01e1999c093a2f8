//! Network bending: deterministic transforms of feature maps (Broad et al. 2021).
//!
//! A transform is declared once, in [`spec`]: name, aliases, parameters with unit, range and
//! identity, shader entry and CPU twin. Everything else reads that. [`Bender`] carries out the
//! bends of a layer, on the CPU or on a GPU, with the same results within stated tolerances.
//!
//! # Not a number
//!
//! A chosen channel that some bend changes is read through [`cpu::clean`]: NaN is 0, magnitudes end
//! at 2⁹⁶. All other channels keep every bit.

mod chain;
pub mod clusters;
pub mod cpu;
mod cpu_bender;
pub mod kernel;
pub mod spec;
pub mod uniform;

pub use clusters::{ClusterError, ClusterFile};
pub use cpu_bender::CpuBender;
pub use spec::{
    Bend, MAX_PARAMS, Missing, ParamError, ParamSpec, ParamValues, TRANSFORMS, TransformSpec,
};

use crate::tensor::FeatureMaps;

/// Why bending failed. The maps are then as before, unless the text says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BendError {
    /// The maps do not fit their shape.
    #[error("feature maps of {got} values where the shape has {expected}")]
    Length {
        /// Values that the shape has.
        expected: usize,
        /// Values there are.
        got: usize,
    },
    /// A bend names a channel that the layer lacks.
    #[error(
        "`{transform}` is to bend channel {channel}, but the layer has {channels} (0 to {})",
        channels.saturating_sub(1)
    )]
    Channel {
        /// Name of the transform.
        transform: &'static str,
        /// The channel.
        channel: u32,
        /// How many the layer has.
        channels: usize,
    },
}

/// Carries out bends. Keeps its memory between frames.
#[derive(Debug)]
pub enum Bender {
    /// Through the CPU twins.
    Cpu(CpuBender),
}

impl Bender {
    /// A bender that needs no adapter.
    pub fn cpu() -> Self {
        Self::Cpu(CpuBender::default())
    }

    /// Applies the bends of one layer, in order, each to its channels.
    ///
    /// Bends that change nothing (no channels, parameters at their identity, `amount` 0) cost
    /// nothing; channels that no other bend chooses keep every bit.
    ///
    /// # Errors
    /// When maps, shape and channels do not fit together, or the GPU fails. The maps are then as
    /// before.
    pub fn apply(&mut self, maps: &mut FeatureMaps<'_>, bends: &[Bend]) -> Result<(), BendError> {
        match self {
            Self::Cpu(bender) => bender.apply(maps, bends),
        }
    }
}
