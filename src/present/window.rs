//! The event loop of the window.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::TrySendError;
use winit::application::ApplicationHandler;
use winit::dpi::{PhysicalPosition, PhysicalSize};
use winit::event::{ElementState, KeyEvent, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop};
use winit::monitor::MonitorHandle;
use winit::window::{Fullscreen, Window, WindowId};

use super::keys::{self, Action};
use super::overlay::{self, Content, Painted, Shown, WindowStats};
use super::surface::{Canvas, Drawn};
use super::{Command, Ended, Links, PresentError, PresentOptions, Report, Stats, monitor};
use crate::frame::SharedFrame;

/// How often to look for a new picture once the monitor could show one.
const POLL: Duration = Duration::from_millis(2);
/// Wait before another try when nothing can be shown.
const HIDDEN: Duration = Duration::from_millis(100);
/// Shortest time between two tries to open a device.
const REBUILD: Duration = Duration::from_secs(1);
/// What a window manager gets to place a window.
const PLACE_GRACE: Duration = Duration::from_millis(400);

/// The loop of this process.
pub(super) fn event_loop() -> Result<EventLoop<()>, PresentError> {
    let mut builder = EventLoop::builder();
    // X11 and Wayland have no rule about threads; it lets a test open a window.
    #[cfg(target_os = "linux")]
    winit::platform::x11::EventLoopBuilderExtX11::with_any_thread(&mut builder, true);
    builder
        .build()
        .map_err(|error| PresentError::NoDisplay(error.to_string()))
}

pub(super) fn run(options: PresentOptions, links: Links) -> Result<Report, PresentError> {
    let event_loop = event_loop()?;
    let now = Instant::now();
    let mut app = App {
        shown: Shown {
            stats: options.stats,
            meters: options.meters,
            help: false,
        },
        fullscreen: options.fullscreen,
        options,
        links,
        window: None,
        canvas: None,
        rebuild_at: now,
        monitor: None,
        interval: monitor::interval(None),
        frame: None,
        stats: Stats::default(),
        black: false,
        paused: false,
        dirty: true,
        upload: false,
        measured: 0,
        painted: None,
        layout_at: now,
        draw_at: now,
        place_check_at: None,
        meter: Meter::new(now),
        devices_lost: 0,
        started: now,
        outcome: None,
    };
    let ran = event_loop.run_app(&mut app);
    app.send(Command::Quit);
    let ended = match (app.outcome, ran) {
        (Some(outcome), _) => outcome?,
        (None, Ok(())) => Ended::ByPerformer,
        (None, Err(error)) => return Err(PresentError::EventLoop(error.to_string())),
    };
    Ok(Report {
        ended,
        drawn: app.meter.total,
        devices_lost: app.devices_lost,
    })
}

/// Pictures a second, over about a second.
struct Meter {
    since: Instant,
    count: u32,
    fps: f32,
    total: u64,
}

impl Meter {
    fn new(since: Instant) -> Self {
        Self {
            since,
            count: 0,
            fps: 0.0,
            total: 0,
        }
    }

    fn add(&mut self, now: Instant) {
        self.count += 1;
        self.total += 1;
        self.settle(now);
    }

    fn settle(&mut self, now: Instant) {
        let passed = now.duration_since(self.since).as_secs_f32();
        if passed >= 1.0 {
            self.fps = self.count as f32 / passed;
            (self.since, self.count) = (now, 0);
        }
    }
}

struct App {
    options: PresentOptions,
    links: Links,
    window: Option<Arc<Window>>,
    canvas: Option<Canvas>,
    rebuild_at: Instant,
    /// The monitor chosen by number.
    monitor: Option<MonitorHandle>,
    /// Time between two pictures of the monitor.
    interval: Duration,
    /// The newest picture, for a canvas built anew.
    frame: Option<SharedFrame>,
    stats: Stats,
    shown: Shown,
    fullscreen: bool,
    black: bool,
    paused: bool,
    /// The window does not show what it should.
    dirty: bool,
    /// `frame` is not on the GPU yet.
    upload: bool,
    /// The picture whose way was measured last.
    measured: u64,
    painted: Option<Painted>,
    layout_at: Instant,
    /// The monitor shows no other picture before.
    draw_at: Instant,
    place_check_at: Option<Instant>,
    meter: Meter,
    devices_lost: u32,
    started: Instant,
    outcome: Option<Result<Ended, PresentError>>,
}

