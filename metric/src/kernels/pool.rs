//! The greatest of 3×3 pixels, every second pixel.

use super::Group;

/// Halves the maps of `rows` (any number of features): the greatest of each 3×3 pixels around every
/// second pixel, as `MaxPool2d(3, 2, 1)`.
#[inline(always)]
pub fn pool(rows: &[f32], out: &mut [f32], group: Group) {
    let (side, half) = (group.side, group.side / 2);
    let mut line = vec![0.0_f32; side + 1];
    for (plane, out) in rows
        .chunks_exact(side * side)
        .zip(out.chunks_exact_mut(half * half))
    {
        for (y, out) in out.chunks_exact_mut(half).enumerate() {
            // `line` begins one pixel left of the map.
            line[0] = f32::NEG_INFINITY;
            let middle = &plane[2 * y * side..][..side];
            let below = &plane[(2 * y + 1) * side..][..side];
            let above = &plane[(2 * y).saturating_sub(1) * side..][..side];
            for x in 0..side {
                line[x + 1] = middle[x].max(below[x]).max(above[x]);
            }
            for (x, out) in out.iter_mut().enumerate() {
                *out = line[2 * x].max(line[2 * x + 1]).max(line[2 * x + 2]);
            }
        }
    }
}

/// Gradient of [`pool`]: each value of `grad` goes to the pixel that was greatest, the first of equal
/// ones. `out` must be zero.
#[inline(always)]
pub fn pool_gradient(rows: &[f32], pooled: &[f32], grad: &[f32], out: &mut [f32], group: Group) {
    let (side, half) = (group.side, group.side / 2);
    let planes = rows.chunks_exact(side * side);
    for (((plane, out), pooled), grad) in planes
        .zip(out.chunks_exact_mut(side * side))
        .zip(pooled.chunks_exact(half * half))
        .zip(grad.chunks_exact(half * half))
    {
        for at in 0..half * half {
            let (y, x) = (at / half * 2, at % half * 2);
            let (top, left) = (y.saturating_sub(1), x.saturating_sub(1));
            let mut place = top * side + left;
            'found: for y in top..=y + 1 {
                for x in left..=x + 1 {
                    if plane[y * side + x] == pooled[at] {
                        place = y * side + x;
                        break 'found;
                    }
                }
            }
            out[place] += grad[at];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{pool, pool_gradient};
    use crate::kernels::Group;

    #[test]
    fn the_greatest_is_found_and_gets_the_gradient() {
        let group = Group { maps: 2, side: 4 };
        let rows: Vec<f32> = (0..32).map(|i| ((i * 13) % 31) as f32 - 40.0).collect();
        let mut out = vec![0.0; 8];
        pool(&rows, &mut out, group);
        let mut back = vec![0.0; 32];
        pool_gradient(&rows, &out, &[1.0; 8], &mut back, group);
        assert_eq!(back.iter().sum::<f32>(), 8.0);
        for (map, out) in out.chunks_exact(4).enumerate() {
            for (at, &found) in out.iter().enumerate() {
                let (y, x) = (at as isize / 2 * 2, at as isize % 2 * 2);
                let mut best = f32::NEG_INFINITY;
                for dy in -1..=1 {
                    for dx in -1..=1 {
                        if (0..4).contains(&(y + dy)) && (0..4).contains(&(x + dx)) {
                            let place = (y + dy) * 4 + x + dx;
                            best = best.max(rows[map * 16 + place as usize]);
                        }
                    }
                }
                assert_eq!(found, best);
                assert!(back[rows.iter().position(|&v| v == best).unwrap()] >= 1.0);
            }
        }
    }
}
