//! Numbers, messages and help over the picture, with egui.
//!
//! It only shows: the window handles keys itself, so that egui needs no input.

use std::time::{Duration, Instant};

use egui::{Align2, Color32, RichText};

use super::{Stats, keys, meters};
use crate::signal::{BEATS_PER_BAR, Beat, Snapshot};

/// Time between two layouts of the overlay. Drawing what was laid out is cheap, laying it out is
/// not, above all on a software adapter.
pub(super) const INTERVAL: Duration = Duration::from_millis(250);

/// Time until the overlay should be laid out again: [`INTERVAL`], or less where the beat's light
/// goes on or off before, or where meters move.
pub(super) fn until_next(shown: Shown, stats: &Stats, now: Instant) -> Duration {
    if shown.meters {
        return meters::INTERVAL;
    }
    let beat = beat_now(stats, now);
    if !beat.is_running() {
        return INTERVAL;
    }
    let to_half = 0.5 - beat.phase % 0.5;
    let secs = f64::from(to_half) * 60.0 / f64::from(beat.bpm);
    // A hair later, so that it is over there.
    INTERVAL.min(Duration::from_secs_f64(secs.clamp(0.0, 1.0) + 0.005))
}

fn beat_now(stats: &Stats, now: Instant) -> Beat {
    let passed = stats.beat_at.map(|at| now.saturating_duration_since(at));
    stats
        .beat
        .advanced(passed.unwrap_or_default().as_secs_f64())
}

/// Four lights, the beat's own lit in its first half, with tempo and certainty.
fn beat_row(stats: &Stats, now: Instant) -> String {
    let beat = beat_now(stats, now);
    if !beat.is_running() {
        return stats.clock.clone();
    }
    let lights: String = (0..BEATS_PER_BAR)
        .map(|n| {
            let on = n == beat.beat_in_bar && beat.phase < 0.5;
            if on { '#' } else { '.' }
        })
        .collect();
    format!(
        "{lights} {:5.1} bpm   {:3.0} % sure   {}",
        beat.bpm,
        beat.confidence * 100.0,
        stats.clock
    )
}

/// What is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) stats: bool,
    pub(super) meters: bool,
    pub(super) help: bool,
}

impl Shown {
    pub(super) fn any(self) -> bool {
        self.stats || self.meters || self.help
    }
}

/// What the window itself knows.
#[derive(Debug, Clone, Default)]
pub(super) struct WindowStats {
    /// Pictures shown a second.
    pub(super) shown_fps: f32,
    pub(super) picture: Option<(u32, u32)>,
    pub(super) window: (u32, u32),
    pub(super) adapter: String,
    pub(super) black: bool,
    pub(super) paused: bool,
}

/// All that the overlay may tell, and which of it is shown.
pub(super) struct Content<'a> {
    pub(super) shown: Shown,
    pub(super) stats: &'a Stats,
    pub(super) heard: &'a Snapshot,
    pub(super) own: &'a WindowStats,
}

/// An overlay laid out, to be drawn over any number of pictures.
pub(super) struct Painted {
    primitives: Vec<egui::ClippedPrimitive>,
    pixels_per_point: f32,
}

/// egui's state on one device.
pub(super) struct Overlay {
    context: egui::Context,
    renderer: egui_wgpu::Renderer,
}

impl Overlay {
    pub(super) fn new(device: &wgpu::Device, format: wgpu::TextureFormat) -> Self {
        let context = egui::Context::default();
        context.set_visuals(egui::Visuals::dark());
        let options = egui_wgpu::RendererOptions {
            dithering: false,
            ..Default::default()
        };
        Self {
            context,
            renderer: egui_wgpu::Renderer::new(device, format, options),
        }
    }

    /// Lays the overlay out anew for a window of `size` pixels.
    pub(super) fn layout(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        content: &Content<'_>,
        scale: f32,
    ) -> Painted {
        let Content {
            shown,
            stats,
            heard,
            own,
        } = *content;
        let (width, height) = own.window;
        // Readable from a step away on a projector's 1080 rows, whatever the desktop's scale.
        let scale = scale.max(height as f32 / 900.0).clamp(0.5, 4.0);
        let rect = egui::Rect::from_min_size(
            egui::Pos2::ZERO,
            egui::vec2(width as f32, height as f32) / scale,
        );
        let mut input = egui::RawInput {
            screen_rect: Some(rect),
            ..Default::default()
        };
        input
            .viewports
            .entry(egui::ViewportId::ROOT)
            .or_default()
            .native_pixels_per_point = Some(scale);
        let mut output = self.context.run_ui(input, |ui| {
            let context = ui.ctx().clone();
            if shown.stats {
                stats_panel(&context, stats, own);
            }
            if shown.meters {
                panel(
                    &context,
                    "meters",
                    Align2::RIGHT_BOTTOM,
                    [-12.0, -12.0],
                    |ui| meters::draw(ui, heard),
                );
            }
            if shown.help {
                help_panel(&context);
            }
        });
        self.take_textures(&mut output.textures_delta, device, queue);
        Painted {
            primitives: self
                .context
                .tessellate(output.shapes, output.pixels_per_point),
            pixels_per_point: output.pixels_per_point,
        }
    }