impl App {
    fn send(&self, command: Command) {
        match self.links.commands.try_send(command) {
            // Nobody listens any more: the others left first.
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(command)) => {
                log::warn!("{command:?} is lost: the engine does not keep up with the keys");
            }
        }
    }

    fn leave(&mut self, event_loop: &ActiveEventLoop, outcome: Result<Ended, PresentError>) {
        self.outcome.get_or_insert(outcome);
        event_loop.exit();
    }

    fn open(&mut self, event_loop: &ActiveEventLoop) -> Result<(), PresentError> {
        let monitors = monitor::list(event_loop);
        self.monitor = match self.options.monitor {
            None => event_loop.primary_monitor(),
            Some(wanted) => match monitors.iter().find(|(m, _)| m.index == wanted) {
                Some((_, handle)) => Some(handle.clone()),
                None => {
                    let available = monitors.into_iter().map(|found| found.0).collect();
                    return Err(PresentError::NoMonitor { wanted, available });
                }
            },
        };
        let (width, height) = self.options.window_size;
        let mut attributes = Window::default_attributes()
            .with_title(&self.options.title)
            .with_inner_size(PhysicalSize::new(width.max(1), height.max(1)));
        if self.fullscreen {
            attributes =
                attributes.with_fullscreen(Some(Fullscreen::Borderless(self.monitor.clone())));
        } else if let (Some(_), Some(monitor)) = (self.options.monitor, &self.monitor) {
            let (at, size) = (monitor.position(), monitor.size());
            let middle =
                |at: i32, whole: u32, part: u32| at + whole.saturating_sub(part) as i32 / 2;
            attributes = attributes.with_position(PhysicalPosition::new(
                middle(at.x, size.width, width),
                middle(at.y, size.height, height),
            ));
        }
        let window = event_loop
            .create_window(attributes)
            .map_err(|error| PresentError::Window(error.to_string()))?;
        let window = Arc::new(window);
        self.canvas = Some(Canvas::new(&window, &self.options.adapter)?);
        self.window = Some(window);
        self.placed();
        self.read_interval();
        Ok(())
    }

    fn placed(&mut self) {
        let Some(window) = &self.window else { return };
        window.set_cursor_visible(!self.fullscreen);
        self.place_check_at = Some(Instant::now() + PLACE_GRACE);
    }

    fn toggle_fullscreen(&mut self) {
        self.fullscreen = !self.fullscreen;
        let Some(window) = &self.window else { return };
        if self.fullscreen {
            // Where the window is now, unless a monitor was asked for.
            let chosen = self.options.monitor.and(self.monitor.clone());
            let target = chosen.or_else(|| window.current_monitor());
            window.set_fullscreen(Some(Fullscreen::Borderless(target)));
        } else {
            window.set_fullscreen(None);
            let (width, height) = self.options.window_size;
            if window
                .request_inner_size(PhysicalSize::new(width.max(1), height.max(1)))
                .is_none()
            {
                log::debug!("the window's size follows by an event");
            }
        }
        self.placed();
        self.dirty = true;
    }

    /// Asks for the keyboard if it went elsewhere. Without a window manager (a bare X server that
    /// only plays) nobody makes windows fullscreen: then the window takes the monitor's place
    /// itself.
    fn check_place(&mut self, now: Instant) {
        if self.place_check_at.is_none_or(|at| now < at) {
            return;
        }
        self.place_check_at = None;
        let Some(window) = &self.window else { return };
        if !window.has_focus() {
            window.focus_window();
        }
        let chosen = self.options.monitor.and(self.monitor.clone());
        let Some(monitor) = chosen.or_else(|| window.current_monitor()) else {
            return;
        };
        if !self.fullscreen || window.inner_size() == monitor.size() {
            return;
        }
        log::info!("no window manager makes the window fullscreen: it takes the monitor's place");
        window.set_outer_position(monitor.position());
        if window.request_inner_size(monitor.size()).is_none() {
            log::debug!("the window's size follows by an event");
        }
    }

    fn read_interval(&mut self) {
        let current = self.window.as_ref().and_then(|w| w.current_monitor());
        self.interval = monitor::interval(current.or_else(|| self.monitor.clone()).as_ref());
    }

    /// Builds the canvas anew where it is gone.
    fn revive(&mut self, now: Instant) {
        let Some(window) = &self.window else { return };
        if self.canvas.is_some() || now < self.rebuild_at {
            return;
        }
        // At most once a second, whether it fails or is lost again at once.
        self.rebuild_at = now + REBUILD;
        match Canvas::new(window, &self.options.adapter) {
            Ok(canvas) => {
                log::info!("the window draws again, on {}", canvas.adapter());
                self.canvas = Some(canvas);
                self.devices_lost += 1;
                self.upload = self.frame.is_some();
                self.painted = None;
                self.dirty = true;
            }
            Err(error) => log::warn!("{error}; trying again"),
        }
    }

    fn draw(&mut self) {
        let (Some(window), Some(canvas)) = (&self.window, &mut self.canvas) else {
            return;
        };
        let now = Instant::now();
        if self.upload
            && let Some(frame) = &self.frame
        {
            canvas.upload(frame);
            self.upload = false;
        }
        if !self.shown.any() {
            self.painted = None;
        } else if self.painted.is_none() || now >= self.layout_at {
            if let Some(stats) = self.links.stats.read_new() {
                self.stats.clone_from(stats);
            }
            self.meter.settle(now);
            let size = window.inner_size();
            let own = WindowStats {
                shown_fps: self.meter.fps,
                picture: canvas.picture_size(),
                window: (size.width, size.height),
                adapter: canvas.adapter().to_owned(),
                black: self.black,
                paused: self.paused,
            };
            let scale = window.scale_factor() as f32;
            let heard = self.links.heard.read();
            let content = Content {
                shown: self.shown,
                stats: &self.stats,
                heard,
                own: &own,
            };
            self.painted = Some(canvas.layout(&content, scale));
            self.layout_at = now + overlay::until_next(self.shown, &self.stats, now);
        }
        match canvas.draw(window, self.black, self.painted.as_ref()) {
            Drawn::Shown => {
                self.dirty = false;
                self.meter.add(now);
                if let Some(frame) = self.frame.as_ref().filter(|f| self.measured != f.index) {
                    self.measured = frame.index;
                    self.links
                        .latency
                        .shown(frame.began.elapsed(), self.interval);
                }
                // A hair less than the monitor's interval: where the surface waits for the
                // monitor, we are there in time; where it does not, this is the only brake.
                self.draw_at = (self.draw_at + self.interval.mul_f64(0.99)).max(now);
            }
            Drawn::Skipped => self.draw_at = now + HIDDEN,
            Drawn::Again => self.draw_at = now,
            Drawn::Lost => {
                self.canvas = None;
                self.painted = None;
            }
        }
    }

    fn act(&mut self, action: Action, event_loop: &ActiveEventLoop) {
        self.dirty = true;
        self.layout_at = Instant::now();
        match action {
            Action::Leave => self.leave(event_loop, Ok(Ended::ByPerformer)),
            Action::ToggleFullscreen => self.toggle_fullscreen(),
            Action::ToggleStats => self.shown.stats = !self.shown.stats,
            Action::ToggleMeters => self.shown.meters = !self.shown.meters,
            Action::ToggleHelp => self.shown.help = !self.shown.help,
            Action::ToggleBlackout => {
                self.black = !self.black;
                self.send(Command::Blackout(self.black));
            }
            Action::TogglePause => {
                self.paused = !self.paused;
                self.send(Command::Pause(self.paused));
            }
            Action::NextSeed => self.send(Command::NextSeed),
            Action::Clock(action) => self.send(Command::Clock(action, Instant::now())),
            Action::Recluster => self.send(Command::Recluster),
            Action::Redraw => self.send(Command::Redraw),
            Action::SaveLatent => self.send(Command::SaveLatent),
        }
    }
}

