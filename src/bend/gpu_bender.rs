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
use super::chain::{Chain, Step};
use super::cpu::clean;
use super::kernel::KERNELS;
use super::shaders::ShaderSources;
use super::spec::Bend;
use super::uniform::BendUniform;
use crate::gpu::{Gpu, GpuError};
use crate::tensor::{FeatureMaps, MapShape};
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use wgpu::BufferUsages as Usage;

/// Sources of `shaders/bend/`, by stem.
pub const SHADERS: &[(&str, &str)] = &[
    ("affine", include_str!("../../shaders/bend/affine.wgsl")),
    (
        "morphology",
        include_str!("../../shaders/bend/morphology.wgsl"),
    ),
    (
        "pointwise",
        include_str!("../../shaders/bend/pointwise.wgsl"),
    ),
];

/// Workgroups are this wide and high, as the shaders say too.
pub const TILE: u32 = 8;

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
    /// By [`super::kernel::Kernel::index`].
    pipelines: Vec<wgpu::ComputePipeline>,
    /// Bytes from one [`BendUniform`] to the next.
    stride: usize,
    /// Longest buffer that a shader may see, in bytes.
    binding_limit: usize,
    buffers: Option<Buffers>,
    chain: Chain,
    work: Work,
}

/// What one submission does. Keeps its memory.
#[derive(Debug, Default)]
struct Work {
    dispatches: Vec<Dispatch>,
    /// `stride` bytes for each dispatch.
    uniforms: Vec<u8>,
    /// Slots of all dispatches.
    jobs: Vec<u32>,
    /// In which of the two buffers each slot is.
    sides: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Dispatch {
    kernel: usize,
    /// The buffer that it reads.
    side: usize,
    planes: u32,
}

/// Buffers for up to a number of bytes each.
#[derive(Debug)]
struct Buffers {
    sizes: Sizes,
    /// Mapped between frames: uniforms, then jobs, then maps.
    upload: wgpu::Buffer,
    uniforms: wgpu::Buffer,
    jobs: wgpu::Buffer,
    maps: [wgpu::Buffer; 2],
    download: wgpu::Buffer,
    /// Reading the first of `maps`, reading the second.
    groups: [wgpu::BindGroup; 2],
}

/// Bytes of the parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    uniforms: usize,
    jobs: usize,
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
        Ok(bender)
    }

    /// The same from other sources, which may bend in other ways than the CPU twins.
    ///
    /// # Errors
    /// When the GPU refuses something; errors of a shader name its file and line.
    pub fn with_shaders(gpu: Arc<Gpu>, sources: &ShaderSources) -> Result<Self, BendError> {
        let mut bender = Self::untried(gpu, sources)?;
        super::selfcheck::run(&mut bender, super::selfcheck::Results::Any)?;
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
            gpu,
        })
    }

    /// The GPU that it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Makes room for all channels of a layer, so that nothing grows on stage.
    ///
    /// # Errors
    /// When the GPU has not that much memory.
    pub fn reserve(&mut self, shape: MapShape, bends: usize) -> Result<(), BendError> {
        let slots = shape.channels.min(self.window(shape)?);
        self.grow(Sizes {
            uniforms: 2 * bends.max(1) * self.stride,
            jobs: bends.max(1) * slots * FLOAT,
            maps: slots * shape.plane_len() * FLOAT,
        })?;
        Ok(self.gpu.check()?)
    }

    /// See [`super::Bender::apply`].
    ///
    /// # Errors
    /// See [`super::Bender::apply`].
    pub fn apply(&mut self, maps: &mut FeatureMaps<'_>, bends: &[Bend]) -> Result<(), BendError> {
        let shape = maps.shape();
        let FeatureMaps::Host { data, .. } = maps;
        self.chain.plan(bends, shape, data.len())?;
        let slots = self.chain.channels().len();
        if slots == 0 || shape.is_empty() {
            return Ok(());
        }
        let window = self.window(shape)?;
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
            jobs: self.work.jobs.len() * FLOAT,
            maps: window.len() * plane,
        };
        self.grow(sizes)?;
        let Some(buffers) = &self.buffers else {
            return Err(GpuError::Failed("no buffers".to_owned()));
        };
        let channels = &self.chain.channels()[window];
        buffers.fill(&self.work, channels, shape.plane_len(), data)?;

        let mut encoder = self
            .gpu
            .device()
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        buffers.encode_upload(&mut encoder, sizes);
        self.encode_dispatches(&mut encoder, buffers, shape);
        buffers.encode_download(&mut encoder, &self.work.sides, plane);
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
        for (&channel, bytes) in channels.iter().zip(view.chunks_exact(plane)) {
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
            pass.set_pipeline(&self.pipelines[dispatch.kernel]);
            let offset = (index * self.stride) as u32;
            pass.set_bind_group(0, &buffers.groups[dispatch.side], &[offset]);
            pass.dispatch_workgroups(columns.div_ceil(TILE), rows.div_ceil(TILE), dispatch.planes);
        }
    }

    /// Makes sure that the buffers have at least these sizes.
    fn grow(&mut self, need: Sizes) -> Result<(), GpuError> {
        let have = self.buffers.as_ref().map(|b| b.sizes);
        if have.is_some_and(|h| {
            h.uniforms >= need.uniforms && h.jobs >= need.jobs && h.maps >= need.maps
        }) {
            return Ok(());
        }
        let have = have.unwrap_or(Sizes {
            uniforms: 0,
            jobs: 0,
            maps: 0,
        });
        // Tables double; maps come in a handful of sizes, those of the layers.
        let sizes = Sizes {
            uniforms: need
                .uniforms
                .max(have.uniforms)
                .next_power_of_two()
                .next_multiple_of(self.stride),
            jobs: need.jobs.max(have.jobs).next_power_of_two(),
            maps: need.maps.max(have.maps),
        };
        // The old ones first: both may not fit.
        self.buffers = None;
        self.buffers = Some(Buffers::new(&self.gpu, &self.layout, sizes));
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
    for kernel in KERNELS {
        let Some((_, module)) = modules.iter().find(|(stem, _)| *stem == kernel.stem) else {
            return Err(BendError::Shader {
                stem: kernel.stem,
                reason: "is not embedded".to_owned(),
            });
        };
        pipelines.push(
            device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(kernel.entry),
                layout: Some(&pipeline_layout),
                module,
                entry_point: Some(kernel.entry),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                cache: None,
            }),
        );
    }
    gpu.check()?;
    Ok(pipelines)
}

