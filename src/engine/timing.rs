//! How long bends take.

use super::{by_layer, make_room};
use crate::bend::{BendError, Bender, FrameTime};
use crate::param::{DriveState, ModulatorBank, Values};
use crate::scene::Patch;
use crate::signal::Snapshot;
use crate::tensor::{FeatureMaps, MapShape};
use std::time::{Duration, Instant};

/// How long a bender takes for a patch's bends of one frame, on maps of the layers' shapes, with every
/// signal at its top: the median of `rounds`, at least 1. The bender has room for the patch then.
///
/// # Errors
/// When the bender fails.
pub fn time_bends(
    bender: &mut Bender,
    patch: &Patch,
    layer_shape: &dyn Fn(usize) -> Option<MapShape>,
    rounds: usize,
) -> Result<Duration, BendError> {
    make_room(bender, patch, layer_shape)?;
    let shapes: Vec<MapShape> = (0..).map_while(layer_shape).collect();
    let values = loudest(patch);
    let mut layers = by_layer(patch, shapes.len());
    for layer in &mut layers {
        layer.drive(patch, &values);
    }
    let mut times = Vec::with_capacity(rounds + 1);
    // The first round is to get warm.
    for round in 0..=rounds.max(1) {
        let time = FrameTime {
            index: round as u64,
            dt_secs: 1.0 / 60.0,
        };
        let mut total = Duration::ZERO;
        for (layer, &shape) in layers.iter().zip(&shapes) {
            if layer.bends.is_empty() {
                continue;
            }
            let mut data: Vec<f32> = (0..shape.len()).map(|i| (i as f32).sin()).collect();
            let mut maps = FeatureMaps::Host {
                data: &mut data,
                shape,
            };
            let started = Instant::now();
            bender.apply(&mut maps, &layer.bends, time)?;
            total += started.elapsed();
        }
        times.push(total);
    }
    bender.forget();
    make_room(bender, patch, layer_shape)?;
    times.remove(0);
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Every number with all signals at their top.
fn loudest(patch: &Patch) -> Vec<f32> {
    let mut snapshot = Snapshot::SILENCE;
    snapshot.values.fill(1.0);
    let mut modulators = ModulatorBank::default();
    modulators.reset(patch.modulators.len());
    modulators.evaluate(&patch.modulators, &snapshot, 0.0);
    let values = Values {
        snapshot: &snapshot,
        modulators: modulators.values(),
    };
    let numbers = patch.numbers.iter();
    numbers
        .map(|number| {
            let value = DriveState::default().eval(&number.drive, &values, 0.0);
            value.clamp(number.limits[0], number.limits[1])
        })
        .collect()
}
