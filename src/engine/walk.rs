//! The walk through latent space: a uniform Catmull–Rom curve through the w of the route's seeds,
//! so that it passes each seed's picture and never turns sharply.

use crate::generator::{Generator, GeneratorError, latent};
use crate::scene::{Patch, Route};
use crate::tensor::split_mix;

#[derive(Debug, Default)]
pub(super) struct WalkState {
    route: Option<Route>,
    /// In stops since the start.
    position: f64,
    /// w of the stops before, at, after and two after the position.
    stops: [Vec<f32>; 4],
    at_stop: u64,
    accent: Option<(u32, Vec<f32>)>,
}

impl WalkState {
    pub(super) fn set_route(
        &mut self,
        patch: &Patch,
        generator: &mut Generator,
    ) -> Result<(), GeneratorError> {
        let accent = match patch.accent_seed {
            None => None,
            Some(seed) if self.accent.as_ref().is_some_and(|a| a.0 == seed) => self.accent.take(),
            Some(seed) => Some((seed, w_of(seed, generator)?)),
        };
        // Another route is joined where the old one was left.
        if self.route.as_ref() != Some(&patch.route) {
            self.stops = stops_at(&patch.route, self.at_stop, generator)?;
            self.route = Some(patch.route.clone());
        }
        self.accent = accent;
        Ok(())
    }

    /// Begins a route at its first stop.
    pub(super) fn start(
        &mut self,
        route: &Route,
        generator: &mut Generator,
    ) -> Result<(), GeneratorError> {
        self.stops = stops_at(route, 0, generator)?;
        self.position = 0.0;
        self.at_stop = 0;
        self.route = Some(route.clone());
        Ok(())
    }

    pub(super) fn advance(
        &mut self,
        stops: f64,
        generator: &mut Generator,
    ) -> Result<(), GeneratorError> {
        if let Some(route) = &self.route {
            self.position += stops.max(0.0);
            let at_stop = self.position.floor() as u64;
            if at_stop != self.at_stop {
                self.stops = stops_at(route, at_stop, generator)?;
                self.at_stop = at_stop;
            }
        }
        Ok(())
    }

    /// Writes the w of the position, pulled to the accent by `accent`, into every layer's style.
    pub(super) fn write(&self, accent: f32, styles: &mut [f32]) {
        let t = (self.position - self.at_stop as f64) as f32;
        let [before, at, after, beyond] = &self.stops;
        let w_dim = at.len();
        let Some((first, rest)) = styles.split_at_mut_checked(w_dim) else {
            return;
        };
        for (i, out) in first.iter_mut().enumerate() {
            *out = catmull_rom([before[i], at[i], after[i], beyond[i]], t);
        }
        if let Some((_, target)) = self.accent.as_ref().filter(|_| accent != 0.0) {
            for (out, target) in first.iter_mut().zip(target) {
                *out += (target - *out) * accent;
            }
        }
        for style in rest.chunks_exact_mut(w_dim.max(1)) {
            style.copy_from_slice(first);
        }
    }
}

/// Uniform Catmull–Rom spline between the second and third value, `t` in \[0, 1\].
fn catmull_rom([a, b, c, d]: [f32; 4], t: f32) -> f32 {
    let slope_b = 0.5 * (c - a);
    let slope_c = 0.5 * (d - b);
    let (t2, t3) = (t * t, t * t * t);
    (2.0 * t3 - 3.0 * t2 + 1.0) * b
        + (t3 - 2.0 * t2 + t) * slope_b
        + (3.0 * t2 - 2.0 * t3) * c
        + (t3 - t2) * slope_c
}

fn seed_of(route: &Route, stop: i64) -> u32 {
    match route {
        Route::Loop(seeds) => {
            let index = stop.rem_euclid(seeds.len().max(1) as i64) as usize;
            seeds.get(index).copied().unwrap_or(0)
        }
        Route::Endless(start) if stop == 0 => *start,
        Route::Endless(start) => {
            let mut state = u64::from(*start) << 32 ^ stop as u64;
            split_mix(&mut state) as u32
        }
    }
}

fn w_of(seed: u32, generator: &mut Generator) -> Result<Vec<f32>, GeneratorError> {
    let z = latent::z_from_seed(seed, generator.manifest().z_dim);
    generator.map(&z).map(<[f32]>::to_vec)
}

fn stops_at(
    route: &Route,
    at: u64,
    generator: &mut Generator,
) -> Result<[Vec<f32>; 4], GeneratorError> {
    let at = at as i64;
    let mut w = |stop| w_of(seed_of(route, stop), generator);
    Ok([w(at - 1)?, w(at)?, w(at + 1)?, w(at + 2)?])
}

#[cfg(test)]
mod tests {
    use super::{catmull_rom, seed_of};
    use crate::scene::Route;

    #[test]
    fn the_curve_passes_its_stops_without_a_corner() {
        let v = [0.0, 1.0, -2.0, 5.0];
        assert_eq!(catmull_rom(v, 0.0), 1.0);
        assert_eq!(catmull_rom(v, 1.0), -2.0);
        let h = 1e-3;
        let left = (catmull_rom(v, 1.0) - catmull_rom(v, 1.0 - h)) / h;
        let next = [1.0, -2.0, 5.0, 0.0];
        let right = (catmull_rom(next, h) - catmull_rom(next, 0.0)) / h;
        assert!((left - right).abs() < 0.05, "{left} {right}");
    }

    #[test]
    fn routes_start_at_the_scenes_seed() {
        let endless = Route::Endless(9);
        assert_eq!(seed_of(&endless, 0), 9);
        assert_ne!(seed_of(&endless, 1), seed_of(&endless, 2));
        let ring = Route::Loop(vec![3, 4, 5]);
        assert_eq!([-1, 0, 1, 2, 3].map(|s| seed_of(&ring, s)), [5, 3, 4, 5, 3]);
    }
}