    /// Brings egui's changed textures to the GPU.
    #[expect(
        clippy::iter_over_hash_type,
        reason = "each texture by itself: their order changes nothing"
    )]
    fn take_textures(
        &mut self,
        delta: &mut egui::TexturesDelta,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) {
        for (id, deltas) in &delta.set {
            for delta in deltas {
                self.renderer.update_texture(device, queue, *id, delta);
            }
        }
        for id in &delta.free {
            self.renderer.free_texture(id);
        }
        delta.clear();
    }

    /// Uploads what [`paint`](Self::paint) draws.
    pub(super) fn prepare(
        &mut self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
        painted: &Painted,
        size: (u32, u32),
    ) -> Vec<wgpu::CommandBuffer> {
        let screen = painted.screen(size);
        self.renderer
            .update_buffers(device, queue, encoder, &painted.primitives, &screen)
    }

    /// Draws over what the pass has drawn.
    pub(super) fn paint(
        &self,
        pass: &mut wgpu::RenderPass<'static>,
        painted: &Painted,
        size: (u32, u32),
    ) {
        self.renderer
            .render(pass, &painted.primitives, &painted.screen(size));
    }
}

impl Painted {
    fn screen(&self, size: (u32, u32)) -> egui_wgpu::ScreenDescriptor {
        egui_wgpu::ScreenDescriptor {
            size_in_pixels: [size.0, size.1],
            pixels_per_point: self.pixels_per_point,
        }
    }
}

fn panel(
    context: &egui::Context,
    name: &str,
    anchor: Align2,
    offset: [f32; 2],
    fill: impl FnOnce(&mut egui::Ui),
) {
    egui::Area::new(egui::Id::unique(name))
        .anchor(anchor, offset)
        .interactable(false)
        .fade_in(false)
        .show(context, |ui| {
            egui::Frame::new()
                .fill(Color32::from_black_alpha(215))
                .corner_radius(6)
                .inner_margin(10)
                .show(ui, fill);
        });
}

fn stats_panel(context: &egui::Context, stats: &Stats, own: &WindowStats) {
    panel(context, "stats", Align2::LEFT_TOP, [12.0, 12.0], |ui| {
        ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
        egui::Grid::new("numbers").num_columns(2).show(ui, |ui| {
            for (name, value) in rows(stats, own) {
                ui.label(RichText::new(name).color(Color32::from_gray(150)));
                ui.label(RichText::new(value).monospace().color(Color32::WHITE));
                ui.end_row();
            }
        });
    });
    if stats.message.is_empty() && stats.errors.is_empty() {
        return;
    }
    panel(context, "words", Align2::LEFT_BOTTOM, [12.0, -12.0], |ui| {
        // Long ones wrap at the window's edge.
        ui.set_max_width(context.content_rect().width() - 44.0);
        let from = stats.errors.len().saturating_sub(4);
        for error in &stats.errors[from..] {
            ui.label(RichText::new(error).color(Color32::from_rgb(255, 130, 110)));
        }
        if !stats.message.is_empty() {
            ui.label(RichText::new(&stats.message).color(Color32::WHITE));
        }
    });
}

/// Names and values of the numbers.
fn rows(stats: &Stats, own: &WindowStats) -> Vec<(&'static str, String)> {
    let state = match (own.paused, own.black) {
        (true, true) => ", held, black",
        (true, false) => ", held",
        (false, true) => ", black",
        (false, false) => "",
    };
    let mut rows = vec![
        (
            "made",
            format!(
                "{:5.1} fps   {:.1} ms p50   {:.1} ms p99",
                stats.fps, stats.frame_ms_p50, stats.frame_ms_p99
            ),
        ),
        ("shown", format!("{:5.1} fps{state}", own.shown_fps)),
        ("lost", stats.dropped.to_string()),
    ];
    let (w, h) = own.picture.unwrap_or_default();
    rows.push((
        "size",
        format!("{w}x{h} in {}x{}", own.window.0, own.window.1),
    ));
    for (name, value) in [
        ("engine", &stats.engine),
        ("window", &own.adapter),
        ("clock", &beat_row(stats, Instant::now())),
        ("delay", &stats.latency),
        ("sound", &stats.audio),
        ("record", &stats.recording),
    ] {
        if !value.is_empty() {
            rows.push((name, value.clone()));
        }
    }
    rows
}

fn help_panel(context: &egui::Context) {
    panel(context, "help", Align2::RIGHT_TOP, [-12.0, 12.0], |ui| {
        ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
        egui::Grid::new("keys").num_columns(2).show(ui, |ui| {
            for (key, text) in keys::help() {
                ui.label(
                    RichText::new(key)
                        .monospace()
                        .strong()
                        .color(Color32::WHITE),
                );
                ui.label(RichText::new(text).color(Color32::from_gray(210)));
                ui.end_row();
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::{INTERVAL, Shown, beat_row, until_next};
    use crate::present::Stats;
    use crate::signal::Beat;
    use std::time::{Duration, Instant};

    #[test]
    fn the_light_follows_the_beat_between_two_stats() {
        let at = Instant::now();
        let stats = Stats {
            beat: Beat {
                phase: 0.0,
                beat_in_bar: 3,
                bpm: 150.0,
                confidence: 0.5,
                count: 7,
            },
            beat_at: Some(at),
            clock: "tapped (auto)".to_owned(),
            ..Stats::default()
        };
        let row = |ms| beat_row(&stats, at + Duration::from_millis(ms));
        assert!(
            row(0).starts_with("...# 150.0 bpm    50 % sure   tapped"),
            "{}",
            row(0)
        );
        assert!(row(250).starts_with("...."), "{}", row(250));
        assert!(row(450).starts_with("#..."), "{}", row(450));
        let next = until_next(Shown::default(), &stats, at).as_secs_f64();
        assert!((next - 0.205).abs() < 1e-3, "{next}");
        let none = Stats::default();
        assert_eq!(until_next(Shown::default(), &none, at), INTERVAL);
        let meters = Shown {
            meters: true,
            ..Shown::default()
        };
        assert!(until_next(meters, &none, at) < INTERVAL / 5);
        assert_eq!(beat_row(&Stats::default(), at), "");
    }
}
