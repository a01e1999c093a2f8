//! Bends on a GPU: the chosen channels go up, all bends run in one submission, the channels come
//! back.
//!
//! Two buffers take turns: a step reads a channel from the one and writes it to the other. Channels
//! that a step leaves out stay where they are, so after the last step they may be spread over both;
//! the copy to the read-back buffer collects them.
//!
//! Many channels on a GPU with its own memory go in parts, each a submission, with two sets of buffers
//! between host and GPU: while the GPU works on one part, the host reads the part before back and
//! hands the next one in.
//!
//! Buffers, bind groups and pipelines are kept; they grow when a layer needs more. What wgpu's API
//! makes anew each time is the command encoder with its passes, and the bookkeeping of mappings.

use super::BendError;
use super::chain::{Chain, heaviest};
use super::gpu_buffers::{Buffers, FLOAT, Sizes, Staging};
use super::gpu_work::Work;
use super::kernel::PASSES;
use super::memory::{FrameTime, Memory};
use super::shaders::ShaderSources;
use super::spec::{Bend, Reads};
use super::stages::{StageTimes, Stages};
use super::uniform::{BendUniform, MAX_TAPS};
use crate::gpu::{Gpu, GpuError};
use crate::tensor::{FeatureMaps, MapShape};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use wgpu::BufferUsages as Usage;

/// Sources of `shaders/bend/`, by stem.
pub const SHADERS: &[(&str, &str)] = &[
    ("affine", include_str!("../../shaders/bend/affine.wgsl")),
    ("blur", include_str!("../../shaders/bend/blur.wgsl")),
    (
        "morphology",
        include_str!("../../shaders/bend/morphology.wgsl"),
    ),
    ("noise", include_str!("../../shaders/bend/noise.wgsl")),
    (
        "pointwise",
        include_str!("../../shaders/bend/pointwise.wgsl"),
    ),
];

/// Most planes in one dispatch (its z), and so in one submission.
const MAX_SLOTS: usize = 65_535;

/// Room for levels of large discs, in bytes: as many planes at once as fit, one at least.
const SCRATCH_BYTES: usize = 64 << 20;

/// Bytes of channels that go in one part on a GPU with its own memory: enough to keep it busy.
const PART_BYTES: usize = 8 << 20;

/// See [`super::Bender::gpu`].
#[derive(Debug)]
pub struct GpuBender {
    gpu: Arc<Gpu>,
    layout: wgpu::BindGroupLayout,
    /// By [`Pass::index`].
    pipelines: Vec<wgpu::ComputePipeline>,
    /// Bytes from one [`BendUniform`] to the next.
    stride: usize,
    /// Longest buffer that a shader may see, in bytes.
    binding_limit: usize,
    /// [`SCRATCH_BYTES`].
    scratch_bytes: usize,
    /// Longest part of a layer that goes in one submission, in bytes.
    part_bytes: usize,
    buffers: Option<Buffers>,
    stages: Option<Stages>,
    chain: Chain,
    work: Work,
    memory: Memory,
    /// What [`Memory`] keeps the books of.
    remembered: wgpu::Buffer,
}

/// A part that the GPU works on.
#[derive(Clone, Debug)]
struct Part {
    /// Slots.
    window: Range<usize>,
    /// Which of [`Buffers::staging`].
    staging: usize,
    submission: wgpu::SubmissionIndex,
}

impl GpuBender {
    /// Builds every pipeline and runs each once, so that nothing is compiled on stage.
    ///
    /// # Errors
    /// When the GPU refuses something, or its results differ from the CPU twins': then the driver
    /// is not to be trusted.
    pub fn new(gpu: Arc<Gpu>) -> Result<Self, BendError> {
        let mut bender = Self::untried(gpu, &ShaderSources::embedded())?;
        super::selfcheck::run(&mut bender, super::selfcheck::Results::AsTheTwins)?;
        bender.forget();
        Ok(bender)
    }

