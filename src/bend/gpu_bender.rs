//! Bends on a GPU: the chosen channels go up, all bends run in one submission, the channels come
//! back.
//!
//! Two buffers take turns: a step reads a channel from the one and writes it to the other. Channels
//! that a step leaves out stay where they are, so after the last step they may be spread over both;
//! the copy to the read-back buffer collects them.
//!
//! Buffers, bind groups and pipelines are kept; they grow when a layer needs more. What wgpu's API
//! makes anew each time is the command encoder with its passes, and the bookkeeping of mappings.

use super::BendError;
use super::chain::{Chain, Job, Step};
use super::cpu::clean;
use super::kernel::{PASSES, Pass};
use super::memory::{FrameTime, Memory};
use super::shaders::ShaderSources;
use super::spec::{Bend, Reads};
use super::uniform::{BendUniform, MAX_TAPS};
use crate::gpu::{Gpu, GpuError};
use crate::tensor::{FeatureMaps, MapShape};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
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

/// Values cleaned at a time on their way up: stays in the first-level cache.
const BLOCK: usize = 1024;

const FLOAT: usize = size_of::<f32>();

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
    buffers: Option<Buffers>,
    chain: Chain,
    work: Work,
    memory: Memory,
    /// What [`Memory`] keeps the books of.
    remembered: wgpu::Buffer,
}

/// What one submission does. Keeps its memory.
#[derive(Debug, Default)]
struct Work {
    dispatches: Vec<Dispatch>,
    /// `stride` bytes for each dispatch.
    uniforms: Vec<u8>,
    /// Weights of all steps, then slot and one more word for each job of all dispatches.
    lists: Vec<u32>,
    /// In which of the two buffers each slot is.
    sides: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Dispatch {
    pass: &'static Pass,
    /// The buffer that it reads.
    side: usize,
    planes: u32,
}

/// Buffers for up to a number of bytes each.
#[derive(Debug)]
struct Buffers {
    sizes: Sizes,
    /// Mapped between frames: uniforms, then lists, then maps.
    upload: wgpu::Buffer,
    uniforms: wgpu::Buffer,
    lists: wgpu::Buffer,
    maps: [wgpu::Buffer; 2],
    download: wgpu::Buffer,
    /// Reading the first of `maps`, reading the second.
    groups: [wgpu::BindGroup; 2],
}

/// Bytes of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    uniforms: usize,
    lists: usize,
    maps: usize,
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
            buffers: None,
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

    /// Makes room for the bends of a layer, on all of its channels, so that nothing grows on stage.
    ///
    /// # Errors
    /// When the GPU has not that much memory.
    pub fn reserve(&mut self, shape: MapShape, bends: &[Bend]) -> Result<(), BendError> {
        for bend in bends {
            self.memory.reserve(bend, shape);
        }
        self.settle_memory()?;
        let slots = shape.channels.min(self.window(shape)?);
        let count = bends.len().max(1);
        self.grow(Sizes {
            // Each side of each pass.
            uniforms: 4 * count * self.stride,
            lists: count * (4 * slots + MAX_TAPS) * FLOAT,
            maps: slots * shape.plane_len() * FLOAT,
        })?;
        Ok(self.gpu.check()?)
    }

