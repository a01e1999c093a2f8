//! Where tensors between segments live: the one place that decides it.
//!
//! Today that is host memory for every provider. Segments write into tensors that are allocated
//! once, the next segment reads the same memory, and bends work on it in place. A residence in
//! CUDA memory shared with Vulkan would be a second variant here and in
//! [`FeatureMaps`](crate::tensor::FeatureMaps); neither the chain nor the bends would change.

use crate::generator::Provider;
use crate::tensor::{FeatureMaps, MapShape};
use ort::memory::Allocator;
use ort::session::IoBinding;
use ort::value::Tensor;

/// Where feature maps live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Residence {
    /// Host memory that the sessions read in place.
    Host,
    /// Host memory that a device's sessions copy from: inputs are bound again for each run.
    HostOfDevice,
}

/// A tensor that one segment writes and the next reads.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tensor: Tensor<f32>,
    dims: Vec<usize>,
}

impl Residence {
    pub(super) const fn of(provider: Provider) -> Self {
        match provider {
            Provider::Cpu => Self::Host,
            _ => Self::HostOfDevice,
        }
    }

    /// Memory for a tensor, zeroed.
    pub(super) fn allocate(self, dims: &[usize]) -> ort::Result<Shared> {
        let dims64: Vec<i64> = dims.iter().map(|&n| n as i64).collect();
        let mut tensor = Tensor::<f32>::new(&Allocator::default(), dims64)?;
        tensor.extract_tensor_mut().1.fill(0.0);
        Ok(Shared {
            tensor,
            dims: dims.to_vec(),
        })
    }

    /// Makes a run see the tensor's present values. Where sessions read host memory in place, the
    /// first binding is enough.
    pub(super) fn refresh(
        self,
        binding: &mut IoBinding,
        name: &str,
        shared: &Shared,
    ) -> ort::Result<()> {
        match self {
            Self::Host => Ok(()),
            Self::HostOfDevice => binding.bind_input(name, &shared.tensor),
        }
    }
}

impl Shared {
    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub(super) fn values(&self) -> &[f32] {
        self.tensor.extract_tensor().1
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        self.tensor.extract_tensor_mut().1
    }

    /// As a layer's feature maps, \[1, C, H, W\].
    pub(super) fn maps(&mut self) -> FeatureMaps<'_> {
        let shape = MapShape {
            channels: self.dims[1],
            height: self.dims[2],
            width: self.dims[3],
        };
        FeatureMaps::Host {
            data: self.values_mut(),
            shape,
        }
    }
}