    /// The same from other sources, which may bend in other ways than the CPU twins.
    ///
    /// # Errors
    /// When the GPU refuses something; errors of a shader name its file and line.
    pub fn with_shaders(gpu: Arc<Gpu>, sources: &ShaderSources) -> Result<Self, BendError> {
        let mut bender = Self::untried(gpu, sources)?;
        super::selfcheck::run(&mut bender, super::selfcheck::Results::Any)?;
        bender.forget();
        Ok(bender)
    }

    fn untried(gpu: Arc<Gpu>, sources: &ShaderSources) -> Result<Self, BendError> {
        let device = gpu.device();
        let entry = |binding, ty, has_dynamic_offset, least: usize| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset,
                min_binding_size: NonZeroU64::new(least as u64),
            },
            count: None,
        };
        let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("bend"),
            entries: &[
                entry(
                    0,
                    wgpu::BufferBindingType::Uniform,
                    true,
                    size_of::<BendUniform>(),
                ),
                entry(1, storage(true), false, FLOAT),
                entry(2, storage(true), false, FLOAT),
                entry(3, storage(false), false, FLOAT),
                entry(4, storage(false), false, FLOAT),
                entry(5, storage(false), false, FLOAT),
            ],
        });
        let pipelines = build_pipelines(&gpu, &layout, sources)?;
        let limits = device.limits();
        let align = limits.min_uniform_buffer_offset_alignment.max(4) as usize;
        Ok(Self {
            layout,
            pipelines,
            stride: size_of::<BendUniform>().next_multiple_of(align),
            binding_limit: limits
                .max_storage_buffer_binding_size
                .min(limits.max_buffer_size / 4) as usize,
            scratch_bytes: SCRATCH_BYTES,
            part_bytes: if gpu.is_software() {
                // Its processor is the host's: nothing is gained by parts.
                usize::MAX
            } else {
                PART_BYTES
            },
            buffers: None,
            stages: None,
            chain: Chain::default(),
            work: Work::default(),
            memory: Memory::default(),
            remembered: memory_buffer(&gpu, 1),
            gpu,
        })
    }

    /// The GPU that it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Sends layers in parts of about so many bytes, one channel at least; the results are the same.
    /// [`usize::MAX`] sends each layer whole.
    pub const fn set_part_bytes(&mut self, bytes: usize) {
        self.part_bytes = bytes;
    }

    /// Measures from now on how long each stage takes on the GPU; that costs a little. Gives whether
    /// the adapter can tell the stages apart.
    pub fn measure_stages(&mut self) -> bool {
        let stages = Stages::new(&self.gpu);
        self.stages = Some(stages);
        self.stages.as_ref().is_some_and(Stages::are_told)
    }

    /// Stages of the last [`Self::apply`], once they are measured.
    pub fn stage_times(&self) -> Option<StageTimes> {
        Some(self.stages.as_ref()?.times())
    }

    /// Makes room for the bends of a layer, on all of its channels, so that nothing grows on stage.
    ///
    /// # Errors
    /// When the GPU has not that much memory.
    pub fn reserve(&mut self, shape: MapShape, bends: &[Bend]) -> Result<(), BendError> {
        for bend in bends {
            self.memory.reserve(bend, shape);
        }
        self.settle_memory()?;
        let crosses = bends.iter().any(|b| b.transform.reads == Reads::Partners);
        let slots = shape.channels.min(self.part(shape, crosses)?);
        let count = bends.len().max(1);
        let most_levels = bends.iter().map(|bend| heaviest(bend, shape).levels).max();
        let levels = most_levels.unwrap_or(0);
        let scratch = self.scratch(shape, slots, levels);
        // Each side of each pass, and again for each part of the planes that levels have room for.
        let at_once = scratch / (levels as usize * shape.plane_len() * FLOAT).max(1);
        let parts = slots.div_ceil(at_once.max(1)) + 1;
        let passes = if at_once > 0 { 4 * parts } else { 4 };
        self.grow(Sizes {
            uniforms: passes * count * self.stride,
            lists: count * (4 * slots + MAX_TAPS) * FLOAT,
            maps: slots * shape.plane_len() * FLOAT,
            scratch,
        })?;
        Ok(self.gpu.check()?)
    }

    /// Bytes for levels of so many planes; 0 when they have no room on this GPU.
    fn scratch(&self, shape: MapShape, planes: usize, levels: u32) -> usize {
        let one = levels as usize * shape.plane_len() * FLOAT;
        let bytes = (planes * one).min(self.scratch_bytes).max(one);
        if bytes > self.binding_limit { 0 } else { bytes }
    }

    /// Forgets what bends remember.
    pub fn forget(&mut self) {
        self.memory.forget();
    }

    /// Forgets what one bend remembers.
    pub(super) fn restart(&mut self, id: u32) {
        self.memory.restart(id);
    }

    /// Makes sure that what is to be remembered has room, and writes paintings.
    fn settle_memory(&mut self) -> Result<(), BendError> {
        let bytes = self.memory.len() * FLOAT;
        if bytes > self.binding_limit {
            return Err(BendError::Size {
                bytes,
                limit: self.binding_limit,
            });
        }
        if self.remembered.size() < bytes as u64 {
            self.remembered = memory_buffer(&self.gpu, bytes);
            self.memory.lose();
            // They are bound to the old one.
            self.buffers = None;
        }
        for (at, painting) in self.memory.take_paintings() {
            let bytes = bytemuck::cast_slice(&painting);
            self.gpu
                .queue()
                .write_buffer(&self.remembered, (at * FLOAT) as u64, bytes);
        }
        Ok(())
    }

    /// See [`super::Bender::apply`].
    ///
    /// # Errors
    /// See [`super::Bender::apply`].
    pub fn apply(
        &mut self,
        maps: &mut FeatureMaps<'_>,
        bends: &[Bend],
        time: FrameTime,
    ) -> Result<(), BendError> {
        let shape = maps.shape();
        let FeatureMaps::Host { data, .. } = maps;
        // Before the plan: what it says about the frame before must hold for the buffer in use.
        for bend in bends {
            self.memory.reserve(bend, shape);
        }
        self.settle_memory()?;
        self.chain
            .plan(bends, shape, data.len(), time, &mut self.memory)?;
        let slots = self.chain.channels().len();
        if slots == 0 || shape.is_empty() {
            return Ok(());
        }
        if let Some(stages) = &mut self.stages {
            stages.begin();
        }
        let window = self.part(shape, self.chain.crosses())?;
        if slots > window && self.chain.crosses() {
            return Err(BendError::Size {
                bytes: slots * shape.plane_len() * FLOAT,
                limit: self.binding_limit,
            });
        }
        let done = self.run(data, shape, window);
        if done.is_err() {
            // Their state of mapping is unknown now.
            self.buffers = None;
        }
        Ok(done?)
    }

    /// One part after another: while the GPU works on one, the part before is read back and the next
    /// one is handed in.
    fn run(&mut self, data: &mut [f32], shape: MapShape, window: usize) -> Result<(), GpuError> {
        let slots = self.chain.channels().len();
        // Nothing may grow while a part is on its way.
        let mut need = Sizes::default();
        for start in (0..slots).step_by(window) {
            need = need.max(self.plan(shape, start..slots.min(start + window)));
        }
        self.grow(need)?;
        let mut before: Option<Part> = None;
        for (index, start) in (0..slots).step_by(window).enumerate() {
            let part = start..slots.min(start + window);
            let part = self.submit(data, shape, part, index % 2)?;
            if let Some(before) = before.replace(part) {
                self.take_back(data, shape, &before)?;
            }
        }
        before.map_or(Ok(()), |last| self.take_back(data, shape, &last))
    }

    /// How many channels one submission takes.
    fn part(&self, shape: MapShape, whole: bool) -> Result<usize, BendError> {
        let window = self.window(shape)?;
        if whole {
            return Ok(window);
        }
        let planes = self.part_bytes / (shape.plane_len() * FLOAT).max(1);
        Ok(planes.clamp(1, window))
    }

    /// How many channels one submission may take: more than a layer has, but for huge ones.
    fn window(&self, shape: MapShape) -> Result<usize, BendError> {
        let plane = shape.plane_len() * FLOAT;
        match (self.binding_limit / plane.max(1)).min(MAX_SLOTS) {
            0 => Err(BendError::Size {
                bytes: plane,
                limit: self.binding_limit,
            }),
            window => Ok(window),
        }
    }

    /// Plans a part, and says what room it takes.
    fn plan(&mut self, shape: MapShape, window: Range<usize>) -> Sizes {
        let levels = self.chain.steps().iter().map(|s| s.uniform.levels).max();
        let scratch = self.scratch(shape, window.len(), levels.unwrap_or(0));
        let scratch = scratch.max(self.buffers.as_ref().map_or(0, |b| b.sizes.scratch));
        self.work
            .plan(&self.chain, &window, self.stride, scratch / FLOAT);
        Sizes {
            uniforms: self.work.uniforms.len(),
            lists: self.work.lists.len() * FLOAT,
            maps: window.len() * shape.plane_len() * FLOAT,
            scratch,
        }
    }

    /// Hands a part to the GPU.
    fn submit(
        &mut self,
        data: &[f32],
        shape: MapShape,
        window: Range<usize>,
        staging: usize,
    ) -> Result<Part, GpuError> {
        let sizes = self.plan(shape, window.clone());
        let plane = shape.plane_len() * FLOAT;
        let Some(buffers) = &self.buffers else {
            return Err(GpuError::Failed("no buffers".to_owned()));
        };
        let began = Instant::now();
        let channels = &self.chain.channels()[window.clone()];
        buffers.fill(staging, &self.work, channels, shape.plane_len(), data)?;
        if let Some(stages) = &mut self.stages {
            stages.add_to_staging(began.elapsed());
        }

        let mut encoder = self
            .gpu
            .device()
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let stages = self.stages.as_ref();
        let stamp = |encoder: &mut wgpu::CommandEncoder, place| {
            if let Some(stages) = stages {
                stages.stamp(encoder, place);
            }
        };
        stamp(&mut encoder, 0);
        buffers.encode_upload(staging, &mut encoder, sizes);
        stamp(&mut encoder, 1);
        self.encode_dispatches(&mut encoder, buffers, shape);
        stamp(&mut encoder, 2);
        let changes = &self.chain.changes()[window.clone()];
        let sides = &self.work.sides;
        buffers.encode_download(staging, &mut encoder, sides, changes, plane);
        stamp(&mut encoder, 3);
        if let Some(stages) = stages {
            stages.resolve(&mut encoder, staging);
        }
        let submission = self.gpu.queue().submit([encoder.finish()]);
        if let Some(stages) = stages {
            stages.map(staging);
        }

        let Staging { upload, download } = &buffers.staging[staging];
        // Failures of mapping show when the range is asked for.
        upload.map_async(wgpu::MapMode::Write, .., |_| {});
        download.map_async(wgpu::MapMode::Read, ..sizes.maps as u64, |_| {});
        Ok(Part {
            window,
            staging,
            submission,
        })
    }

    /// Waits for a part and reads it back.
    fn take_back(
        &mut self,
        data: &mut [f32],
        shape: MapShape,
        part: &Part,
    ) -> Result<(), GpuError> {
        self.gpu.wait(part.submission.clone())?;
        let Some(buffers) = &self.buffers else {
            return Err(GpuError::Failed("no buffers".to_owned()));
        };
        let began = Instant::now();
        let plane = shape.plane_len() * FLOAT;
        let download = &buffers.staging[part.staging].download;
        let view = download
            .get_mapped_range(..(part.window.len() * plane) as u64)
            .map_err(|e| GpuError::Failed(e.to_string()))?;
        let channels = &self.chain.channels()[part.window.clone()];
        let changes = &self.chain.changes()[part.window.clone()];
        let planes = channels.iter().zip(changes).zip(view.chunks_exact(plane));
        for ((&channel, _), bytes) in planes.filter(|((_, changes), _)| **changes) {
            let map = &mut data[channel as usize * shape.plane_len()..][..shape.plane_len()];
            bytemuck::cast_slice_mut(map).copy_from_slice(bytes);
        }
        drop(view);
        download.unmap();
        if let Some(stages) = &mut self.stages {
            stages.add_from_staging(began.elapsed());
            stages.read(part.staging)?;
        }
        Ok(())
    }

    fn encode_dispatches(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        buffers: &Buffers,
        shape: MapShape,
    ) {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let (columns, rows) = (shape.width as u32, shape.height as u32);
        for (index, dispatch) in self.work.dispatches.iter().enumerate() {
            pass.set_pipeline(&self.pipelines[dispatch.pass.index]);
            let offset = (index * self.stride) as u32;
            pass.set_bind_group(0, &buffers.groups[dispatch.side], &[offset]);
            let [wide, high] = dispatch.pass.tile;
            pass.dispatch_workgroups(columns.div_ceil(wide), rows.div_ceil(high), dispatch.planes);
        }
    }

    /// Makes sure that the buffers have at least these sizes.
    fn grow(&mut self, need: Sizes) -> Result<(), GpuError> {
        let have = self.buffers.as_ref().map(|b| b.sizes);
        if have.is_some_and(|have| have.holds(need)) {
            return Ok(());
        }
        let need = need.max(have.unwrap_or_default());
        // Tables double; maps come in a handful of sizes, those of the layers.
        let sizes = Sizes {
            uniforms: need
                .uniforms
                .next_power_of_two()
                .next_multiple_of(self.stride),
            lists: need.lists.next_power_of_two(),
            ..need
        };
        // The old ones first: both may not fit.
        self.buffers = None;
        self.buffers = Some(Buffers::new(
            &self.gpu,
            &self.layout,
            &self.remembered,
            sizes,
        ));
        self.gpu.check()
    }
}

