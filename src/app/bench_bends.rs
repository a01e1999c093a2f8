//! The part of `bendwave bench` that times each transform by itself, against a plain copy of the same
//! bytes by the same processor or adapter.

use crate::app::bench::Times;
use crate::app::{bends, print};
use crate::bend::{Bend, BendError, Bender, FrameTime, StageTimes, TRANSFORMS};
use crate::gpu::{Gpu, GpuError};
use crate::tensor::{ChannelSet, FeatureMaps, MapShape};
use serde_json::{Value, json};
use std::fmt;

/// Most rounds: a late layer takes a CPU about a second.
const MOST_ROUNDS: usize = 20;

/// Times every transform on all features, and prints a table. Gives the rows for a JSON file.
pub(crate) fn run(
    benders: &mut [Bender],
    shapes: &[MapShape],
    frames: usize,
) -> anyhow::Result<Vec<Value>> {
    let rounds = frames.clamp(1, MOST_ROUNDS);
    let mut rows = Vec::new();
    for &shape in shapes {
        let size = format!("{}×{}²", shape.channels, shape.width);
        for bender in &mut *benders {
            let place = bender.name();
            print(&format!(
                "\n{size}, {:.1} MB, {place}; {rounds} rounds",
                shape.len() as f64 * 4e-6
            ))?;
            let staged = match bender {
                Bender::Gpu(bender) => {
                    bender.measure_stages();
                    "     host →      up    bend    down  → host"
                }
                Bender::Cpu(_) => "",
            };
            print(&format!(
                "{:<18} {:>9} {:>9} {:>9}{staged}",
                "", "p50 ms", "p99 ms", "of copy"
            ))?;
            let copy = copy_times(bender, shape, rounds)?;
            let mut row = |name: &str, times: &Times, stages: &Stages| -> anyhow::Result<()> {
                let (p50, p99) = (times.at(0.5), times.at(0.99));
                let ratio = p50 / copy.at(0.5);
                print(&format!(
                    "{name:<18} {:>9.2} {:>9.2} {ratio:>9.2}{stages}",
                    p50 * 1e3,
                    p99 * 1e3
                ))?;
                rows.push(json!({
                    "size": size, "on": place, "what": name,
                    "p50_secs": p50, "p99_secs": p99, "of_copy": ratio, "stages_p50_secs": stages.p50s(),
                }));
                Ok(())
            };
            row("copy", &copy, &Stages::default())?;
            for transform in TRANSFORMS {
                let mut data = noise(shape);
                let params = transform.resolve(&bends::setting(transform))?;
                let all = ChannelSet::all(shape.channels);
                let mut bends = [Bend::new(transform, all, params)];
                bends[0].partners = ChannelSet::random(shape.channels, 0.5, 1);
                bender.forget();
                bender.reserve(shape, &bends)?;
                let mut times = Times::default();
                let mut stages = Stages::default();
                let timed = (0..=rounds).try_for_each(|round| {
                    times.time(round > 0, || {
                        let mut maps = FeatureMaps::Host {
                            data: &mut data,
                            shape,
                        };
                        let time = FrameTime {
                            index: round as u64,
                            dt_secs: 1.0 / 60.0,
                        };
                        bender.apply(&mut maps, &bends, time)
                    })?;
                    if let (Bender::Gpu(bender), true) = (&*bender, round > 0) {
                        stages.add(bender.stage_times());
                    }
                    Ok::<(), BendError>(())
                });
                if let Err(error) = timed {
                    // A slow adapter may give a submission up; the others are still to be timed.
                    print(&format!("{:<18} {error}", transform.name))?;
                    continue;
                }
                row(transform.name, &times, &stages)?;
            }
        }
    }
    Ok(rows)
}

/// Times of each stage on a GPU, in the order of the work. Empty for the CPU.
#[derive(Debug, Default)]
struct Stages([Times; 5]);