    /// Forgets what bends remember.
    pub fn forget(&mut self) {
        self.memory.forget();
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
        let window = self.window(shape)?;
        if slots > window && self.chain.crosses() {
            return Err(BendError::Size {
                bytes: slots * shape.plane_len() * FLOAT,
                limit: self.binding_limit,
            });
        }
        for start in (0..slots).step_by(window) {
            let done = self.submit(data, shape, start..slots.min(start + window));
            if let Err(error) = done {
                // Their state of mapping is unknown now.
                self.buffers = None;
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// How many channels one submission takes: more than a layer has, but for huge ones.
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

    fn submit(
        &mut self,
        data: &mut [f32],
        shape: MapShape,
        window: Range<usize>,
    ) -> Result<(), GpuError> {
        self.work.plan(&self.chain, &window, self.stride);
        let plane = shape.plane_len() * FLOAT;
        let sizes = Sizes {
            uniforms: self.work.uniforms.len(),
            lists: self.work.lists.len() * FLOAT,
            maps: window.len() * plane,
        };
        self.grow(sizes)?;
        let Some(buffers) = &self.buffers else {
            return Err(GpuError::Failed("no buffers".to_owned()));
        };
        let channels = &self.chain.channels()[window.clone()];
        buffers.fill(&self.work, channels, shape.plane_len(), data)?;

        let mut encoder = self
            .gpu
            .device()
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        buffers.encode_upload(&mut encoder, sizes);
        self.encode_dispatches(&mut encoder, buffers, shape);
        let changes = &self.chain.changes()[window];
        buffers.encode_download(&mut encoder, &self.work.sides, changes, plane);
        let submission = self.gpu.queue().submit([encoder.finish()]);

        let back = 0..sizes.maps as u64;
        // Failures of mapping show when the range is asked for.
        buffers.upload.map_async(wgpu::MapMode::Write, .., |_| {});
        buffers
            .download
            .map_async(wgpu::MapMode::Read, back.clone(), |_| {});
        self.gpu.wait(submission)?;
        let view = buffers
            .download
            .get_mapped_range(back)
            .map_err(|e| GpuError::Failed(e.to_string()))?;
        let planes = channels.iter().zip(changes).zip(view.chunks_exact(plane));
        for ((&channel, _), bytes) in planes.filter(|((_, changes), _)| **changes) {
            let map = &mut data[channel as usize * shape.plane_len()..][..shape.plane_len()];
            bytemuck::cast_slice_mut(map).copy_from_slice(bytes);
        }
        drop(view);
        buffers.download.unmap();
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
        if have.is_some_and(|h| {
            h.uniforms >= need.uniforms && h.lists >= need.lists && h.maps >= need.maps
        }) {
            return Ok(());
        }
        let have = have.unwrap_or(Sizes {
            uniforms: 0,
            lists: 0,
            maps: 0,
        });
        // Tables double; maps come in a handful of sizes, those of the layers.
        let sizes = Sizes {
            uniforms: need
                .uniforms
                .max(have.uniforms)
                .next_power_of_two()
                .next_multiple_of(self.stride),
            lists: need.lists.max(have.lists).next_power_of_two(),
            maps: need.maps.max(have.maps),
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

/// Set in a job's second word when that slot is in the other buffer.
const OTHER_SIDE: u32 = 1 << 31;

impl Work {
    /// Turns the steps, as far as they touch the slots in `window`, into dispatches.
    fn plan(&mut self, chain: &Chain, window: &Range<usize>, stride: usize) {
        self.dispatches.clear();
        self.uniforms.clear();
        self.lists.clear();
        self.lists.extend(chain.taps().iter().map(|t| t.to_bits()));
        self.sides.clear();
        self.sides.resize(window.len(), 0);
        for step in chain.steps() {
            let jobs = chain.jobs(step, window.clone());
            // A dispatch reads one side and writes the other.
            let first = self.lists.len();
            for side in 0..2 {
                self.dispatch(step, side, jobs, window.start, stride);
            }
            if step.kernel.passes.len() % 2 == 1 {
                for job in self.lists[first..].chunks_exact(2) {
                    self.sides[job[0] as usize] ^= 1;
                }
            }
        }
    }

    fn dispatch(&mut self, step: &Step, side: usize, jobs: &[Job], start: usize, stride: usize) {
        let first = self.lists.len();
        let start = start as u32;
        for job in jobs {
            let slot = job.slot - start;
            if self.sides[slot as usize] != side {
                continue;
            }
            let more = if step.reads == Reads::Partners {
                // Sides turn after both dispatches, and the old values stay where they were.
                let other = self.sides[(job.more - start) as usize] != side;
                (job.more - start) | if other { OTHER_SIDE } else { 0 }
            } else {
                job.more
            };
            self.lists.extend([slot, more]);
        }
        let planes = ((self.lists.len() - first) / 2) as u32;
        if planes == 0 {
            return;
        }
        let uniform = BendUniform {
            first_job: first as u32,
            ..step.uniform
        };
        for (place, pass) in step.kernel.passes.iter().enumerate() {
            let at = self.uniforms.len();
            self.uniforms.resize(at + stride, 0);
            self.uniforms[at..][..size_of::<BendUniform>()]
                .copy_from_slice(bytemuck::bytes_of(&uniform));
            self.dispatches.push(Dispatch {
                pass,
                side: (side + place) % 2,
                planes,
            });
        }
    }
}

impl Sizes {
    /// Where lists, maps and the end are in the upload buffer.
    const fn offsets(self) -> [usize; 3] {
        let lists = self.uniforms;
        let maps = lists + self.lists;
        [lists, maps, maps + self.maps]
    }
}

impl Buffers {
    fn new(gpu: &Gpu, layout: &wgpu::BindGroupLayout, memory: &wgpu::Buffer, sizes: Sizes) -> Self {
        let buffer = |label, size: usize, usage, mapped_at_creation| {
            gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: size as u64,
                usage,
                mapped_at_creation,
            })
        };
        let [.., total] = sizes.offsets();
        let map_usage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let uniforms = buffer(
            "bend uniforms",
            sizes.uniforms,
            Usage::UNIFORM | Usage::COPY_DST,
            false,
        );
        let lists = buffer(
            "bend lists",
            sizes.lists,
            Usage::STORAGE | Usage::COPY_DST,
            false,
        );
        let maps = [
            buffer("bend maps, even", sizes.maps, map_usage, false),
            buffer("bend maps, odd", sizes.maps, map_usage, false),
        ];
        let group = |from: usize| {
            let entry = |binding, resource| wgpu::BindGroupEntry { binding, resource };
            gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("bend"),
                layout,
                entries: &[
                    entry(
                        0,
                        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                            buffer: &uniforms,
                            offset: 0,
                            size: NonZeroU64::new(size_of::<BendUniform>() as u64),
                        }),
                    ),
                    entry(1, lists.as_entire_binding()),
                    entry(2, maps[from].as_entire_binding()),
                    entry(3, maps[1 - from].as_entire_binding()),
                    entry(4, memory.as_entire_binding()),
                ],
            })
        };
        Self {
            groups: [group(0), group(1)],
            upload: buffer(
                "bend upload",
                total,
                Usage::MAP_WRITE | Usage::COPY_SRC,
                true,
            ),
            download: buffer(
                "bend download",
                sizes.maps,
                Usage::MAP_READ | Usage::COPY_DST,
                false,
            ),
            uniforms,
            lists,
            maps,
            sizes,
        }
    }

