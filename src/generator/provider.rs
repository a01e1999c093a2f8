//! What runs the segments: ONNX Runtime's execution providers.

use crate::generator::Runtime;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::Session;
use std::fmt;
use std::str::FromStr;

/// An execution provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// NVIDIA TensorRT.
    TensorRt,
    /// NVIDIA CUDA.
    Cuda,
    /// Apple Core ML.
    CoreMl,
    /// Microsoft DirectML.
    DirectMl,
    /// The CPU.
    Cpu,
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderChoice {
    /// The best that really loads.
    #[default]
    Auto,
    /// This one or an error.
    Only(Provider),
}

/// Which provider runs, and why not a better one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderReport {
    /// The provider in use.
    pub provider: Provider,
    /// Better ones that were tried, each with the reason it was passed over.
    pub passed_over: Vec<(Provider, String)>,
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Workload {
    /// A frame after another: memory once taken is kept.
    Show,
    /// Beside the show: the thread that calls it does the work, at its priority.
    Aside,
    /// A few runs: memory is given back after each. A network of 1024 px takes a third of the
    /// memory then, and more time.
    Once,
}

impl Provider {
    /// All, best first.
    pub const ALL: [Self; 5] = [
        Self::TensorRt,
        Self::Cuda,
        Self::CoreMl,
        Self::DirectMl,
        Self::Cpu,
    ];

    /// Name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TensorRt => "tensorrt",
            Self::Cuda => "cuda",
            Self::CoreMl => "coreml",
            Self::DirectMl => "directml",
            Self::Cpu => "cpu",
        }
    }

    /// Whether the loaded library was built with it (its own libraries may still be missing).
    pub fn built_in(self, _loaded: &Runtime) -> bool {
        match self {
            Self::TensorRt => ep::TensorRT::is_available(),
            Self::Cuda => ep::CUDA::is_available(),
            Self::CoreMl => ep::CoreML::is_available(),
            Self::DirectMl => ep::DirectML::is_available(),
            Self::Cpu => return true,
        }
        .unwrap_or(false)
    }

    fn dispatch(self, workload: Workload) -> Option<ExecutionProviderDispatch> {
        let dispatch = match self {
            Self::TensorRt => {
                // Engines take long to build: keep them.
                let cache = dirs::cache_dir().map(|d| d.join("bendwave").join("tensorrt"));
                let mut trt = ep::TensorRT::default();
                if let Some(cache) = cache.filter(|c| std::fs::create_dir_all(c).is_ok()) {
                    let cache = cache.display().to_string();
                    trt = trt
                        .with_engine_cache(true)
                        .with_engine_cache_path(cache.clone())
                        .with_timing_cache(true)
                        .with_timing_cache_path(cache);
                }
                trt.build()
            }
            Self::Cuda => ep::CUDA::default().build(),
            Self::CoreMl => ep::CoreML::default().build(),
            Self::DirectMl => ep::DirectML::default().build(),
            Self::Cpu if workload == Workload::Once => {
                ep::CPU::default().with_arena_allocator(false).build()
            }
            Self::Cpu => return None,
        };
        // Without this, a provider that cannot load is passed over in silence.
        Some(dispatch.error_on_failure())
    }

    /// Makes a session from an ONNX file's bytes. `dims` fixes the graph's named dimensions, so that
    /// the provider plans for known shapes.
    pub(super) fn session(
        self,
        runtime: &Runtime,
        onnx: &[u8],
        dims: &[(String, usize)],
        workload: Workload,
    ) -> Result<Session, String> {
        use ort::session::builder::GraphOptimizationLevel;
        let mut builder = Session::builder(runtime.environment())
            .map_err(|e| e.to_string())?
            .with_optimization_level(GraphOptimizationLevel::Level3)
            .map_err(|e| e.to_string())?;
        for (name, size) in dims {
            builder = builder
                .with_dimension_override(name, *size as i64)
                .map_err(|e| e.to_string())?;
        }
        if workload == Workload::Aside {
            builder = builder
                .with_independent_thread_pool()
                .map_err(|e| e.to_string())?
                .with_intra_threads(1)
                .map_err(|e| e.to_string())?;
        }
        if let Some(dispatch) = self.dispatch(workload) {
            builder = builder
                .with_execution_providers([dispatch])
                .map_err(|e| e.to_string())?;
        }
        builder.commit_from_memory(onnx).map_err(|e| e.to_string())
    }
}

impl ProviderChoice {
    /// The providers to try, in order.
    pub(super) fn candidates(self) -> Vec<Provider> {
        match self {
            Self::Auto => Provider::ALL.to_vec(),
            Self::Only(provider) => vec![provider],
        }
    }
}

impl FromStr for ProviderChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        Provider::ALL
            .into_iter()
            .find(|p| p.name() == text)
            .map(Self::Only)
            .ok_or_else(|| "one of auto, tensorrt, cuda, coreml, directml, cpu".to_owned())
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for ProviderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.provider)?;
        for (i, (provider, why)) in self.passed_over.iter().enumerate() {
            let sign = if i == 0 { " (" } else { "; " };
            write!(f, "{sign}not {provider}: {why}")?;
        }
        if !self.passed_over.is_empty() {
            write!(f, ")")?;
        }
        Ok(())
    }
}