impl Work {
    /// Turns the steps, as far as they touch the slots in `window`, into dispatches.
    fn plan(&mut self, chain: &Chain, window: &Range<usize>, stride: usize) {
        self.dispatches.clear();
        self.uniforms.clear();
        self.jobs.clear();
        self.sides.clear();
        self.sides.resize(window.len(), 0);
        for step in chain.steps() {
            let slots = chain.slots(step, window.clone());
            // A dispatch reads one side and writes the other.
            let first = self.jobs.len();
            for side in 0..2 {
                self.dispatch(step, side, slots, window.start, stride);
            }
            for &slot in &self.jobs[first..] {
                self.sides[slot as usize] ^= 1;
            }
        }
    }

    fn dispatch(&mut self, step: &Step, side: usize, slots: &[u32], start: usize, stride: usize) {
        let first = self.jobs.len();
        let sides = &self.sides;
        self.jobs.extend(
            slots
                .iter()
                .map(|slot| slot - start as u32)
                .filter(|&slot| sides[slot as usize] == side),
        );
        let planes = (self.jobs.len() - first) as u32;
        if planes == 0 {
            return;
        }
        let uniform = BendUniform {
            first_job: first as u32,
            ..step.uniform
        };
        let at = self.uniforms.len();
        self.uniforms.resize(at + stride, 0);
        self.uniforms[at..][..size_of::<BendUniform>()]
            .copy_from_slice(bytemuck::bytes_of(&uniform));
        self.dispatches.push(Dispatch {
            kernel: step.kernel.index,
            side,
            planes,
        });
    }
}

impl Sizes {
    /// Where jobs, maps and the end are in the upload buffer.
    const fn offsets(self) -> [usize; 3] {
        let jobs = self.uniforms;
        let maps = jobs + self.jobs;
        [jobs, maps, maps + self.maps]
    }
}

impl Buffers {
    fn new(gpu: &Gpu, layout: &wgpu::BindGroupLayout, sizes: Sizes) -> Self {
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
        let jobs = buffer(
            "bend jobs",
            sizes.jobs,
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
                    entry(1, jobs.as_entire_binding()),
                    entry(2, maps[from].as_entire_binding()),
                    entry(3, maps[1 - from].as_entire_binding()),
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
            jobs,
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
        let [jobs, maps, _] = self.sizes.offsets();
        let mut view = self
            .upload
            .get_mapped_range_mut(..)
            .map_err(|e| GpuError::Failed(e.to_string()))?;
        view.slice(..work.uniforms.len())
            .copy_from_slice(&work.uniforms);
        let job_bytes: &[u8] = bytemuck::cast_slice(&work.jobs);
        view.slice(jobs..jobs + job_bytes.len())
            .copy_from_slice(job_bytes);
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
        let [jobs, maps, _] = self.sizes.offsets();
        for (from, to, bytes) in [
            (0, &self.uniforms, used.uniforms),
            (jobs, &self.jobs, used.jobs),
            (maps, &self.maps[0], used.maps),
        ] {
            encoder.copy_buffer_to_buffer(&self.upload, from as u64, to, 0, bytes as u64);
        }
    }

    /// Collects the slots from both sides, neighbours together.
    fn encode_download(&self, encoder: &mut wgpu::CommandEncoder, sides: &[usize], plane: usize) {
        let mut start = 0;
        for run in sides.chunk_by(|a, b| a == b) {
            let at = (start * plane) as u64;
            let bytes = (run.len() * plane) as u64;
            encoder.copy_buffer_to_buffer(&self.maps[run[0]], at, &self.download, at, bytes);
            start += run.len();
        }
    }
}
