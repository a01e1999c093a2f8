//! Twin of `shaders/bend/affine.wgsl`.

use super::fade;
use crate::bend::uniform::BendUniform;

/// Reverses columns, rows where `mirror` says so.
pub fn flip(u: &BendUniform, src: &[f32], dst: &mut [f32]) {
    let [width, height] = u.size.map(|n| n as usize);
    for (y, row) in dst.chunks_exact_mut(width).enumerate() {
        let from = if u.mirror[1] == 1 { height - 1 - y } else { y };
        let mirrored = &src[from * width..][..width];
        let straight = &src[y * width..][..width];
        for x in 0..width {
            let column = if u.mirror[0] == 1 { width - 1 - x } else { x };
            row[x] = fade(straight[x], mirrored[column], u.amount);
        }
    }
}

/// Bilinear sample at `matrix · (pixel − centre) + offset`, zero outside.
///
/// In three passes over a few pixels of a row, where the shader has one: the first and the last then
/// become vector code.
pub fn warp(u: &BendUniform, src: &[f32], dst: &mut [f32]) {
    let [width, height] = u.size.map(|n| n as usize);
    // Beyond these everything is outside.
    let (right, bottom) = (width as f32 + 1.0, height as f32 + 1.0);
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
                let sx = sx.clamp(-2.0, right);
                let sy = sy.clamp(-2.0, bottom);
                let (x0, y0) = (floor(sx), floor(sy));
                whole[i] = [x0, y0];
                part[0][i] = sx - x0 as f32;
                part[1][i] = sy - y0 as f32;
            }
            for i in 0..block.len() {
                let corners = corners(src, width, height, whole[i]);
                for (tap, corner) in taps.iter_mut().zip(corners) {
                    tap[i] = corner;
                }
            }
            let straight = &src[y * width + start..][..block.len()];
            for i in 0..block.len() {
                let (fx, fy) = (part[0][i], part[1][i]);
                let top = taps[0][i] * (1.0 - fx) + taps[1][i] * fx;
                let low = taps[2][i] * (1.0 - fx) + taps[3][i] * fx;
                let result = top * (1.0 - fy) + low * fy;
                block[i] = fade(straight[i], result, u.amount);
            }
        }
    }
}

/// Pixels of a row that go through [`warp`] together.
const BLOCK: usize = 128;

/// Largest whole number not above `x`, for |x| < 2²². `f32::floor` is a call on processors that a
/// portable build assumes, and `as i32` costs a check of the range for each value.
const fn floor(x: f32) -> i32 {
    // 1.5 · 2²³: the sum is rounded to a whole number, which then stands in the lowest bits.
    const MAGIC: f32 = 12_582_912.0;
    let nearest = (x + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32;
    nearest - (x < nearest as f32) as i32
}

/// Values at (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1), zero outside.
#[inline]
fn corners(src: &[f32], width: usize, height: usize, [x, y]: [i32; 2]) -> [f32; 4] {
    let (w, h) = (width as i32, height as i32);
    if x >= 0 && y >= 0 && x < w - 1 && y < h - 1 {
        let i = y as usize * width + x as usize;
        if let ([a, b, ..], [c, d, ..]) = (&src[i..], &src[i + width..]) {
            return [*a, *b, *c, *d];
        }
    }
    let at = |x: i32, y: i32| {
        if (0..w).contains(&x) && (0..h).contains(&y) {
            src[y as usize * width + x as usize]
        } else {
            0.0
        }
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
