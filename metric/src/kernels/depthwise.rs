//! 3×3 convolution of each feature by itself, with a border of zeros.
//!
//! The maps of a group are laid in a row with a border around each. On that row the convolution is
//! nine products with shifted copies, whatever the maps' size; what lands on borders is left out.

use super::Group;

const LANES: usize = 16;

/// Rows with borders, kept from call to call.
#[derive(Clone, Debug, Default)]
pub struct Bordered {
    /// One feature's maps, each with a border of one pixel, and room to read past the end.
    values: Vec<f32>,
}

impl Bordered {
    /// Makes room for groups of this shape, with zeros.
    pub fn fit(&mut self, group: Group) {
        let len = bordered_len(group) + tail(group);
        if self.values.len() != len {
            self.values.clear();
            self.values.resize(len, 0.0);
        }
    }

    /// Lays `row`, one feature's values, inside the borders, after `change`.
    #[inline(always)]
    pub fn lay(&mut self, row: &[f32], group: Group, change: impl Fn(f32) -> f32) {
        let (side, stride) = (group.side, group.side + 2);
        for map in 0..group.maps {
            for y in 0..side {
                let from = &row[(map * side + y) * side..][..side];
                let to = map * stride * stride + (y + 1) * stride + 1;
                for (to, &from) in self.values[to..][..side].iter_mut().zip(from) {
                    *to = change(from);
                }
            }
        }
    }

    /// Convolves with `kernel` (rows first; not flipped), into `out`, one feature's values.
    #[inline(always)]
    pub fn convolve(&self, kernel: &[f32], scratch: &mut Vec<f32>, out: &mut [f32], group: Group) {
        let (side, stride) = (group.side, group.side + 2);
        let len = bordered_len(group).next_multiple_of(LANES);
        scratch.resize(len, 0.0);
        let kernel: [f32; 9] = std::array::from_fn(|i| kernel[i]);
        for (at, sums) in scratch.chunks_exact_mut(LANES).enumerate() {
            let mut lanes = [0.0_f32; LANES];
            for (tap, weight) in kernel.iter().enumerate() {
                let from = &self.values[at * LANES + tap / 3 * stride + tap % 3..][..LANES];
                for lane in 0..LANES {
                    lanes[lane] += weight * from[lane];
                }
            }
            sums.copy_from_slice(&lanes);
        }
        for map in 0..group.maps {
            for y in 0..side {
                let from = map * stride * stride + y * stride;
                out[(map * side + y) * side..][..side].copy_from_slice(&scratch[from..][..side]);
            }
        }
    }

    /// Adds to `kernel` the gradient of [`Self::convolve`] by its kernel, where `self` was convolved and
    /// `grad` has the gradient by the result.
    #[inline(always)]
    pub fn kernel_gradient(&self, grad: &Self, kernel: &mut [f32], group: Group) {
        let stride = group.side + 2;
        let len = bordered_len(group).next_multiple_of(LANES);
        for line in 0..3 {
            let mut sums = [[0.0_f32; LANES]; 3];
            for at in (0..len).step_by(LANES) {
                let by = &grad.values[at + stride + 1..][..LANES];
                for (tap, sums) in sums.iter_mut().enumerate() {
                    let from = &self.values[at + line * stride + tap..][..LANES];
                    for lane in 0..LANES {
                        sums[lane] += by[lane] * from[lane];
                    }
                }
            }
            for (tap, sums) in sums.into_iter().enumerate() {
                kernel[line * 3 + tap] += super::product::total(sums);
            }
        }
    }
}

const fn bordered_len(group: Group) -> usize {
    group.maps * (group.side + 2) * (group.side + 2)
}

const fn tail(group: Group) -> usize {
    2 * (group.side + 2) + 2 + LANES
}

#[cfg(test)]
mod tests {
    use super::Bordered;
    use crate::kernels::Group;

    #[test]
    fn the_border_is_zero_and_maps_do_not_mix() {
        for (maps, side) in [(3, 4), (2, 8), (1, 16)] {
            let group = Group { maps, side };
            let row: Vec<f32> = (0..group.row()).map(|i| (i % 23) as f32 - 11.0).collect();
            let kernel: Vec<f32> = (0..9).map(|i| i as f32 - 3.5).collect();
            let mut bordered = Bordered::default();
            bordered.fit(group);
            bordered.lay(&row, group, |x| x);
            let mut out = vec![f32::NAN; group.row()];
            bordered.convolve(&kernel, &mut Vec::new(), &mut out, group);
            let grad: Vec<f32> = (0..group.row()).map(|i| (i % 7) as f32 - 2.0).collect();
            let mut by = Bordered::default();
            by.fit(group);
            by.lay(&grad, group, |x| x);
            let mut found = [0.0; 9];
            bordered.kernel_gradient(&by, &mut found, group);
            let mut wanted = [0.0; 9];
            let n = side as isize;
            for map in 0..maps as isize {
                for y in 0..n {
                    for x in 0..n {
                        let at = ((map * n + y) * n + x) as usize;
                        let mut sum = 0.0;
                        for tap in 0..9_isize {
                            let (fy, fx) = (y + tap / 3 - 1, x + tap % 3 - 1);
                            if (0..n).contains(&fy) && (0..n).contains(&fx) {
                                let value = row[((map * n + fy) * n + fx) as usize];
                                sum += kernel[tap as usize] * value;
                                wanted[tap as usize] += grad[at] * value;
                            }
                        }
                        assert_eq!(out[at], sum);
                    }
                }
            }
            assert_eq!(found, wanted);
        }
    }
}
