//! How long the stages of a bend on a GPU take, by the GPU's own clock where it has one.

use crate::gpu::{Gpu, GpuError};
use std::time::Duration;

/// Stages of one layer's bends on a GPU, summed over its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// The host writes the channels where the GPU can fetch them.
    pub to_staging: Duration,
    /// The GPU fetches them; `None` when it cannot tell, as for the next two.
    pub upload: Option<Duration>,
    /// All shaders.
    pub bend: Option<Duration>,
    /// The GPU puts them where the host can read.
    pub read_back: Option<Duration>,
    /// The host copies them from there.
    pub from_staging: Duration,
}

/// Moments of a part: begin, uploaded, bent, read back.
const STAMPS: u32 = 4;
const BYTES: u64 = STAMPS as u64 * size_of::<u64>() as u64;

/// Measures. Only for benchmarks.
#[derive(Debug)]
pub(super) struct Stages {
    clock: Option<GpuClock>,
    times: StageTimes,
}

#[derive(Debug)]
struct GpuClock {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// One for each part that may be on its way.
    read: [wgpu::Buffer; 2],
    nanos_per_tick: f64,
}

impl Stages {
    pub(super) fn new(gpu: &Gpu) -> Self {
        Self {
            clock: gpu.tells_time().then(|| GpuClock::new(gpu)),
            times: StageTimes::default(),
        }
    }

    /// Whether the GPU's own stages are measured.
    pub(super) const fn are_told(&self) -> bool {
        self.clock.is_some()
    }

    pub(super) const fn times(&self) -> StageTimes {
        self.times
    }

    /// Another layer begins.
    pub(super) fn begin(&mut self) {
        let zero = self.clock.as_ref().map(|_| Duration::ZERO);
        self.times = StageTimes {
            upload: zero,
            bend: zero,
            read_back: zero,
            ..StageTimes::default()
        };
    }

    pub(super) fn add_to_staging(&mut self, time: Duration) {
        self.times.to_staging += time;
    }

    pub(super) fn add_from_staging(&mut self, time: Duration) {
        self.times.from_staging += time;
    }

    pub(super) fn stamp(&self, encoder: &mut wgpu::CommandEncoder, place: u32) {
        if let Some(clock) = &self.clock {
            encoder.write_timestamp(&clock.queries, place);
        }
    }

    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder, staging: usize) {
        if let Some(clock) = &self.clock {
            encoder.resolve_query_set(&clock.queries, 0..STAMPS, &clock.resolved, 0);
            encoder.copy_buffer_to_buffer(&clock.resolved, 0, &clock.read[staging], 0, BYTES);
        }
    }

    /// After the submission.
    pub(super) fn map(&self, staging: usize) {
        if let Some(clock) = &self.clock {
            clock.read[staging].map_async(wgpu::MapMode::Read, .., |_| {});
        }
    }

    /// Adds a part that is done.
    pub(super) fn read(&mut self, staging: usize) -> Result<(), GpuError> {
        let Some(clock) = &self.clock else {
            return Ok(());
        };
        let buffer = &clock.read[staging];
        let view = buffer
            .get_mapped_range(..)
            .map_err(|e| GpuError::Failed(e.to_string()))?;
        let mut stamps = [0_u64; STAMPS as usize];
        bytemuck::cast_slice_mut(&mut stamps).copy_from_slice(&view);
        drop(view);
        buffer.unmap();
        let times = [
            &mut self.times.upload,
            &mut self.times.bend,
            &mut self.times.read_back,
        ];
        for (time, pair) in times.into_iter().zip(stamps.windows(2)) {
            let ticks = pair[1].saturating_sub(pair[0]);
            let nanos = ticks as f64 * clock.nanos_per_tick;
            *time.get_or_insert_default() += Duration::from_nanos(nanos as u64);
        }
        Ok(())
    }
}

impl GpuClock {
    fn new(gpu: &Gpu) -> Self {
        use wgpu::BufferUsages as Usage;
        let device = gpu.device();
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("bend times"),
                size: BYTES,
                usage,
                mapped_at_creation: false,
            })
        };
        let read = || buffer(Usage::MAP_READ | Usage::COPY_DST);
        Self {
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("bend times"),
                ty: wgpu::QueryType::Timestamp,
                count: STAMPS,
            }),
            resolved: buffer(Usage::QUERY_RESOLVE | Usage::COPY_SRC),
            read: [read(), read()],
            nanos_per_tick: f64::from(gpu.queue().get_timestamp_period()),
        }
    }
}
