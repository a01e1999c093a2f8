//! Small matrices times long rows.

/// Columns at a time.
const LANES: usize = 16;
/// Rows at a time.
const ROWS: usize = 5;
/// Most rows of a right side.
const MOST: usize = 50;
/// Columns whose sums are kept in lanes before they are added up.
const SPAN: usize = 80;

/// `out = weights · x`, where `weights` is `m × k`, `x` is `k × n` and `out` is `m × n`, all row
/// by row. `m` is a multiple of 5, `n` of 16, `k` at most 50.
#[inline(always)]
pub fn product(weights: &[f32], x: &[f32], out: &mut [f32], [m, k, n]: [usize; 3]) {
    assert!(m % ROWS == 0 && n % LANES == 0 && k <= MOST);
    assert!(weights.len() == m * k && x.len() == k * n && out.len() == m * n);
    // Rows are often a power of two apart, which would throw each other out of the first cache.
    let mut columns = [[0.0_f32; LANES]; MOST];
    for at in (0..n).step_by(LANES) {
        for (row, columns) in columns[..k].iter_mut().enumerate() {
            columns.copy_from_slice(&x[row * n + at..][..LANES]);
        }
        for first in (0..m).step_by(ROWS) {
            let mut sums = [[0.0_f32; LANES]; ROWS];
            for (index, columns) in columns[..k].iter().enumerate() {
                for row in 0..ROWS {
                    let weight = weights[(first + row) * k + index];
                    for lane in 0..LANES {
                        sums[row][lane] += weight * columns[lane];
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                out[(first + row) * n + at..][..LANES].copy_from_slice(sums);
            }
        }
    }
}

/// `out += a · bᵀ`, where `a` is `m × n`, `b` is `k × n` and `out` is `m × k`. `m` is a multiple of 5,
/// `n` of 16, `m` and `k` at most 50.
#[inline(always)]
pub fn outer(a: &[f32], b: &[f32], out: &mut [f32], [m, k, n]: [usize; 3]) {
    assert!(m % ROWS == 0 && n % LANES == 0 && k <= MOST && m <= MOST);
    assert!(a.len() == m * n && b.len() == k * n && out.len() == m * k);
    let mut left = [0.0_f32; MOST * SPAN];
    let mut right = [0.0_f32; MOST * SPAN];
    for at in (0..n).step_by(SPAN) {
        let span = SPAN.min(n - at);
        for row in 0..m {
            left[row * SPAN..][..span].copy_from_slice(&a[row * n + at..][..span]);
        }
        for row in 0..k {
            right[row * SPAN..][..span].copy_from_slice(&b[row * n + at..][..span]);
        }
        for first in (0..m).step_by(ROWS) {
            for column in 0..k {
                let mut sums = [[0.0_f32; LANES]; ROWS];
                for lanes in (0..span).step_by(LANES) {
                    let factor = &right[column * SPAN + lanes..][..LANES];
                    for row in 0..ROWS {
                        let values = &left[(first + row) * SPAN + lanes..][..LANES];
                        for lane in 0..LANES {
                            sums[row][lane] += values[lane] * factor[lane];
                        }
                    }
                }
                for (row, sums) in sums.into_iter().enumerate() {
                    out[(first + row) * k + column] += total(sums);
                }
            }
        }
    }
}

/// The sum of a few lanes, in a fixed order.
#[inline(always)]
pub fn total(lanes: [f32; LANES]) -> f32 {
    let mut eight = [0.0_f32; 8];
    for lane in 0..8 {
        eight[lane] = lanes[lane] + lanes[lane + 8];
    }
    let four: [f32; 4] = [
        eight[0] + eight[4],
        eight[1] + eight[5],
        eight[2] + eight[6],
        eight[3] + eight[7],
    ];
    (four[0] + four[2]) + (four[1] + four[3])
}

/// `m × k` turned to `k × m`.
pub fn transposed(weights: &[f32], [m, k]: [usize; 2]) -> Vec<f32> {
    (0..m * k).map(|at| weights[at % m * k + at / m]).collect()
}

#[cfg(test)]
mod tests {
    use super::{outer, product, transposed};

    fn values(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn products_are_those_of_the_definition() {
        for [m, k, n] in [[5, 9, 16], [25, 25, 160], [50, 9, 272]] {
            let (w, x) = (values(m * k, 1), values(k * n, 2));
            let mut out = vec![f32::NAN; m * n];
            product(&w, &x, &mut out, [m, k, n]);
            for row in 0..m {
                for column in 0..n {
                    let sum: f64 = (0..k)
                        .map(|i| f64::from(w[row * k + i]) * f64::from(x[i * n + column]))
                        .sum();
                    assert!((f64::from(out[row * n + column]) - sum).abs() < 1e-5);
                }
            }
            let a = values(m * n, 3);
            let mut grad = vec![1.0; m * k];
            outer(&a, &x, &mut grad, [m, k, n]);
            for row in 0..m {
                for column in 0..k {
                    let sum: f64 = (0..n)
                        .map(|i| f64::from(a[row * n + i]) * f64::from(x[column * n + i]))
                        .sum();
                    assert!((f64::from(grad[row * k + column]) - 1.0 - sum).abs() < 1e-4);
                }
            }
            let turned = transposed(&w, [m, k]);
            assert_eq!(turned[(k - 1) * m], w[k - 1]);
            assert_eq!(transposed(&turned, [k, m]), w);
        }
    }
}