fn build_pipelines(
    gpu: &Gpu,
    layout: &wgpu::BindGroupLayout,
    sources: &ShaderSources,
) -> Result<Vec<wgpu::ComputePipeline>, BendError> {
    let device = gpu.device();
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some("bend"),
        bind_group_layouts: &[Some(layout)],
        immediate_size: 0,
    });
    let mut modules = Vec::new();
    for (stem, _) in SHADERS {
        let wrong = |reason| BendError::Shader { stem, reason };
        let source = sources.assemble(stem).map_err(wrong)?;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(stem),
            source: wgpu::ShaderSource::Wgsl(source.text.as_str().into()),
        });
        if let Err(error) = gpu.check() {
            let info = pollster::block_on(module.get_compilation_info());
            let message = info.messages.into_iter().find(|m| {
                m.location.is_some() && m.message_type == wgpu::CompilationMessageType::Error
            });
            return Err(wrong(match message {
                Some(message) => sources.place(stem, &source, &message),
                None => error.to_string(),
            }));
        }
        modules.push((*stem, module));
    }
    let mut pipelines = Vec::new();
    for pass in PASSES {
        let Some((_, module)) = modules.iter().find(|(stem, _)| *stem == pass.stem) else {
            return Err(BendError::Shader {
                stem: pass.stem,
                reason: "is not embedded".to_owned(),
            });
        };
        pipelines.push(
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(pass.entry),
                layout: Some(&pipeline_layout),
                module,
                entry_point: Some(pass.entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            }),
        );
    }
    gpu.check()?;
    Ok(pipelines)
}

