//! Contact sheets: pictures in a grid, each with a caption.

use crate::app::still;
use crate::frame::Frame;
use ab_glyph::{Font, FontRef, PxScale, ScaleFont};
use anyhow::{Context, bail};
use std::path::Path;

const BACKGROUND: u8 = 16;
const INK: u8 = 224;
/// Between pictures, and around them.
const GAP: u32 = 6;
/// More of it between groups.
const GROUP_GAP: u32 = 14;
/// Longest side of a sheet: what most viewers open.
const LONGEST_SIDE: u64 = 30_000;

/// A grid of pictures of one size.
#[derive(Debug)]
pub(crate) struct Sheet {
    page: Frame,
    columns: u32,
    /// Columns of a group.
    group: u32,
    /// Size of a picture.
    cell: (u32, u32),
    /// Height of a caption; 0 without captions.
    caption: u32,
}

impl Sheet {
    /// An empty sheet for `count` pictures of `cell` pixels.
    ///
    /// # Errors
    /// When it would be too large.
    pub(crate) fn new(count: u32, columns: u32, cell: (u32, u32)) -> anyhow::Result<Self> {
        Self::grouped(count, columns.max(1), 1, cell)
    }

    /// The same with `groups` of `group` columns each beside each other, set apart.
    ///
    /// # Errors
    /// When it would be too large.
    pub(crate) fn grouped(
        count: u32,
        group: u32,
        groups: u32,
        cell: (u32, u32),
    ) -> anyhow::Result<Self> {
        let columns = (group * groups).clamp(1, count.max(1));
        let rows = count.max(1).div_ceil(columns);
        let caption = (cell.0.min(cell.1) / 8).clamp(14, 40);
        let apart = u64::from(columns.div_ceil(group) - 1) * u64::from(GROUP_GAP);
        let width = u64::from(columns) * u64::from(cell.0 + GAP) + u64::from(GAP) + apart;
        let height = u64::from(rows) * u64::from(cell.1 + caption + GAP) + u64::from(GAP);
        if width.max(height) > LONGEST_SIDE {
            bail!(
                "{count} pictures of {}x{} make a sheet of {width}x{height}: take fewer, or a smaller --cell",
                cell.0,
                cell.1
            );
        }
        let mut page = Frame::black(width as u32, height as u32);
        for pixel in page.rgba.chunks_exact_mut(4) {
            pixel.copy_from_slice(&[BACKGROUND, BACKGROUND, BACKGROUND, 255]);
        }
        Ok(Self {
            page,
            columns,
            group,
            cell,
            caption,
        })
    }

    fn corner(&self, place: u32) -> (u32, u32) {
        let (column, row) = (place % self.columns, place / self.columns);
        (
            GAP + column * (self.cell.0 + GAP) + column / self.group * GROUP_GAP,
            GAP + row * (self.cell.1 + self.caption + GAP),
        )
    }

    /// Puts a picture, scaled, at a place, counted from 0 along the rows.
    pub(crate) fn picture(&mut self, place: u32, picture: &Frame) {
        let (left, top) = self.corner(place);
        let scaled = scaled(picture, self.cell);
        for y in 0..self.cell.1 {
            let from = (y * self.cell.0) as usize * 4;
            let to = ((top + y) * self.page.width + left) as usize * 4;
            let bytes = self.cell.0 as usize * 4;
            self.page.rgba[to..to + bytes].copy_from_slice(&scaled.rgba[from..from + bytes]);
        }
    }

