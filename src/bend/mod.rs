//! Network bending: deterministic transforms of feature maps (Broad et al. 2021).
//!
//! A transform is declared once, in [`transforms`]: name, aliases, parameters with unit, range and
//! identity, shader entry and CPU twin. Everything else reads that; so it is with masks ([`mask`])
//! and borders ([`border`]). [`Bender`] carries out the bends of a layer, on the CPU or on a GPU, with
//! the same results within stated tolerances.
//!
//! # Not a number
//!
//! A chosen channel that some bend changes is read through [`cpu::clean`]: NaN is 0, magnitudes end
//! at 2⁹⁶. All other channels keep every bit.

pub mod border;
mod chain;
pub mod clusters;
pub mod cpu;
mod cpu_bender;
mod gpu_bender;
mod gpu_buffers;
mod gpu_work;
pub mod kernel;
pub mod mask;
mod memory;
mod prepare;
mod selfcheck;
mod shaders;
pub mod spec;
mod stages;
pub mod transforms;
pub mod uniform;

pub use border::Border;
pub use clusters::{ClusterError, ClusterFile, ClusterInfo};
pub use cpu_bender::CpuBender;
pub use gpu_bender::{GpuBender, SHADERS};
pub use mask::{MASKS, Mask, MaskSpec, Painting};
pub use memory::FrameTime;
pub use shaders::ShaderSources;
pub use spec::{
    Bend, Identity, MAX_PARAMS, Missing, ParamError, ParamSpec, ParamValues, Reads, TransformSpec,
};
pub use stages::StageTimes;
pub use transforms::TRANSFORMS;

use crate::gpu::{Gpu, GpuError};
use crate::tensor::{FeatureMaps, MapShape};
use std::sync::Arc;

/// Why bending failed.
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
    /// More than a shader may see at once.
    #[error("{bytes} bytes of feature maps are more than this GPU's {limit}: bend on the CPU")]
    Size {
        /// Bytes that have to be there at once.
        bytes: usize,
        /// Most bytes in a storage buffer.
        limit: usize,
    },
    /// A shader does not compile here.
    #[error("shader `{stem}`: {reason}")]
    Shader {
        /// Its file is `shaders/bend/<stem>.wgsl`.
        stem: &'static str,
        /// Why, and where.
        reason: String,
    },
    /// The GPU's results are wrong.
    #[error("{adapter} computes `{transform}` wrongly (off by {off}): bend on the CPU")]
    Untrusted {
        /// The adapter.
        adapter: String,
        /// Name of the transform.
        transform: &'static str,
        /// Greatest difference from the CPU twin.
        off: f32,
    },
    /// The GPU failed.
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

/// Carries out bends. Keeps its memory between frames.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one or two of them, made once"
)]
pub enum Bender {
    /// Through the CPU twins.
    Cpu(CpuBender),
    /// Through the shaders.
    Gpu(Box<GpuBender>),
}

impl Bender {
    /// A bender that needs no adapter.
    pub fn cpu() -> Self {
        Self::Cpu(CpuBender::default())
    }

    /// A bender on a GPU. Compiles and tries every shader, which takes a moment.
    ///
    /// # Errors
    /// When the GPU refuses something or computes nonsense. The caller then takes [`Self::cpu`].
    pub fn gpu(gpu: Arc<Gpu>) -> Result<Self, BendError> {
        Ok(Self::Gpu(Box::new(GpuBender::new(gpu)?)))
    }

    /// The same with a folder's shaders.
    ///
    /// # Errors
    /// When the GPU refuses something; errors of a shader name its file and line.
    pub fn gpu_with_shaders(gpu: Arc<Gpu>, sources: &ShaderSources) -> Result<Self, BendError> {
        let bender = GpuBender::with_shaders(gpu, sources)?;
        Ok(Self::Gpu(Box::new(bender)))
    }

    /// Where it runs, in a few words.
    pub fn name(&self) -> String {
        match self {
            Self::Cpu(_) => "CPU".to_owned(),
            Self::Gpu(bender) => bender.gpu().adapter().to_string(),
        }
    }

    /// Name of the adapter that it runs on; `None` for the CPU.
    pub fn adapter(&self) -> Option<String> {
        match self {
            Self::Cpu(_) => None,
            Self::Gpu(bender) => Some(bender.gpu().adapter().name.clone()),
        }
    }

    /// Makes room for the bends of a layer, on all of its channels, so that nothing grows on stage.
    /// To be called once with each layer that has bends.
    ///
    /// # Errors
    /// When the GPU has not that much memory.
    pub fn reserve(&mut self, shape: MapShape, bends: &[Bend]) -> Result<(), BendError> {
        match self {
            Self::Cpu(bender) => {
                bender.reserve(shape, bends);
                Ok(())
            }
            Self::Gpu(bender) => bender.reserve(shape, bends),
        }
    }

    /// Forgets what bends remember of frames before, and gives the room free: for another scene or
    /// model.
    pub fn forget(&mut self) {
        match self {
            Self::Cpu(bender) => bender.forget(),
            Self::Gpu(bender) => bender.forget(),
        }
    }

    /// Forgets what one bend remembers, by its [`Bend::id`]: for when it gets other channels, as many
    /// as before.
    pub fn restart(&mut self, id: u32) {
        match self {
            Self::Cpu(bender) => bender.restart(id),
            Self::Gpu(bender) => bender.restart(id),
        }
    }

    /// Applies the bends of one layer, in order, each to its channels.
    ///
    /// Bends that change nothing (no channels, parameters at their identity, `amount` 0) cost
    /// nothing; channels that no other bend chooses keep every bit.
    ///
    /// # Errors
    /// When maps, shape and channels do not fit together, or the GPU fails. The maps are then as
    /// before, so that another bender can take over; only where a GPU takes a layer in parts may some
    /// channels be bent already.
    pub fn apply(
        &mut self,
        maps: &mut FeatureMaps<'_>,
        bends: &[Bend],
        time: FrameTime,
    ) -> Result<(), BendError> {
        match self {
            Self::Cpu(bender) => bender.apply(maps, bends, time),
            Self::Gpu(bender) => bender.apply(maps, bends, time),
        }
    }
}
