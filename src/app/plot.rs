//! A picture of what the ears hear.

use crate::app::glyphs;
use crate::audio::{Decoded, SignalTrack};
use crate::signal::{SignalId, Snapshot};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

type Colour = [u8; 3];

const BACKGROUND: Colour = [16, 16, 20];
const INK: Colour = [200, 200, 205];
const FAINT: Colour = [52, 52, 62];
const WAVE: Colour = [96, 128, 168];
const BEAT: Colour = [70, 70, 84];
const BAR: Colour = [226, 180, 70];
const CURVES: [Colour; 3] = [[90, 200, 140], [230, 110, 90], [120, 150, 240]];

/// Room for labels on the left, and between rows.
const LEFT: usize = 96;
const GAP: usize = 14;
const RIGHT: usize = 12;

/// A picture holds at most this many seconds per pixel's worth of width.
const WIDTH: [usize; 2] = [1_200, 4_000];
const PIXELS_PER_SEC: f64 = 24.0;

struct Canvas {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
    secs_per_pixel: f64,
}

impl Canvas {
    fn new(width: usize, height: usize, secs: f64) -> Self {
        Self {
            width,
            height,
            rgb: BACKGROUND.repeat(width * height),
            secs_per_pixel: secs / (width - LEFT - RIGHT) as f64,
        }
    }

    fn dot(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            let at = 3 * (y * self.width + x);
            self.rgb[at..at + 3].copy_from_slice(&colour);
        }
    }

    fn column(&mut self, x: usize, top: usize, bottom: usize, colour: Colour) {
        for y in top..bottom {
            self.dot(x, y, colour);
        }
    }

    fn text(&mut self, x: usize, y: usize, text: &str, colour: Colour) {
        for (number, letter) in text.chars().enumerate() {
            for (column, bits) in glyphs::of(letter).into_iter().enumerate() {
                for row in (0..7).filter(|row| bits >> row & 1 == 1) {
                    self.dot(x + 6 * number + column, y + row, colour);
                }
            }
        }
    }

    fn x_of(&self, secs: f64) -> usize {
        LEFT + (secs / self.secs_per_pixel).max(0.0) as usize
    }

    /// The columns of the plot with the snapshots that each one stands for.
    fn columns<'a>(&self, snapshots: &'a [Snapshot]) -> Vec<(usize, &'a [Snapshot])> {
        let mut start = 0;
        (LEFT..self.width - RIGHT)
            .map(|x| {
                let until = (x - LEFT + 1) as f64 * self.secs_per_pixel;
                let end = start + snapshots[start..].partition_point(|s| s.at_secs <= until);
                // A column narrower than a hop shows the last one.
                let first = if end > start {
                    start
                } else {
                    end.saturating_sub(1)
                };
                let here = &snapshots[first..end];
                start = end;
                (x, here)
            })
            .collect()
    }
}

/// Highest value of a signal in a column.
fn most(snapshots: &[Snapshot], id: SignalId) -> f32 {
    snapshots.iter().map(|s| s.get(id)).fold(0.0, f32::max)
}

fn ids(names: &[String]) -> Vec<SignalId> {
    names
        .iter()
        .filter_map(|name| SignalId::find(name))
        .collect()
}

/// Dark blue to white by way of red and yellow.
fn heat(value: f32) -> Colour {
    const STOPS: [[f32; 3]; 5] = [
        [16.0, 16.0, 20.0],
        [60.0, 30.0, 110.0],
        [190.0, 50.0, 90.0],
        [245.0, 160.0, 60.0],
        [255.0, 250.0, 220.0],
    ];
    let at = value.clamp(0.0, 1.0) * 4.0;
    let low = (at as usize).min(3);
    let share = at - low as f32;
    std::array::from_fn(|c| (STOPS[low][c] + share * (STOPS[low + 1][c] - STOPS[low][c])) as u8)
}

