//! Draws a picture into a texture view. The shader is `shaders/present/blit.wgsl`.

use super::layout::{Place, letterbox};
use crate::frame::Frame;

/// How the picture is brought to its size in the window. The numbers are the shader's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Filter {
    /// Each pixel as it is.
    Fetch = 0,
    /// One sample of the texture unit: for adapters without a GPU behind them.
    Bilinear = 1,
    /// Sixteen texels, sharp.
    CatmullRom = 2,
    /// The mean of the covered texels, in linear light.
    Area = 3,
}

impl Filter {
    /// The best one that this adapter can afford.
    pub(super) fn choose(picture: (u32, u32), place: Place, software: bool) -> Self {
        if picture == (place.width, place.height) {
            Self::Fetch
        } else if place.width < picture.0 || place.height < picture.1 {
            Self::Area
        } else if software {
            Self::Bilinear
        } else {
            Self::CatmullRom
        }
    }
}

/// The shader's `Params`.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Params {
    origin: [f32; 2],
    step: [f32; 2],
    size: [i32; 2],
    filter_kind: u32,
    linear_target: u32,
}

#[derive(Debug)]
struct Picture {
    texture: wgpu::Texture,
    bind_group: wgpu::BindGroup,
}

/// Pipeline, and the texture of the newest picture.
#[derive(Debug)]
pub(super) struct Blitter {
    pipeline: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    sampler: wgpu::Sampler,
    params: wgpu::Buffer,
    linear_target: bool,
    largest_side: u32,
    picture: Option<Picture>,
}

impl Blitter {
    /// For targets of `format`.
    pub(super) fn new(device: &wgpu::Device, format: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("present/blit"),
            source: wgpu::ShaderSource::Wgsl(
                include_str!(concat!(
                    env!("CARGO_MANIFEST_DIR"),
                    "/shaders/present/blit.wgsl"
                ))
                .into(),
            ),
        });
        let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty,
            count: None,
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("present/blit"),
            entries: &[
                entry(
                    0,
                    wgpu::BindingType::Texture {
                        sample_type: wgpu::TextureSampleType::Float { filterable: true },
                        view_dimension: wgpu::TextureViewDimension::D2,
                        multisampled: false,
                    },
                ),
                entry(
                    1,
                    wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
                ),
                entry(
                    2,
                    wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: false,
                        min_binding_size: None,
                    },
                ),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("present/blit"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("present/blit"),
            layout: Some(&pipeline_layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                buffers: &[],
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("shade"),
                compilation_options: wgpu::PipelineCompilationOptions::default(),
                targets: &[Some(format.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
            label: Some("present/blit"),
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..wgpu::SamplerDescriptor::default()
        });
        let params = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("present/blit params"),
            size: size_of::<Params>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self {
            pipeline,
            layout,
            sampler,
            params,
            linear_target: format.is_srgb(),
            largest_side: device.limits().max_texture_dimension_2d,
            picture: None,
        }
    }

    /// Makes `frame` the picture. One that the GPU cannot hold is left out: the last one stays.
    pub(super) fn upload(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, frame: &Frame) {
        let (width, height) = (frame.width, frame.height);
        let whole = width as usize * height as usize * 4;
        if whole == 0 || frame.rgba.len() != whole || width.max(height) > self.largest_side {
            log::warn!("a picture of {width}x{height} cannot be shown");
            return;
        }
        let fits = |p: &Picture| (p.texture.width(), p.texture.height()) == (width, height);
        if !self.picture.as_ref().is_some_and(fits) {
            self.picture = Some(self.create(device, width, height));
        }
        let Some(picture) = &self.picture else { return };
        queue.write_texture(
            picture.texture.as_image_copy(),
            &frame.rgba,
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(width * 4),
                rows_per_image: None,
            },
            picture.texture.size(),
        );
    }

    fn create(&self, device: &wgpu::Device, width: u32, height: u32) -> Picture {
        let texture = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("present/picture"),
            size: wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            // Not the sRGB one: bytes in, bytes out.
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("present/blit"),
            layout: &self.layout,
            entries: &[
                wgpu::BindGroupEntry {
                    binding: 0,
                    resource: wgpu::BindingResource::TextureView(&view),
                },
                wgpu::BindGroupEntry {
                    binding: 1,
                    resource: wgpu::BindingResource::Sampler(&self.sampler),
                },
                wgpu::BindGroupEntry {
                    binding: 2,
                    resource: self.params.as_entire_binding(),
                },
            ],
        });
        Picture {
            texture,
            bind_group,
        }
    }

    /// Columns and rows of the picture.
    pub(super) fn picture_size(&self) -> Option<(u32, u32)> {
        let texture = &self.picture.as_ref()?.texture;
        Some((texture.width(), texture.height()))
    }

    /// Draws the picture letterboxed into a cleared pass over a target of `window` pixels.
    /// `filter` overrides the choice.
    pub(super) fn draw(
        &self,
        queue: &wgpu::Queue,
        pass: &mut wgpu::RenderPass<'_>,
        window: (u32, u32),
        filter: impl Fn((u32, u32), Place) -> Filter,
    ) {
        let Some(picture) = &self.picture else { return };
        let size = (picture.texture.width(), picture.texture.height());
        let Some(place) = letterbox(size, window) else {
            return;
        };
        let params = Params {
            origin: [place.x as f32, place.y as f32],
            step: [
                size.0 as f32 / place.width as f32,
                size.1 as f32 / place.height as f32,
            ],
            size: [size.0 as i32, size.1 as i32],
            filter_kind: filter(size, place) as u32,
            linear_target: self.linear_target.into(),
        };
        queue.write_buffer(&self.params, 0, bytemuck::bytes_of(&params));
        pass.set_viewport(
            place.x as f32,
            place.y as f32,
            place.width as f32,
            place.height as f32,
            0.0,
            1.0,
        );
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &picture.bind_group, &[]);
        pass.draw(0..3, 0..1);
    }
}