impl Stages {
    fn add(&mut self, times: Option<StageTimes>) {
        let Some(t) = times else { return };
        let stages = [
            Some(t.to_staging),
            t.upload,
            t.bend,
            t.read_back,
            Some(t.from_staging),
        ];
        for (all, time) in self.0.iter_mut().zip(stages) {
            all.0.extend(time.map(|t| t.as_secs_f64()));
        }
    }

    /// `None` for what the adapter cannot tell.
    fn p50s(&self) -> Vec<Option<f64>> {
        let p50 = |times: &Times| (!times.0.is_empty()).then(|| times.at(0.5));
        self.0.iter().map(p50).collect()
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p50s = self.p50s();
        if p50s.iter().all(Option::is_none) {
            return Ok(());
        }
        f.write_str("  ")?;
        for p50 in p50s {
            match p50 {
                Some(secs) => write!(f, " {:>7.2}", secs * 1e3)?,
                None => write!(f, " {:>7}", "–")?,
            }
        }
        Ok(())
    }
}

/// Values as activations have them.
fn noise(shape: MapShape) -> Vec<f32> {
    (0..shape.len())
        .map(|i| (i as f32 * 0.7).sin() * 2.0)
        .collect()
}

/// The same bytes copied: within memory for the CPU; to the adapter, from buffer to buffer there, and
/// back for a GPU, which is the way that bent maps take.
fn copy_times(bender: &Bender, shape: MapShape, rounds: usize) -> anyhow::Result<Times> {
    let mut data = noise(shape);
    let mut times = Times::default();
    match bender {
        Bender::Cpu(_) => {
            let mut to = vec![0.0; data.len()];
            for round in 0..=rounds {
                times.time(round > 0, || -> anyhow::Result<()> {
                    to.copy_from_slice(std::hint::black_box(&data));
                    std::hint::black_box(&to);
                    Ok(())
                })?;
            }
        }
        Bender::Gpu(bender) => {
            let copier = Copier::new(bender.gpu(), data.len() * 4);
            for round in 0..=rounds {
                times.time(round > 0, || copier.copy(bender.gpu(), &mut data))?;
            }
        }
    }
    Ok(times)
}

/// Buffers for the way to an adapter and back.
struct Copier {
    upload: wgpu::Buffer,
    maps: [wgpu::Buffer; 2],
    download: wgpu::Buffer,
}

impl Copier {
    fn new(gpu: &Gpu, bytes: usize) -> Self {
        use wgpu::BufferUsages as Usage;
        let buffer = |usage, mapped_at_creation| {
            gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("plain copy"),
                size: bytes as u64,
                usage,
                mapped_at_creation,
            })
        };
        let between = Usage::COPY_SRC | Usage::COPY_DST;
        Self {
            upload: buffer(Usage::MAP_WRITE | Usage::COPY_SRC, true),
            maps: [buffer(between, false), buffer(between, false)],
            download: buffer(Usage::MAP_READ | Usage::COPY_DST, false),
        }
    }

    fn copy(&self, gpu: &Gpu, data: &mut [f32]) -> Result<(), GpuError> {
        let failed = |e: wgpu::MapRangeError| GpuError::Failed(e.to_string());
        let mut view = self.upload.get_mapped_range_mut(..).map_err(failed)?;
        view.copy_from_slice(bytemuck::cast_slice(data));
        drop(view);
        self.upload.unmap();
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        let way = [&self.upload, &self.maps[0], &self.maps[1], &self.download];
        for pair in way.windows(2) {
            encoder.copy_buffer_to_buffer(pair[0], 0, pair[1], 0, self.upload.size());
        }
        let submission = gpu.queue().submit([encoder.finish()]);
        self.upload.map_async(wgpu::MapMode::Write, .., |_| {});
        self.download.map_async(wgpu::MapMode::Read, .., |_| {});
        gpu.wait(submission)?;
        let view = self.download.get_mapped_range(..).map_err(failed)?;
        bytemuck::cast_slice_mut(data).copy_from_slice(&view);
        drop(view);
        self.download.unmap();
        Ok(())
    }
}
