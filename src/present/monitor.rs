//! Monitors, as `bendwave devices` lists them.

use std::fmt;
use std::time::Duration;

use winit::application::ApplicationHandler;
use winit::event::WindowEvent;
use winit::event_loop::ActiveEventLoop;
use winit::monitor::MonitorHandle;
use winit::window::WindowId;

use super::{PresentError, window};

/// A monitor. Sizes are pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// Number for `--monitor`, from 0.
    pub index: usize,
    /// As the system calls it; may be empty.
    pub name: String,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Left edge on the desktop.
    pub x: i32,
    /// Upper edge on the desktop.
    pub y: i32,
    /// Pictures a second, in Hz, where known.
    pub refresh_hz: Option<f64>,
    /// Pixels per logical pixel.
    pub scale: f64,
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            name,
            width,
            height,
            ..
        } = self;
        write!(f, "{index}: {name} {width}x{height}")?;
        if let Some(hz) = self.refresh_hz {
            write!(f, " {hz:.2} Hz")?;
        }
        write!(f, " at {},{}", self.x, self.y)
    }
}

pub(super) fn list(event_loop: &ActiveEventLoop) -> Vec<(Monitor, MonitorHandle)> {
    event_loop
        .available_monitors()
        .enumerate()
        .map(|(index, handle)| {
            let monitor = Monitor {
                index,
                name: handle.name().unwrap_or_default(),
                width: handle.size().width,
                height: handle.size().height,
                x: handle.position().x,
                y: handle.position().y,
                refresh_hz: refresh_hz(&handle),
                scale: handle.scale_factor(),
            };
            (monitor, handle)
        })
        .collect()
}

fn refresh_hz(handle: &MonitorHandle) -> Option<f64> {
    let hz = f64::from(handle.refresh_rate_millihertz()?) / 1000.0;
    (1.0..=1000.0).contains(&hz).then_some(hz)
}

/// Time between two pictures of the monitor; that of 60 Hz where it is not known.
pub(super) fn interval(handle: Option<&MonitorHandle>) -> Duration {
    let hz = handle.and_then(refresh_hz).unwrap_or(60.0);
    Duration::from_secs_f64(1.0 / hz)
}

/// The monitors of this desktop. Call it on the main thread, and not in a process that also
/// presents: the system allows one event loop a process.
///
/// # Errors
/// [`PresentError::NoDisplay`].
pub fn monitors() -> Result<Vec<Monitor>, PresentError> {
    struct Lister(Vec<Monitor>);
    impl ApplicationHandler for Lister {
        fn resumed(&mut self, event_loop: &ActiveEventLoop) {
            self.0 = list(event_loop).into_iter().map(|found| found.0).collect();
            event_loop.exit();
        }
        fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, _: WindowEvent) {}
    }
    let mut lister = Lister(Vec::new());
    window::event_loop()?
        .run_app(&mut lister)
        .map_err(|error| PresentError::EventLoop(error.to_string()))?;
    Ok(lister.0)
}