    /// Writes tables and chosen channels to the upload buffer and hands it to the GPU.
    fn fill(
        &self,
        work: &Work,
        channels: &[u32],
        plane: usize,
        data: &[f32],
    ) -> Result<(), GpuError> {
        let [lists, maps, _] = self.sizes.offsets();
        let mut view = self
            .upload
            .get_mapped_range_mut(..)
            .map_err(|e| GpuError::Failed(e.to_string()))?;
        view.slice(..work.uniforms.len())
            .copy_from_slice(&work.uniforms);
        let list_bytes: &[u8] = bytemuck::cast_slice(&work.lists);
        view.slice(lists..lists + list_bytes.len())
            .copy_from_slice(list_bytes);
        let mut room = view.slice(maps..);
        let mut block = [0.0; BLOCK];
        let mut at = 0;
        for &channel in channels {
            let map = &data[channel as usize * plane..][..plane];
            for values in map.chunks(BLOCK) {
                let block = &mut block[..values.len()];
                for (out, &x) in block.iter_mut().zip(values) {
                    *out = clean(x);
                }
                let bytes: &[u8] = bytemuck::cast_slice(block);
                room.slice(at..at + bytes.len()).copy_from_slice(bytes);
                at += bytes.len();
            }
        }
        drop(view);
        self.upload.unmap();
        Ok(())
    }

    fn encode_upload(&self, encoder: &mut wgpu::CommandEncoder, used: Sizes) {
        let [lists, maps, _] = self.sizes.offsets();
        for (from, to, bytes) in [
            (0, &self.uniforms, used.uniforms),
            (lists, &self.lists, used.lists),
            (maps, &self.maps[0], used.maps),
        ] {
            encoder.copy_buffer_to_buffer(&self.upload, from as u64, to, 0, bytes as u64);
        }
    }

    /// Collects the slots that were changed from both sides, neighbours together.
    fn encode_download(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        sides: &[usize],
        changes: &[bool],
        plane: usize,
    ) {
        let mut start = 0;
        while start < sides.len() {
            let alike =
                |slot: &usize| (sides[*slot], changes[*slot]) == (sides[start], changes[start]);
            let count = (start..sides.len()).take_while(alike).count();
            if changes[start] {
                let at = (start * plane) as u64;
                let bytes = (count * plane) as u64;
                let from = &self.maps[sides[start]];
                encoder.copy_buffer_to_buffer(from, at, &self.download, at, bytes);
            }
            start += count;
        }
    }
}
