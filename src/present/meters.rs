//! What is heard, as bars and lights: whether the sound arrives, and what a scene's signals do.

use egui::{Align2, Color32, FontId, Rect, Ui, pos2, vec2};
use std::time::Duration;

use crate::signal::{Snapshot, place};

/// Time between two layouts: often enough for a kick to be seen where it is heard.
pub(super) const INTERVAL: Duration = Duration::from_millis(33);

const WIDTH: f32 = 312.0;
const TEXT: FontId = FontId::monospace(10.0);
const GREY: Color32 = Color32::from_gray(150);
const TRACK: Color32 = Color32::from_gray(38);

const FIRST_BARK: usize = place("bark-01");
const BARKS: usize = 24;

/// A signal with the name it has here, and the onset that belongs to it.
struct Bar(&'static str, usize, Option<usize>);

const BARS: [Bar; 7] = [
    Bar("level", place("level"), Some(place("onset"))),
    Bar("sub", place("sub"), Some(place("sub-onset"))),
    Bar("bass", place("bass"), Some(place("bass-onset"))),
    Bar("lo-mid", place("low-mid"), Some(place("low-mid-onset"))),
    Bar("mid", place("mid"), Some(place("mid-onset"))),
    Bar("hi-mid", place("high-mid"), Some(place("high-mid-onset"))),
    Bar("air", place("air"), Some(place("air-onset"))),
];

const LIGHTS: [(&str, usize); 5] = [
    ("beat", place("beat")),
    ("kick", place("kick")),
    ("snare", place("snare")),
    ("hat", place("hat")),
    ("chord", place("chord-change")),
];

const SLIDERS: [(&str, usize); 3] = [
    ("loudness", place("loudness")),
    ("brightness", place("centroid")),
    ("salience", place("salience")),
];

/// Draws all of it.
pub(super) fn draw(ui: &mut Ui, heard: &Snapshot) {
    let value = |place: usize| heard.values[place].clamp(0.0, 1.0);
    spectrum(ui, &value);
    ui.add_space(6.0);
    bars(ui, &value);
    ui.add_space(6.0);
    lights(ui, &value);
    ui.add_space(4.0);
    for (name, place) in SLIDERS {
        let value = value(place);
        let told = if name == "loudness" {
            decibels(value)
        } else {
            format!("{value:.2}")
        };
        slider(ui, name, value, &told);
    }
}

/// The signal `loudness` in its unit.
fn decibels(loudness: f32) -> String {
    if loudness <= 0.0 {
        "silent".to_owned()
    } else {
        format!("{:.0} LUFS", loudness.mul_add(60.0, -60.0))
    }
}

/// Red is low, violet is high: the same place has the same colour in all rows.
fn colour(way: f32, strength: f32) -> Color32 {
    let dim = strength.mul_add(0.65, 0.35);
    egui::ecolor::Hsva::new(way.mul_add(0.72, 0.02), 0.7, dim, 1.0).into()
}

/// A bar that grows upwards in `track`.
fn rise(ui: &Ui, track: Rect, value: f32, fill: Color32) {
    ui.painter().rect_filled(track, 1.0, TRACK);
    let mut bar = track;
    bar.set_top(track.bottom() - value * track.height());
    ui.painter().rect_filled(bar, 1.0, fill);
}

/// A row of places of the same width.
fn row(ui: &mut Ui, height: f32, places: usize) -> impl Fn(usize) -> Rect + use<> {
    let (rect, _) = ui.allocate_exact_size(vec2(WIDTH, height), egui::Sense::hover());
    let step = WIDTH / places as f32;
    move |at| {
        let left = step.mul_add(at as f32, rect.left());
        Rect::from_min_size(pos2(left, rect.top()), vec2(step - 3.0, height))
    }
}

fn spectrum(ui: &mut Ui, value: &impl Fn(usize) -> f32) {
    let place = row(ui, 56.0, BARKS);
    for band in 0..BARKS {
        let value = value(FIRST_BARK + band);
        let way = band as f32 / BARKS as f32;
        rise(ui, place(band), value, colour(way, value));
    }
}

fn bars(ui: &mut Ui, value: &impl Fn(usize) -> f32) {
    let place = row(ui, 64.0, BARS.len());
    for (at, Bar(name, signal, onset)) in BARS.iter().enumerate() {
        let whole = place(at);
        let way = at.saturating_sub(1) as f32 / (BARS.len() - 1) as f32;
        let mut track = whole;
        track.set_top(whole.top() + 8.0);
        track.set_bottom(whole.bottom() - 14.0);
        let fill = if at == 0 {
            Color32::from_gray(215)
        } else {
            colour(way, value(*signal))
        };
        rise(ui, track, value(*signal), fill);
        if let Some(onset) = onset {
            let mut top = whole;
            top.set_bottom(whole.top() + 4.0);
            let lit = Color32::WHITE.gamma_multiply(value(*onset));
            ui.painter().rect_filled(top, 1.0, TRACK);
            ui.painter().rect_filled(top, 1.0, lit);
        }
        let foot = pos2(whole.center().x, whole.bottom());
        ui.painter()
            .text(foot, Align2::CENTER_BOTTOM, name, TEXT, GREY);
    }
}

fn lights(ui: &mut Ui, value: &impl Fn(usize) -> f32) {
    let place = row(ui, 16.0, LIGHTS.len());
    for (at, (name, signal)) in LIGHTS.iter().enumerate() {
        let whole = place(at);
        let middle = pos2(whole.left() + 6.0, whole.center().y);
        let lit = Color32::from_rgb(255, 214, 92).gamma_multiply(value(*signal));
        ui.painter().circle_filled(middle, 5.5, TRACK);
        ui.painter().circle_filled(middle, 5.5, lit);
        let text = pos2(middle.x + 10.0, middle.y);
        ui.painter()
            .text(text, Align2::LEFT_CENTER, name, TEXT, GREY);
    }
}

fn slider(ui: &mut Ui, name: &str, value: f32, told: &str) {
    let (rect, _) = ui.allocate_exact_size(vec2(WIDTH, 14.0), egui::Sense::hover());
    let middle = rect.center().y;
    let mut track = rect.shrink2(vec2(0.0, 4.0));
    track.set_left(rect.left() + 76.0);
    track.set_right(rect.right() - 62.0);
    ui.painter().rect_filled(track, 1.0, TRACK);
    let mut bar = track;
    bar.set_right(value.mul_add(track.width(), track.left()));
    ui.painter().rect_filled(bar, 1.0, Color32::from_gray(215));
    let (left, right) = (pos2(rect.left(), middle), pos2(rect.right() - 3.0, middle));
    ui.painter()
        .text(left, Align2::LEFT_CENTER, name, TEXT, GREY);
    ui.painter()
        .text(right, Align2::RIGHT_CENTER, told, TEXT, Color32::WHITE);
}

#[cfg(test)]
mod tests {
    use super::decibels;

    #[test]
    fn loudness_is_told_in_its_unit() {
        assert_eq!(decibels(0.0), "silent");
        assert_eq!(decibels(0.75), "-15 LUFS");
        assert_eq!(decibels(1.0), "0 LUFS");
    }
}
