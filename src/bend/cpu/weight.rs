//! Weights of a mask. Twin of `weight` in `shaders/shared/feature_map.wgsl`.

use crate::bend::uniform::BendUniform;

/// Writes `amount` times the mask's weight of every pixel. `painting` holds the weights of a picture.
pub fn fill(u: &BendUniform, painting: &[f32], out: &mut [f32]) {
    let width = u.size[0] as usize;
    for (y, row) in out.chunks_exact_mut(width).enumerate() {
        let dy = y as f32 + 0.5 - u.mask_at[1];
        for (x, out) in row.iter_mut().enumerate() {
            let dx = x as i32 as f32 + 0.5 - u.mask_at[0];
            let inside = match u.mask {
                1 => smooth((u.mask_edge - dx.hypot(dy)) * u.mask_slope),
                2 => smooth((dx * u.mask_axis[0] + dy * u.mask_axis[1]) * u.mask_slope + 0.5),
                3 => picture(u, painting, dx, dy),
                _ => 1.0,
            };
            *out = u.amount * (inside + (1.0 - 2.0 * inside) * u.mask_invert);
        }
    }
}

/// 0 below 0, 1 above 1, smooth between.
pub(super) const fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Bilinear sample of the painting, 0 around it.
fn picture(u: &BendUniform, painting: &[f32], dx: f32, dy: f32) -> f32 {
    let [width, height] = u.size.map(|n| n as i32);
    let sx = (dx * u.mask_slope + (width as f32 * 0.5 - 0.5)).clamp(-2.0, width as f32 + 1.0);
    let sy = (dy * u.mask_slope + (height as f32 * 0.5 - 0.5)).clamp(-2.0, height as f32 + 1.0);
    let (x0, y0) = (sx.floor(), sy.floor());
    let (fx, fy) = (sx - x0, sy - y0);
    let (x, y) = (x0 as i32, y0 as i32);
    let at = |x: i32, y: i32| {
        if (0..width).contains(&x) && (0..height).contains(&y) {
            painting[(y * width + x) as usize]
        } else {
            0.0
        }
    };
    let top = at(x, y) * (1.0 - fx) + at(x + 1, y) * fx;
    let low = at(x, y + 1) * (1.0 - fx) + at(x + 1, y + 1) * fx;
    top * (1.0 - fy) + low * fy
}
