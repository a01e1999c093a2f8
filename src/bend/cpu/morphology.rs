//! Twin of `shaders/bend/morphology.wgsl`.

use super::fade;
use crate::bend::uniform::{BendUniform, ROW_WORDS, half_width};

/// Highest (`sign` 1) or lowest (−1) value within the disc, positions outside ignored.
///
/// The shader visits the disc for each pixel; this visits the pixels of a row for each position of
/// the disc, which the compiler turns into vector code. Maxima do not depend on the order.
pub fn extremum(u: &BendUniform, src: &[f32], dst: &mut [f32]) {
    if u.sign > 0.0 {
        disc(u, src, dst, |a, b| if b > a { b } else { a });
    } else {
        disc(u, src, dst, |a, b| if b < a { b } else { a });
    }
}

fn disc(u: &BendUniform, src: &[f32], dst: &mut [f32], pick: impl Fn(f32, f32) -> f32 + Copy) {
    let [width, height] = u.size.map(|n| n as usize);
    let whole = u.blend >= 1.0;
    let mut inner = [0.0; BLOCK];
    let mut outer = [0.0; BLOCK];
    for y in 0..height {
        for start in (0..width).step_by(BLOCK) {
            let block = Block {
                src,
                width,
                height,
                y,
                start,
                len: BLOCK.min(width - start),
            };
            let straight = &src[y * width + start..][..block.len];
            let outer = &mut outer[..block.len];
            block.gather(&u.outer_rows, u.radius as usize, outer, pick);
            let row = &mut dst[y * width + start..][..block.len];
            if whole {
                for x in 0..block.len {
                    row[x] = fade(straight[x], outer[x], u.amount);
                }
            } else {
                let inner = &mut inner[..block.len];
                block.gather(&u.inner_rows, u.radius as usize, inner, pick);
                for x in 0..block.len {
                    let result = fade(inner[x], outer[x], u.blend);
                    row[x] = fade(straight[x], result, u.amount);
                }
            }
        }
    }
}

/// Pixels whose running values stay in the first-level cache.
const BLOCK: usize = 256;

struct Block<'a> {
    src: &'a [f32],
    width: usize,
    height: usize,
    y: usize,
    start: usize,
    len: usize,
}

impl Block<'_> {
    /// Picks over the disc `rows` around each pixel of the block.
    fn gather(
        &self,
        rows: &[[u32; 4]; ROW_WORDS],
        radius: usize,
        best: &mut [f32],
        pick: impl Fn(f32, f32) -> f32,
    ) {
        best.copy_from_slice(&self.src[self.y * self.width + self.start..][..self.len]);
        let first = self.y.saturating_sub(radius);
        let last = (self.y + radius).min(self.height - 1);
        for from in first..=last {
            let Some(half) = half_width(rows, from.abs_diff(self.y)) else {
                continue;
            };
            let row = &self.src[from * self.width..][..self.width];
            for step in 0..=2 * half {
                // Pixel x reads column x + step − half; keep those inside the row.
                let skip = half.saturating_sub(step + self.start);
                let column = (self.start + skip + step).saturating_sub(half);
                if skip >= self.len || column >= self.width {
                    continue;
                }
                for (best, &value) in best[skip..].iter_mut().zip(&row[column..]) {
                    *best = pick(*best, value);
                }
            }
        }
    }
}