fn memory_buffer(gpu: &Gpu, bytes: usize) -> wgpu::Buffer {
    gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("bend memory"),
        size: bytes.next_multiple_of(FLOAT).max(FLOAT) as u64,
        usage: Usage::STORAGE | Usage::COPY_DST,
        mapped_at_creation: false,
    })
}

#[cfg(test)]
mod tests {
    use super::{FLOAT, GpuBender, SCRATCH_BYTES};
    use crate::bend::{Bend, CpuBender, FrameTime, spec};
    use crate::gpu::{AdapterChoice, Gpu};
    use crate::tensor::{ChannelSet, FeatureMaps, MapShape};
    use std::sync::Arc;

    const SHAPE: MapShape = MapShape {
        channels: 5,
        height: 21,
        width: 40,
    };

    fn bender() -> Option<GpuBender> {
        // The tests of the whole insist on an adapter; here one is taken where there is one.
        let gpu = Gpu::new(&AdapterChoice::Auto).ok()?;
        Some(GpuBender::new(Arc::new(gpu)).unwrap())
    }

    fn bends() -> Vec<Bend> {
        let one = |name: &str, params: &[f32], channels: &[u32], id| {
            let transform = spec::find(name).unwrap();
            let channels = ChannelSet::from_indices(channels.iter().copied(), 5).unwrap();
            let mut bend = Bend::new(transform, channels, transform.resolve(params).unwrap());
            bend.id = id;
            bend
        };
        vec![
            one("dilate", &[9.5], &[0, 1, 3, 4], 0),
            one("flip-h", &[], &[3, 4], 1),
            one("feedback", &[0.5], &[1, 4], 2),
            one("erode", &[17.0], &[0, 1, 2, 4], 3),
        ]
    }

