//! How far two groupings of the same things agree.

/// Adjusted Rand index of two groupings (Hubert and Arabie 1985): 1 when they are the same up to
/// the groups' numbers, about 0 when they have nothing to do with each other, below 0 when they
/// agree less than chance would.
///
/// Two groupings that both put all in one group, or both each thing in its own, are the same: 1.
/// Things beyond the shorter list are left out.
pub fn adjusted_rand_index(a: &[u32], b: &[u32]) -> f64 {
    use std::collections::BTreeMap;
    let mut both: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut rows: BTreeMap<u32, u64> = BTreeMap::new();
    let mut columns: BTreeMap<u32, u64> = BTreeMap::new();
    for (&a, &b) in a.iter().zip(b) {
        *both.entry((a, b)).or_default() += 1;
        *rows.entry(a).or_default() += 1;
        *columns.entry(b).or_default() += 1;
    }
    let things = a.len().min(b.len()) as u64;
    let all = pairs(things);
    if all == 0.0 {
        return 1.0;
    }
    let together: f64 = both.values().map(|&n| pairs(n)).sum();
    let in_a: f64 = rows.values().map(|&n| pairs(n)).sum();
    let in_b: f64 = columns.values().map(|&n| pairs(n)).sum();
    let by_chance = in_a * in_b / all;
    let most = f64::midpoint(in_a, in_b);
    if most == by_chance {
        return 1.0;
    }
    (together - by_chance) / (most - by_chance)
}

/// n over 2.
fn pairs(n: u64) -> f64 {
    let n = n as f64;
    n * (n - 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::adjusted_rand_index;

    #[test]
    fn known_values() {
        let index = adjusted_rand_index;
        assert_eq!(index(&[0, 0, 1, 1], &[5, 5, 2, 2]), 1.0);
        assert_eq!(index(&[0, 0, 0], &[1, 1, 1]), 1.0);
        assert_eq!(index(&[0, 1, 2], &[2, 0, 1]), 1.0);
        assert_eq!(index(&[], &[]), 1.0);
        // The examples of scikit-learn's documentation of `adjusted_rand_score`.
        assert!((index(&[0, 0, 1, 2], &[0, 0, 1, 1]) - 0.571_428_57).abs() < 1e-8);
        assert!((index(&[0, 0, 1, 1], &[0, 0, 1, 2]) - 0.571_428_57).abs() < 1e-8);
        assert_eq!(index(&[0, 0, 0, 0], &[0, 1, 2, 3]), 0.0);
        assert!((index(&[0, 0, 1, 1], &[0, 1, 0, 1]) + 0.5).abs() < 1e-12);
    }
}
