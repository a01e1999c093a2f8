//! Choosing an adapter and opening a device on it.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What it takes to have stages timed by the GPU.
const TIMES: wgpu::Features =
    wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS);

/// How long a submission may take before the GPU counts as hung.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which adapter to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdapterChoice {
    /// The fastest kind there is: discrete, then integrated, then virtual, then software.
    #[default]
    Auto,
    /// By its place in [`adapters`].
    Index(usize),
    /// The first whose name contains this, whatever the case.
    Name(String),
}

impl FromStr for AdapterChoice {
    type Err = std::convert::Infallible;

    /// `auto`, a number, or a part of a name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.trim() {
            "" | "auto" => Self::Auto,
            other => other
                .parse()
                .map_or_else(|_| Self::Name(other.to_owned()), Self::Index),
        })
    }
}

impl fmt::Display for AdapterChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// What a list of devices shows of an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterDescription {
    /// Its place in the list, for [`AdapterChoice::Index`].
    pub index: usize,
    /// As the driver calls it.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// Driver and its version; may be empty.
    pub driver: String,
}

impl AdapterDescription {
    fn new(index: usize, info: &wgpu::AdapterInfo) -> Self {
        Self {
            index,
            name: info.name.clone(),
            backend: info.backend.to_string(),
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => "discrete",
                wgpu::DeviceType::IntegratedGpu => "integrated",
                wgpu::DeviceType::VirtualGpu => "virtual",
                wgpu::DeviceType::Cpu => "software",
                wgpu::DeviceType::Other => "other",
            },
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .to_owned(),
        }
    }
}

impl fmt::Display for AdapterDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.backend, self.kind)
    }
}

/// Why there is no GPU, or why it failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter at all.
    #[error(
        "no GPU adapter found: install a Vulkan driver (the package mesa-vulkan-drivers has a software one)"
    )]
    NoAdapter,
    /// No adapter as chosen.
    #[error("no GPU adapter `{choice}`{surface}; there is {}", listed(available), surface = if *.for_window { " that can show this window" } else { "" })]
    NotFound {
        /// What was asked for.
        choice: AdapterChoice,
        /// Whether it also had to present to a window.
        for_window: bool,
        /// What there is.
        available: Vec<AdapterDescription>,
    },
    /// The device could not be opened.
    #[error("GPU adapter {adapter}: no device: {reason}")]
    Open {
        /// Which adapter.
        adapter: AdapterDescription,
        /// Why.
        reason: String,
    },
    /// The device is gone: driver reset, unplugged.
    #[error("GPU device lost: {0}")]
    Lost(String),
    /// Out of memory.
    #[error("GPU out of memory: {0}")]
    OutOfMemory(String),
    /// A call that the GPU refused, or an error within the driver.
    #[error("GPU error: {0}")]
    Failed(String),
    /// A submission did not finish.
    #[error("GPU did not finish within {} s", PATIENCE.as_secs())]
    Timeout,
}

fn listed(available: &[AdapterDescription]) -> String {
    let names: Vec<String> = available
        .iter()
        .map(|a| format!("{}: {a}", a.index))
        .collect();
    names.join("; ")
}

/// A wgpu instance with every backend that this build has. Surfaces of a window can be made from
/// it: Vulkan, Metal and DX12 need no display handle beforehand.
pub fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle())
}

fn enumerate(instance: &wgpu::Instance) -> Vec<wgpu::Adapter> {
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()))
}

/// All adapters, for `bendwave devices`. The order is the one [`AdapterChoice::Index`] counts.
pub fn adapters() -> Vec<AdapterDescription> {
    describe(&enumerate(&instance()))
}

fn describe(adapters: &[wgpu::Adapter]) -> Vec<AdapterDescription> {
    adapters
        .iter()
        .enumerate()
        .map(|(index, adapter)| AdapterDescription::new(index, &adapter.get_info()))
        .collect()
}

/// Picks an adapter; with a surface, one that can present to it.
///
/// # Errors
/// [`GpuError::NoAdapter`] or [`GpuError::NotFound`].
pub fn pick(
    instance: &wgpu::Instance,
    choice: &AdapterChoice,
    surface: Option<&wgpu::Surface<'_>>,
) -> Result<wgpu::Adapter, GpuError> {
    let mut adapters = enumerate(instance);
    if adapters.is_empty() {
        return Err(GpuError::NoAdapter);
    }
    let available = describe(&adapters);
    let fits = |index: &usize| surface.is_none_or(|s| adapters[*index].is_surface_supported(s));
    let chosen = choose(choice, &available, fits);
    match chosen {
        Some(index) => Ok(adapters.swap_remove(index)),
        None => Err(GpuError::NotFound {
            choice: choice.clone(),
            for_window: surface.is_some(),
            available,
        }),
    }
}