    fn input() -> Vec<f32> {
        (0..SHAPE.len()).map(|i| (i as f32 * 0.37).sin()).collect()
    }

    fn frames(apply: &mut dyn FnMut(&mut FeatureMaps<'_>, FrameTime)) -> Vec<u32> {
        let mut data = input();
        for index in 0..3 {
            let mut maps = FeatureMaps::Host {
                data: &mut data,
                shape: SHAPE,
            };
            let dt_secs = 0.125;
            apply(&mut maps, FrameTime { index, dt_secs });
        }
        data.iter().map(|v| v.to_bits()).collect()
    }

    fn of(gpu: &mut GpuBender) -> Vec<u32> {
        gpu.forget();
        frames(&mut |maps, time| gpu.apply(maps, &bends(), time).unwrap())
    }

    #[test]
    fn parts_give_the_same_as_the_whole() {
        let Some(mut gpu) = bender() else { return };
        let whole = of(&mut gpu);
        let plane = SHAPE.plane_len() * FLOAT;
        for planes in [1, 2, 3] {
            gpu.set_part_bytes(planes * plane);
            assert_eq!(of(&mut gpu), whole, "{planes} at once");
        }
        if gpu.measure_stages() {
            assert_eq!(of(&mut gpu), whole);
            let times = gpu.stage_times().unwrap();
            assert!(times.bend.unwrap() > std::time::Duration::ZERO);
        }
    }

    #[test]
    fn discs_are_the_same_with_little_room_for_levels_and_with_none() {
        let Some(mut gpu) = bender() else { return };
        assert!(SCRATCH_BYTES > 30 * SHAPE.plane_len() * FLOAT);
        let whole = of(&mut gpu);
        let mut cpu = CpuBender::default();
        let twin = frames(&mut |maps, time| cpu.apply(maps, &bends(), time).unwrap());
        let value = |bits: &u32| f32::from_bits(*bits);
        let off = whole
            .iter()
            .zip(&twin)
            .map(|(a, b)| (value(a) - value(b)).abs());
        assert!(off.fold(0.0, f32::max) < 1e-5);
        // Levels of one map at a time.
        gpu.buffers = None;
        gpu.scratch_bytes = 1;
        assert_eq!(of(&mut gpu), whole);
        assert!(gpu.work.dispatches.len() > 20);
        // No room for any.
        gpu.buffers = None;
        gpu.binding_limit = 5 * SHAPE.plane_len() * FLOAT;
        assert_eq!(of(&mut gpu), whole);
        assert!(gpu.work.dispatches.len() < 10);
    }
}