    /// Writes under `span` neighbouring places, in their middle.
    ///
    /// # Errors
    /// When the built-in font is damaged.
    pub(crate) fn caption(&mut self, place: u32, span: u32, text: &str) -> anyhow::Result<()> {
        let (left, top) = self.corner(place);
        let width = span * (self.cell.0 + GAP) - GAP;
        let font = FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)
            .context("the built-in font")?;
        let mut scale = PxScale::from(self.caption as f32 * 0.95);
        let advance = |scale| {
            let font = font.as_scaled(scale);
            text.chars()
                .map(|c| font.h_advance(font.glyph_id(c)))
                .sum::<f32>()
        };
        let room = width as f32;
        if advance(scale) > room {
            scale = PxScale::from(scale.x * room / advance(scale));
        }
        let scaled = font.as_scaled(scale);
        let mut x = left as f32 + (room - advance(scale)) / 2.0;
        let middle = (top + self.cell.1) as f32 + self.caption as f32 / 2.0;
        let y = middle + (scaled.ascent() + scaled.descent()) / 2.0;
        for letter in text.chars() {
            let id = scaled.glyph_id(letter);
            let glyph = id.with_scale_and_position(scale, ab_glyph::point(x, y));
            x += scaled.h_advance(id);
            if let Some(outline) = font.outline_glyph(glyph) {
                let corner = outline.px_bounds().min;
                outline.draw(|dx, dy, cover| {
                    let (x, y) = (
                        corner.x as i64 + i64::from(dx),
                        corner.y as i64 + i64::from(dy),
                    );
                    self.blend(x, y, cover);
                });
            }
        }
        Ok(())
    }

    fn blend(&mut self, x: i64, y: i64, cover: f32) {
        let inside = (0..i64::from(self.page.width)).contains(&x)
            && (0..i64::from(self.page.height)).contains(&y);
        if !inside {
            return;
        }
        let at = (y as usize * self.page.width as usize + x as usize) * 4;
        for value in &mut self.page.rgba[at..at + 3] {
            let mixed = f32::from(*value) + (f32::from(INK) - f32::from(*value)) * cover;
            *value = mixed.round() as u8;
        }
    }

    /// Writes the sheet as PNG.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        still::write_png(path, &self.page)
    }
}

/// The cell of a sheet for pictures of this size whose shorter side is to be `side` pixels.
pub(crate) fn cell(picture: (u32, u32), side: u32) -> (u32, u32) {
    let scale = f64::from(side) / f64::from(picture.0.min(picture.1).max(1));
    let size = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
    (size(picture.0), size(picture.1))
}

/// The picture in another size: Catmull–Rom, stretched to a mean where it becomes smaller.
fn scaled(picture: &Frame, (width, height): (u32, u32)) -> Frame {
    if (picture.width, picture.height) == (width, height) {
        return picture.clone();
    }
    let columns = Taps::new(picture.width, width);
    let rows = Taps::new(picture.height, height);
    let mut narrow = vec![[0.0; 3]; width as usize * picture.height as usize];
    let source: Vec<[f32; 3]> = picture
        .rgba
        .chunks_exact(4)
        .map(|p| [p[0], p[1], p[2]].map(f32::from))
        .collect();
    for (from, to) in source
        .chunks_exact(picture.width as usize)
        .zip(narrow.chunks_exact_mut(width as usize))
    {
        for (out, taps) in to.iter_mut().zip(&columns.0) {
            *out = weighted(taps, |i| from[i]);
        }
    }
    let mut result = Frame::black(width, height);
    for (y, taps) in rows.0.iter().enumerate() {
        for x in 0..width as usize {
            let rgb = weighted(taps, |i| narrow[i * width as usize + x]);
            let at = (y * width as usize + x) * 4;
            for (byte, value) in result.rgba[at..at + 3].iter_mut().zip(rgb) {
                *byte = value.round() as u8;
            }
        }
    }
    result
}

fn weighted(taps: &[(usize, f32)], value: impl Fn(usize) -> [f32; 3]) -> [f32; 3] {
    let mut sum = [0.0; 3];
    for &(index, weight) in taps {
        for (total, part) in sum.iter_mut().zip(value(index)) {
            *total += part * weight;
        }
    }
    sum
}

/// For each position in the new size, what it takes of which old ones.
struct Taps(Vec<Vec<(usize, f32)>>);

