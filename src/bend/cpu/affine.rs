//! Twin of `shaders/bend/affine.wgsl`.

use super::{Plane, fade};
use crate::bend::border::Border;

/// Reverses columns, rows where `mirror` says so.
pub fn flip(plane: &Plane<'_>, dst: &mut [f32], _: &mut Vec<f32>) {
    let [width, height] = plane.size();
    let mirror = plane.uniform.mirror;
    for (y, row) in dst.chunks_exact_mut(width).enumerate() {
        let from = if mirror[1] == 1 { height - 1 - y } else { y };
        row.copy_from_slice(&plane.src[from * width..][..width]);
        if mirror[0] == 1 {
            row.reverse();
        }
    }
}

/// Bilinear sample at `matrix · (pixel − centre) + offset`.
pub fn warp(plane: &Plane<'_>, dst: &mut [f32], _: &mut Vec<f32>) {
    sample(plane, plane.src, dst);
}

/// `x + (y − x) · multiply` with y the warped frame before; x itself when there was none.
pub fn feedback(plane: &Plane<'_>, dst: &mut [f32], _: &mut Vec<f32>) {
    if plane.uniform.fresh == 1 {
        dst.copy_from_slice(plane.src);
        return;
    }
    sample(plane, plane.before, dst);
    for (out, &x) in dst.iter_mut().zip(plane.src) {
        *out = fade(x, *out, plane.uniform.multiply);
    }
}

/// In three passes over a few pixels of a row, where the shader has one: the first and the last then
/// become vector code.
fn sample(plane: &Plane<'_>, src: &[f32], dst: &mut [f32]) {
    let u = plane.uniform;
    let [width, height] = plane.size();
    let border = plane.border();
    let [x_range, y_range] = [width, height].map(|len| Range::of(border, len));
    let mut whole = [[0; 2]; BLOCK];
    let mut part = [[0.0; BLOCK]; 2];
    let mut taps = [[0.0; BLOCK]; 4];
    for (y, row) in dst.chunks_exact_mut(width).enumerate() {
        let dy = y as f32 - u.centre[1];
        for (index, block) in row.chunks_mut(BLOCK).enumerate() {
            let start = index * BLOCK;
            for i in 0..block.len() {
                let dx = (start + i) as i32 as f32 - u.centre[0];
                let sx = u.matrix[0] * dx + u.matrix[1] * dy + u.offset[0];
                let sy = u.matrix[2] * dx + u.matrix[3] * dy + u.offset[1];
                let (sx, sy) = (x_range.hold(sx), y_range.hold(sy));
                let (x0, y0) = (floor(sx), floor(sy));
                whole[i] = [x0, y0];
                part[0][i] = sx - x0 as f32;
                part[1][i] = sy - y0 as f32;
            }
            for i in 0..block.len() {
                let corners = corners(src, width, height, border, whole[i]);
                for (tap, corner) in taps.iter_mut().zip(corners) {
                    tap[i] = corner;
                }
            }
            for i in 0..block.len() {
                let (fx, fy) = (part[0][i], part[1][i]);
                let top = taps[0][i] * (1.0 - fx) + taps[1][i] * fx;
                let low = taps[2][i] * (1.0 - fx) + taps[3][i] * fx;
                block[i] = top * (1.0 - fy) + low * fy;
            }
        }
    }
}

/// Brings coordinates to where an `i32` holds them and everything is decided by the border.
#[derive(Clone, Copy)]
struct Range {
    /// After so many pixels the map comes again; 0 when it never does.
    period: f32,
    inverse: f32,
    last: f32,
}

impl Range {
    fn of(border: Border, len: usize) -> Self {
        let len = len as f32;
        let period = match border {
            Border::Zero | Border::Replicate => 0.0,
            Border::Reflect => 2.0 * len,
            Border::Wrap => len,
        };
        Self {
            period,
            inverse: if period > 0.0 { 1.0 / period } else { 0.0 },
            // Beyond it everything is outside, or the same.
            last: len.max(period) + 1.0,
        }
    }

    #[inline]
    fn hold(self, s: f32) -> f32 {
        let s = if self.period > 0.0 {
            s - (s * self.inverse).floor() * self.period
        } else {
            s
        };
        s.clamp(-2.0, self.last)
    }
}

/// Pixels of a row that go through [`sample`] together.
const BLOCK: usize = 128;

/// Largest whole number not above `x`, for |x| < 2²². `f32::floor` is a call on processors that a
/// portable build assumes, and `as i32` costs a check of the range for each value.
const fn floor(x: f32) -> i32 {
    // 1.5 · 2²³: the sum is rounded to a whole number, which then stands in the lowest bits.
    const MAGIC: f32 = 12_582_912.0;
    let nearest = (x + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32;
    nearest - (x < nearest as f32) as i32
}

/// Values at (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1).
#[inline]
fn corners(src: &[f32], width: usize, height: usize, border: Border, [x, y]: [i32; 2]) -> [f32; 4] {
    let (w, h) = (width as i32, height as i32);
    if x >= 0 && y >= 0 && x < w - 1 && y < h - 1 {
        let i = y as usize * width + x as usize;
        if let ([a, b, ..], [c, d, ..]) = (&src[i..], &src[i + width..]) {
            return [*a, *b, *c, *d];
        }
    }
    let at = |x: i32, y: i32| match (border.place(x, w), border.place(y, h)) {
        (Some(x), Some(y)) => src[y * width + x],
        _ => 0.0,
    };
    [at(x, y), at(x + 1, y), at(x, y + 1), at(x + 1, y + 1)]
}

#[cfg(test)]
mod tests {
    use super::floor;

    #[test]
    fn floors_are_exact() {
        for i in -4000..4_000_000 {
            let x = i as f32 / 997.0;
            assert_eq!(floor(x), x.floor() as i32, "{x}");
        }
        for x in [0.0, -0.0, -1e-30, 1e-30, -1.0, 0.5, 1.5, 4_194_303.5] {
            assert_eq!(floor(x), x.floor() as i32, "{x}");
        }
    }
}
