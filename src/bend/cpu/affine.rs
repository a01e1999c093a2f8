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
            let (x0, y0) = (sx.floor(), sy.floor());
            let (fx, fy) = (sx - x0, sy - y0);
            let (x0, y0) = (x0 as i32, y0 as i32);
            let at = |x: i32, y: i32| {
                if (0..width as i32).contains(&x) && (0..height as i32).contains(&y) {
                    src[y as usize * width + x as usize]
                } else {
                    0.0
                }
            };
            let top = at(x0, y0) * (1.0 - fx) + at(x0 + 1, y0) * fx;
            let low = at(x0, y0 + 1) * (1.0 - fx) + at(x0 + 1, y0 + 1) * fx;
            let result = top * (1.0 - fy) + low * fy;
            *out = fade(src[y * width + x], result, u.amount);
        }
    }
}
