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
pub fn warp(u: &BendUniform, src: &[f32], dst: &mut [f32]) {
    let [width, height] = u.size.map(|n| n as usize);
    // Beyond these everything is outside; within them coordinates fit an i32.
    let (right, bottom) = (width as f32 + 1.0, height as f32 + 1.0);
    for (y, row) in dst.chunks_exact_mut(width).enumerate() {
        let dy = y as f32 - u.centre[1];
        for (x, out) in row.iter_mut().enumerate() {
            let dx = x as f32 - u.centre[0];
            let sx = u.matrix[0] * dx + u.matrix[1] * dy + u.offset[0];
            let sy = u.matrix[2] * dx + u.matrix[3] * dy + u.offset[1];
            let sx = sx.clamp(-2.0, right);
            let sy = sy.clamp(-2.0, bottom);
            let (x0, y0) = (floor(sx), floor(sy));
            let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
            let [a, b, c, d] = corners(src, width, height, x0, y0);
            let top = a * (1.0 - fx) + b * fx;
            let low = c * (1.0 - fx) + d * fx;
            let result = top * (1.0 - fy) + low * fy;
            *out = fade(src[y * width + x], result, u.amount);
        }
    }
}

/// `f32::floor` is a call on processors without an instruction for it, which a portable build
/// assumes.
const fn floor(x: f32) -> i32 {
    let towards_zero = x as i32;
    towards_zero - (x < towards_zero as f32) as i32
}

/// Values at (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1), zero outside.
#[inline]
fn corners(src: &[f32], width: usize, height: usize, x: i32, y: i32) -> [f32; 4] {
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