/// Draws the waveform with beats and bars, Bark bands, drums, level and salience, tempo, chroma.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(sound: &Decoded, track: &SignalTrack, path: &Path) -> anyhow::Result<()> {
    let secs = track.duration_secs().max(0.1);
    let width = ((secs * PIXELS_PER_SEC) as usize + LEFT + RIGHT).clamp(WIDTH[0], WIDTH[1]);
    let heights = [110, 24 * 5, 4 * 16, 70, 60, 12 * 8];
    let height = heights.iter().sum::<usize>() + GAP * (heights.len() + 1) + 16;
    let mut canvas = Canvas::new(width, height, secs);
    let snapshots = track.snapshots();
    let columns = canvas.columns(snapshots);

    let mut top = GAP;
    let mut rows = heights.into_iter().map(|height| {
        let row = (top, top + height);
        top += height + GAP;
        row
    });
    let mut row = || rows.next().unwrap_or_default();
    let (wave, bark, drums, levels, tempo, chroma) = (row(), row(), row(), row(), row(), row());
    beats(&mut canvas, track, [wave, drums, levels, tempo]);
    waveform(&mut canvas, sound, wave);
    heat_rows(
        &mut canvas,
        &columns,
        bark,
        &numbered("bark-", 24),
        "BARK BANDS",
    );
    canvas.text(8, bark.0 + 12, "15 KHZ", FAINT_INK);
    canvas.text(8, bark.1 - 8, "20 HZ", FAINT_INK);
    for (number, name) in ["kick", "snare", "hat", "onset"].into_iter().enumerate() {
        let y = drums.0 + 16 * number;
        canvas.text(8, y + 4, &name.to_uppercase(), INK);
        let times = SignalId::find(name).map_or_else(Vec::new, |id| track.pulses_secs(id));
        for time in times {
            let x = canvas.x_of(time);
            let colour = CURVES.get(number).copied().unwrap_or(INK);
            canvas.column(x, y + 1, y + 14, colour);
            canvas.column(x + 1, y + 1, y + 14, colour);
        }
    }
    for (number, name) in ["level", "salience", "percussive"].into_iter().enumerate() {
        canvas.text(
            8,
            levels.0 + 4 + 12 * number,
            &name.to_uppercase(),
            CURVES[number],
        );
        if let Some(id) = SignalId::find(name) {
            curve(&mut canvas, &columns, levels, CURVES[number], |s| s.get(id));
        }
    }
    tempo_row(&mut canvas, &columns, tempo);
    let notes = [
        "b", "a-sharp", "a", "g-sharp", "g", "f-sharp", "f", "e", "d-sharp", "d", "c-sharp", "c",
    ];
    let names: Vec<String> = notes.iter().map(|n| format!("chroma-{n}")).collect();
    heat_rows(&mut canvas, &columns, chroma, &names, "");
    for (number, note) in notes.iter().enumerate() {
        let text = note.replace("-sharp", "#").to_uppercase();
        canvas.text(LEFT - 18, chroma.0 + 8 * number, &text, INK);
    }
    canvas.text(8, chroma.0 + 2, "CHROMA", INK);
    seconds(&mut canvas, secs, chroma.1);
    save(&canvas, path)
}

const FAINT_INK: Colour = [120, 120, 128];

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    // The highest band is drawn at the top.
    (1..=count)
        .rev()
        .map(|n| format!("{prefix}{n:02}"))
        .collect()
}

fn beats(canvas: &mut Canvas, track: &SignalTrack, rows: [(usize, usize); 4]) {
    for (times, colour) in [(track.beats_secs(), BEAT), (track.downbeats_secs(), BAR)] {
        for time in times {
            let x = canvas.x_of(time);
            for (top, bottom) in rows {
                canvas.column(
                    x,
                    top,
                    bottom,
                    if top == rows[0].0 { colour } else { FAINT },
                );
            }
        }
    }
}

