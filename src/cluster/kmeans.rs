//! k-means: Lloyd's method from Forgy's start (k of the points), the best of many runs.

use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_clustering::{KMeans, KMeansInit};
use linfa_nn::distance::L2Dist;
use ndarray::Array2;
use rand_xoshiro::Xoshiro256Plus;
use rand_xoshiro::rand_core::SeedableRng;

/// Runs from other starts; the one with the least spread wins. Many end in bad optima: with
/// ten, two runs on nearly the same points often disagree.
const RUNS: usize = 60;
const MAX_STEPS: u64 = 300;
/// Ends when no centre moves farther.
const TOLERANCE: f64 = 1e-4;

/// Groups `points`, rows of `len` values, into at most `k` groups. Gives the group of each row,
/// numbered from 0 in the order in which they first occur; the same for the same seed.
///
/// Fewer groups come out where there are fewer different points.
///
/// # Errors
/// What linfa says, for example of points that are not finite.
pub fn group(points: &[f32], len: usize, k: usize, seed: u64) -> Result<Vec<u32>, String> {
    let rows = points.len().checked_div(len).unwrap_or(0);
    let k = k.min(different(points, len, k));
    if k <= 1 {
        return Ok(vec![0; rows]);
    }
    if points.iter().any(|x| !x.is_finite()) {
        return Err("the maps are not finite".to_owned());
    }
    let points = Array2::from_shape_fn((rows, len), |(r, c)| f64::from(points[r * len + c]));
    let data = DatasetBase::from(points);
    let random = Xoshiro256Plus::seed_from_u64(seed);
    let model = KMeans::params_with(k, random, L2Dist)
        .init_method(KMeansInit::Random)
        .n_runs(RUNS)
        .max_n_iterations(MAX_STEPS)
        .tolerance(TOLERANCE)
        .fit(&data)
        .map_err(|error| error.to_string())?;
    let groups: Vec<usize> = model.predict(&data).to_vec();
    let mut numbers: Vec<usize> = Vec::with_capacity(k);
    Ok(groups
        .into_iter()
        .map(|group| {
            let number = numbers.iter().position(|&seen| seen == group);
            number.unwrap_or_else(|| {
                numbers.push(group);
                numbers.len() - 1
            }) as u32
        })
        .collect())
}

/// How many different rows there are, counted up to `enough`.
fn different(points: &[f32], len: usize, enough: usize) -> usize {
    let mut seen: Vec<&[f32]> = Vec::with_capacity(enough);
    for row in points.chunks_exact(len.max(1)) {
        if seen.len() == enough {
            break;
        }
        if !seen.contains(&row) {
            seen.push(row);
        }
    }
    seen.len()
}

#[cfg(test)]
mod tests {
    use super::group;

    #[test]
    fn groups_are_found_and_numbered_as_they_come() {
        let points = [9.0, 9.1, 0.0, 0.2, 9.2, 5.0, 5.1, 0.1];
        for seed in 0..5 {
            assert_eq!(
                group(&points, 1, 3, seed).unwrap(),
                [0, 0, 1, 1, 0, 2, 2, 1]
            );
        }
        let flat: Vec<f32> = points.iter().flat_map(|&x| [x, 1.0]).collect();
        assert_eq!(group(&flat, 2, 3, 1), group(&points, 1, 3, 1));
    }

    #[test]
    fn fewer_points_than_groups() {
        assert_eq!(group(&[2.0, 2.0, 2.0], 1, 4, 0).unwrap(), [0, 0, 0]);
        assert_eq!(group(&[2.0, 1.0, 2.0], 1, 4, 0).unwrap(), [0, 1, 0]);
        assert!(group(&[], 3, 4, 0).unwrap().is_empty());
        assert!(group(&[1.0, f32::NAN, 3.0], 1, 2, 0).is_err());
    }
}
