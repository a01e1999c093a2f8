//! GPU adapters and devices through wgpu. Any adapter will do, software ones included.
//!
//! Errors of the GPU never panic: what wgpu reports outside of a call lands in [`Gpu::check`].

mod device;
pub mod shader;

pub use device::{AdapterChoice, AdapterDescription, Gpu, GpuError, adapters, instance, pick};