fn waveform(canvas: &mut Canvas, sound: &Decoded, (top, bottom): (usize, usize)) {
    canvas.text(8, top + 4, "WAVEFORM", INK);
    canvas.text(8, top + 18, "BEAT", FAINT_INK);
    canvas.text(8, top + 30, "BAR", BAR);
    let frames_per_pixel = canvas.secs_per_pixel * f64::from(sound.sample_rate);
    let middle = usize::midpoint(top, bottom) as f32;
    let half = (bottom - top) as f32 / 2.0;
    for x in LEFT..canvas.width - RIGHT {
        let first = ((x - LEFT) as f64 * frames_per_pixel) as usize * sound.channels;
        let last = ((x - LEFT + 1) as f64 * frames_per_pixel) as usize * sound.channels;
        let Some(samples) = sound.samples.get(first..last.min(sound.samples.len())) else {
            break;
        };
        let (low, high) = samples
            .iter()
            .fold((0.0_f32, 0.0_f32), |(l, h), x| (l.min(*x), h.max(*x)));
        let y = |value: f32| (middle - value.clamp(-1.0, 1.0) * half) as usize;
        canvas.column(x, y(high), y(low) + 1, WAVE);
    }
}

fn heat_rows(
    canvas: &mut Canvas,
    columns: &[(usize, &[Snapshot])],
    (top, bottom): (usize, usize),
    names: &[String],
    label: &str,
) {
    canvas.text(8, top + 2, label, INK);
    let ids = ids(names);
    let height = (bottom - top) / ids.len().max(1);
    for (x, snapshots) in columns {
        for (number, id) in ids.iter().enumerate() {
            let y = top + number * height;
            canvas.column(*x, y, y + height, heat(most(snapshots, *id)));
        }
    }
}

fn curve(
    canvas: &mut Canvas,
    columns: &[(usize, &[Snapshot])],
    (top, bottom): (usize, usize),
    colour: Colour,
    value: impl Fn(&Snapshot) -> f32,
) {
    let mut before: Option<usize> = None;
    for (x, snapshots) in columns {
        let Some(last) = snapshots.last() else {
            continue;
        };
        let share = value(last).clamp(0.0, 1.0);
        let y = bottom - 1 - (share * (bottom - top - 1) as f32) as usize;
        let from = before.unwrap_or(y);
        canvas.column(*x, from.min(y), from.max(y) + 1, colour);
        before = Some(y);
    }
}

/// Tempo from 40 to 220 bpm, and how sure it is.
fn tempo_row(canvas: &mut Canvas, columns: &[(usize, &[Snapshot])], row: (usize, usize)) {
    canvas.text(8, row.0 + 4, "TEMPO", BAR);
    canvas.text(8, row.0 + 16, "CONFIDENCE", CURVES[2]);
    canvas.text(LEFT - 24, row.0, "220", FAINT_INK);
    canvas.text(LEFT - 18, row.1 - 7, "40", FAINT_INK);
    curve(canvas, columns, row, CURVES[2], |s| s.beat.confidence);
    curve(canvas, columns, row, BAR, |s| (s.beat.bpm - 40.0) / 180.0);
    let mut shown: Option<f32> = None;
    for (number, (x, snapshots)) in columns.iter().enumerate() {
        let Some(bpm) = snapshots.last().map(|s| s.beat.bpm).filter(|b| *b > 0.0) else {
            continue;
        };
        // A number where it changes, with room between.
        if number % 120 == 60 && shown.is_none_or(|s| (bpm / s - 1.0).abs() > 0.015) {
            shown = Some(bpm);
            canvas.text(*x, row.1 - 10, &format!("{bpm:.1}"), INK);
        }
    }
}

fn seconds(canvas: &mut Canvas, secs: f64, top: usize) {
    let step = [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0]
        .into_iter()
        .find(|step| step / canvas.secs_per_pixel > 70.0)
        .unwrap_or(600.0);
    let mut at = 0.0;
    while at < secs {
        let x = canvas.x_of(at);
        canvas.column(x, top, top + 5, INK);
        canvas.text(x + 3, top + 4, &format!("{at:.0} S"), FAINT_INK);
        at += step;
    }
}

fn save(canvas: &Canvas, path: &Path) -> anyhow::Result<()> {
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, canvas.width as u32, canvas.height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&canvas.rgb)?;
    Ok(())
}