fn choose(
    choice: &AdapterChoice,
    available: &[AdapterDescription],
    fits: impl Fn(&usize) -> bool,
) -> Option<usize> {
    let mut fitting = (0..available.len()).filter(|index| fits(index));
    match choice {
        AdapterChoice::Auto => fitting.min_by_key(|&index| match available[index].kind {
            "discrete" => 0,
            "integrated" => 1,
            "virtual" => 2,
            "other" => 3,
            _ => 4,
        }),
        AdapterChoice::Index(wanted) => fitting.find(|index| index == wanted),
        AdapterChoice::Name(part) => {
            let part = part.to_lowercase();
            fitting.find(|&index| available[index].name.to_lowercase().contains(&part))
        }
    }
}

/// First error that nobody asked for yet, and whether the device is gone for good.
#[derive(Debug, Default)]
struct Faults {
    first: Option<GpuError>,
    lost: Option<GpuError>,
}

/// An open device. Shared by reference counting; all its methods take `&self`.
#[derive(Debug)]
pub struct Gpu {
    adapter: AdapterDescription,
    device: wgpu::Device,
    queue: wgpu::Queue,
    faults: Arc<Mutex<Faults>>,
}

impl Gpu {
    /// Opens the chosen adapter.
    ///
    /// # Errors
    /// When there is none or it gives no device. The caller then bends on the CPU.
    pub fn new(choice: &AdapterChoice) -> Result<Self, GpuError> {
        Self::open(&pick(&instance(), choice, None)?)
    }

    /// Opens an adapter with all its limits.
    ///
    /// # Errors
    /// [`GpuError::Open`].
    pub fn open(adapter: &wgpu::Adapter) -> Result<Self, GpuError> {
        let description = AdapterDescription::new(0, &adapter.get_info());
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("bendwave"),
            // Only benchmarks use them.
            required_features: adapter.features() & TIMES,
            required_limits: adapter.limits(),
            ..Default::default()
        }))
        .map_err(|error| GpuError::Open {
            adapter: description.clone(),
            reason: error.to_string(),
        })?;
        let faults = Arc::new(Mutex::new(Faults::default()));
        let uncaptured = Arc::clone(&faults);
        device.on_uncaptured_error(Arc::new(move |error| {
            let mut faults = uncaptured.lock().unwrap_or_else(PoisonError::into_inner);
            faults.first.get_or_insert(match error {
                wgpu::Error::OutOfMemory { source } => GpuError::OutOfMemory(source.to_string()),
                other => GpuError::Failed(other.to_string()),
            });
        }));
        let lost = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, text| {
            let mut faults = lost.lock().unwrap_or_else(PoisonError::into_inner);
            faults.lost = Some(GpuError::Lost(format!("{reason:?} {text}")));
        });
        Ok(Self {
            adapter: description,
            device,
            queue,
            faults,
        })
    }

    /// The adapter it runs on.
    pub const fn adapter(&self) -> &AdapterDescription {
        &self.adapter
    }

    /// Whether the adapter is the CPU in disguise: slower there than code made for it.
    pub fn is_software(&self) -> bool {
        self.adapter.kind == "software"
    }

    /// Whether it can say when a command began and ended.
    pub fn tells_time(&self) -> bool {
        self.device.features().contains(TIMES)
    }

    /// The device.
    pub const fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// Its queue.
    pub const fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Reports, once, the first error since the last call that wgpu did not return from a call; a
    /// lost device stays lost.
    ///
    /// # Errors
    /// That error.
    pub fn check(&self) -> Result<(), GpuError> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lost) = &faults.lost {
            return Err(lost.clone());
        }
        faults.first.take().map_or(Ok(()), Err)
    }

    /// Waits until a submission is done and the callbacks of its mappings have run.
    ///
    /// # Errors
    /// When it does not finish within 5 s, the device is lost, or an earlier call failed.
    pub fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), GpuError> {
        let poll = self.device.poll(wgpu::PollType::Wait {
            submission_index: Some(submission),
            timeout: Some(PATIENCE),
        });
        self.check()?;
        match poll {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => Err(GpuError::Timeout),
            Err(other) => Err(GpuError::Failed(other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AdapterChoice, AdapterDescription, choose};

    fn adapter(index: usize, name: &str, kind: &'static str) -> AdapterDescription {
        AdapterDescription {
            index,
            name: name.to_owned(),
            backend: "vulkan".to_owned(),
            kind,
            driver: String::new(),
        }
    }

    #[test]
    fn adapters_are_chosen_by_kind_index_or_name() {
        let list = [
            adapter(0, "llvmpipe (LLVM 15)", "software"),
            adapter(1, "Intel UHD", "integrated"),
            adapter(2, "NVIDIA GeForce", "discrete"),
        ];
        let by = |text: &str, fits: fn(&usize) -> bool| {
            let choice: AdapterChoice = text.parse().unwrap();
            choose(&choice, &list, fits)
        };
        assert_eq!(by("auto", |_| true), Some(2));
        assert_eq!(by("auto", |index| *index != 2), Some(1));
        assert_eq!(by("0", |_| true), Some(0));
        assert_eq!(by("0", |index| *index != 0), None);
        assert_eq!(by("LLVMpipe", |_| true), Some(0));
        assert_eq!(by("arc", |_| true), None);
        assert_eq!(by("7", |_| true), None);
    }
}
