//! One run of every transform on a new GPU bender: pipelines are compiled for good, and a driver
//! that computes nonsense is found before the show.

use super::{Bend, BendError, CpuBender, FrameTime, GpuBender, TRANSFORMS};
use crate::tensor::{ChannelSet, FeatureMaps, MapShape, split_mix};

const SHAPE: MapShape = MapShape {
    channels: 3,
    height: 7,
    width: 9,
};

/// Coarse on purpose: rounding stays far below it, a broken kernel does not.
const TOLERANCE: f32 = 1e-3;

/// What the results must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Results {
    /// Those of the CPU twins.
    AsTheTwins,
    /// Whatever a performer's own shader computes.
    Any,
}

pub(super) fn run(gpu: &mut GpuBender, results: Results) -> Result<(), BendError> {
    let mut seed = 1;
    let input: Vec<f32> = (0..SHAPE.len())
        .map(|_| (split_mix(&mut seed) >> 40) as f32 / 8_388_608.0 - 1.0)
        .collect();
    let mut cpu = CpuBender::default();
    for transform in TRANSFORMS {
        // In the upper half of each range: no identity, no corner case.
        let mut params = [0.0; super::MAX_PARAMS];
        for (value, param) in params.iter_mut().zip(transform.params) {
            *value = param.range[0] + (param.range[1] - param.range[0]) * 0.7;
        }
        let mut bend = Bend::new(transform, ChannelSet::all(SHAPE.channels), params);
        if let Ok(partners) = ChannelSet::from_indices([2, 0], SHAPE.channels) {
            bend.partners = partners;
        }
        let bends = [bend];
        let (mut want, mut got) = (input.clone(), input.clone());
        // Two frames, so that feedback has something to go by.
        for index in 0..2 {
            let time = FrameTime {
                index,
                dt_secs: 0.01,
            };
            cpu.apply(&mut host(&mut want), &bends, time)?;
            gpu.apply(&mut host(&mut got), &bends, time)?;
        }
        let off = want
            .iter()
            .zip(&got)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        if results == Results::AsTheTwins && (off.is_nan() || off > TOLERANCE) {
            return Err(BendError::Untrusted {
                adapter: gpu.gpu().adapter().to_string(),
                transform: transform.name,
                off,
            });
        }
    }
    Ok(())
}

const fn host(data: &mut [f32]) -> FeatureMaps<'_> {
    FeatureMaps::Host { data, shape: SHAPE }
}
