//! Twin of `shaders/bend/blur.wgsl`.

use super::{LIMIT, Plane};

/// `x + (g − x) · multiply` with g the mean of `radius` neighbours to each side, weighted, along rows
/// and then along columns. 1 gives g exactly.
pub fn blur(plane: &Plane<'_>, dst: &mut [f32], memory: &mut Vec<f32>) {
    let u = plane.uniform;
    let [width, height] = plane.size();
    let radius = u.radius as usize;
    let taps = &plane.taps[u.first_tap as usize..][..=radius];
    let border = plane.border();
    // A padded row, then the whole map after the first direction.
    let row_len = width + 2 * radius;
    memory.resize(row_len + width * height, 0.0);
    let (padded, across) = memory.split_at_mut(row_len);
    for (row, out) in plane
        .src
        .chunks_exact(width)
        .zip(across.chunks_exact_mut(width))
    {
        for (i, value) in padded.iter_mut().enumerate() {
            let place = border.place(i as i32 - radius as i32, width as i32);
            *value = place.map_or(0.0, |x| row[x]);
        }
        weigh(out, &padded[radius..][..width], taps[0]);
        for (d, &tap) in taps.iter().enumerate().skip(1) {
            add(
                out,
                &padded[radius - d..][..width],
                &padded[radius + d..][..width],
                tap,
            );
        }
    }
    let nothing = &mut padded[..width];
    nothing.fill(0.0);
    let line = |y: i32| match border.place(y, height as i32) {
        Some(y) => &across[y * width..][..width],
        None => &nothing[..],
    };
    for (y, out) in dst.chunks_exact_mut(width).enumerate() {
        let y = y as i32;
        weigh(out, line(y), taps[0]);
        for (d, &tap) in (0i32..).zip(taps).skip(1) {
            add(out, line(y - d), line(y + d), tap);
        }
    }
    if u.multiply != 1.0 {
        for (out, &x) in dst.iter_mut().zip(plane.src) {
            *out = (x + (*out - x) * u.multiply).clamp(-LIMIT, LIMIT);
        }
    }
}

fn weigh(out: &mut [f32], row: &[f32], tap: f32) {
    for (out, &x) in out.iter_mut().zip(row) {
        *out = x * tap;
    }
}

/// Adds both neighbours at a distance.
fn add(out: &mut [f32], before: &[f32], after: &[f32], tap: f32) {
    for ((out, &a), &b) in out.iter_mut().zip(before).zip(after) {
        *out += (a + b) * tap;
    }
}