impl ApplicationHandler for App {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.window.is_some() {
            return;
        }
        if let Err(error) = self.open(event_loop) {
            self.leave(event_loop, Err(error));
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => self.leave(event_loop, Ok(Ended::ByPerformer)),
            WindowEvent::RedrawRequested => self.draw(),
            WindowEvent::Resized(size) => {
                if let Some(canvas) = &mut self.canvas {
                    canvas.resize(size.width, size.height);
                }
                // Laid out for the old size.
                self.painted = None;
                self.dirty = true;
                self.draw_at = Instant::now();
                self.read_interval();
            }
            WindowEvent::Moved(_) => self.read_interval(),
            WindowEvent::ScaleFactorChanged { .. } => {
                self.painted = None;
                self.dirty = true;
            }
            WindowEvent::Occluded(false) => self.dirty = true,
            WindowEvent::KeyboardInput {
                event:
                    KeyEvent {
                        logical_key,
                        physical_key,
                        state: ElementState::Pressed,
                        repeat: false,
                        ..
                    },
                ..
            } => {
                if let Some(action) = keys::action(&logical_key, physical_key) {
                    self.act(action, event_loop);
                }
            }
            _ => {}
        }
    }

    fn exiting(&mut self, _: &ActiveEventLoop) {
        // While the connection to the display still stands.
        self.canvas = None;
        self.window = None;
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let now = Instant::now();
        if self.links.stop.load(Ordering::Relaxed) {
            self.leave(event_loop, Ok(Ended::Stopped));
            return;
        }
        if self
            .options
            .duration
            .is_some_and(|limit| now.duration_since(self.started) >= limit)
        {
            self.leave(event_loop, Ok(Ended::Duration));
            return;
        }
        if let Some(after) = self.options.lose_device_after
            && now.duration_since(self.started) >= after
            && let Some(canvas) = &self.canvas
        {
            canvas.lose();
            self.options.lose_device_after = None;
        }
        self.check_place(now);
        self.revive(now);
        if now >= self.draw_at {
            if let Some(frame) = self.links.frames.read_new() {
                self.frame = Some(Arc::clone(frame));
                (self.upload, self.dirty) = (true, true);
            }
            self.dirty |= self.shown.any() && now >= self.layout_at;
            if self.dirty
                && self.canvas.is_some()
                && let Some(window) = &self.window
            {
                window.request_redraw();
            }
        }
        let wake = if now < self.draw_at {
            self.draw_at
        } else {
            now + POLL
        };
        event_loop.set_control_flow(ControlFlow::WaitUntil(wake));
    }
}
