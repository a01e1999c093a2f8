//! Why there is no window.

use super::Monitor;
use crate::gpu::GpuError;

/// Why presenting failed.
#[derive(Debug, thiserror::Error)]
pub enum PresentError {
    /// No display to open a window on.
    #[error(
        "no display: {0}. Start in a graphical session (on Linux DISPLAY or WAYLAND_DISPLAY says \
         where), or render to a file"
    )]
    NoDisplay(String),
    /// The chosen monitor is not there.
    #[error("no monitor {wanted}; there is {}", listed(available))]
    NoMonitor {
        /// The number asked for.
        wanted: usize,
        /// What there is.
        available: Vec<Monitor>,
    },
    /// The window could not be opened.
    #[error(
        "the window cannot be opened: {0} (without a graphics driver, a software one will do: on Debian mesa-vulkan-drivers)"
    )]
    Window(String),
    /// No adapter draws in this window.
    #[error("nothing can draw in the window: {0}")]
    Gpu(#[from] GpuError),
    /// The windowing system ended.
    #[error("the window system failed: {0}")]
    EventLoop(String),
}

fn listed(available: &[Monitor]) -> String {
    let names: Vec<String> = available.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join("; ")
    }
}