impl Taps {
    fn new(from: u32, to: u32) -> Self {
        let step = from as f32 / to as f32;
        let stretch = step.max(1.0);
        let taps = (0..to).map(|position| {
            let centre = (position as f32 + 0.5) * step - 0.5;
            let first = (centre - 2.0 * stretch).ceil() as i64;
            let last = (centre + 2.0 * stretch).floor() as i64;
            let mut taps: Vec<(usize, f32)> = (first..=last)
                .map(|i| {
                    let inside = i.clamp(0, i64::from(from) - 1) as usize;
                    (inside, catmull_rom((i as f32 - centre) / stretch))
                })
                .collect();
            let total: f32 = taps.iter().map(|t| t.1).sum();
            for tap in &mut taps {
                tap.1 /= total;
            }
            taps
        });
        Self(taps.collect())
    }
}

fn catmull_rom(x: f32) -> f32 {
    let x = x.abs();
    if x < 1.0 {
        1.5 * x * x * x - 2.5 * x * x + 1.0
    } else if x < 2.0 {
        -0.5 * x * x * x + 2.5 * x * x - 4.0 * x + 2.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::{BACKGROUND, Sheet, cell, scaled};
    use crate::frame::Frame;

    fn plain(width: u32, height: u32, value: u8) -> Frame {
        let mut frame = Frame::black(width, height);
        for pixel in frame.rgba.chunks_exact_mut(4) {
            pixel[..3].fill(value);
        }
        frame
    }

    #[test]
    fn scaling_keeps_a_plain_picture_plain_and_a_ramp_even() {
        for size in [(3, 5), (64, 20), (7, 7)] {
            let scaled = scaled(&plain(16, 9, 131), size);
            assert!(
                scaled
                    .rgba
                    .chunks_exact(4)
                    .all(|p| p == [131, 131, 131, 255])
            );
        }
        let mut ramp = Frame::black(16, 1);
        for (x, pixel) in ramp.rgba.chunks_exact_mut(4).enumerate() {
            pixel[..3].fill(x as u8 * 16);
        }
        let half = scaled(&ramp, (8, 1));
        for (x, pixel) in half.rgba.chunks_exact(4).enumerate().skip(2).take(4) {
            assert!(pixel[0].abs_diff(x as u8 * 32 + 8) <= 1, "{x}: {pixel:?}");
        }
    }

    #[test]
    fn pictures_and_captions_are_where_they_belong() {
        let mut sheet = Sheet::new(5, 2, (32, 32)).unwrap();
        assert_eq!((sheet.page.width, sheet.page.height), (82, 162));
        sheet.picture(3, &plain(8, 8, 200));
        let at = |sheet: &Sheet, x: u32, y: u32| {
            sheet.page.rgba[((y * sheet.page.width + x) * 4) as usize]
        };
        assert_eq!(at(&sheet, 44, 58), 200);
        assert_eq!(at(&sheet, 43, 58), BACKGROUND);
        assert_eq!(at(&sheet, 75, 89), 200);
        assert_eq!(at(&sheet, 76, 89), BACKGROUND);
        let before = sheet.page.clone();
        sheet.caption(3, 1, "12").unwrap();
        let changed: Vec<usize> = (0..before.rgba.len())
            .filter(|&i| before.rgba[i] != sheet.page.rgba[i])
            .map(|i| i / 4)
            .collect();
        assert!(changed.len() > 20);
        for pixel in changed {
            let (x, y) = (pixel as u32 % 82, pixel as u32 / 82);
            assert!((44..76).contains(&x) && (90..104).contains(&y), "{x} {y}");
        }
    }

    #[test]
    fn sizes_are_bounded_and_keep_the_shape() {
        assert!(Sheet::new(4096, 1, (128, 128)).is_err());
        assert_eq!(cell((64, 32), 128), (256, 128));
    }
}
