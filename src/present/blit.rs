//! Draws a picture into a texture view. The shader is `shaders/present/blit.wgsl`.

use super::layout::{Place, letterbox};
use crate::frame::Frame;

/// How the picture is brought to its size in the window. The numbers are the shader's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
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
    const ALL: [Self; 4] = [Self::Fetch, Self::Bilinear, Self::CatmullRom, Self::Area];

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
}

#[derive(Debug)]
struct Picture {
    texture: wgpu::Texture,
    bind_group: wgpu::BindGroup,
}

/// Pipelines, and the texture of the newest picture.
#[derive(Debug)]
pub(super) struct Blitter {
    /// By [`Filter`].
    pipelines: [wgpu::RenderPipeline; 4],
    layout: wgpu::BindGroupLayout,
    sampler: wgpu::Sampler,
    params: wgpu::Buffer,
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
        let linear_target = f64::from(u8::from(format.is_srgb()));
        let pipelines = Filter::ALL.map(|filter| {
            let constants = [
                ("filter_kind", f64::from(filter as u32)),
                ("linear_target", linear_target),
            ];
            device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
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
                    compilation_options: wgpu::PipelineCompilationOptions {
                        constants: &constants,
                        ..wgpu::PipelineCompilationOptions::default()
                    },
                    targets: &[Some(format.into())],
                }),
                multiview_mask: None,
                cache: None,
            })
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
            pipelines,
            layout,
            sampler,
            params,
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
    /// `filter` chooses from the picture's size and its place.
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
        pass.set_pipeline(&self.pipelines[filter(size, place) as usize]);
        pass.set_bind_group(0, &picture.bind_group, &[]);
        pass.draw(0..3, 0..1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Blitter, Filter};
    use crate::frame::Frame;

    /// A device that can draw; without one, says that the test skips.
    fn device() -> Option<(wgpu::Device, wgpu::Queue)> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapter = pollster::block_on(instance.request_adapter(&Default::default()));
        let Ok(adapter) = adapter else {
            eprintln!("skipped: no GPU adapter");
            return None;
        };
        let opened = adapter.request_device(&wgpu::DeviceDescriptor::default());
        Some(pollster::block_on(opened).unwrap())
    }

    /// Draws `frame` into a target of `width` x `height` and reads it back as RGBA.
    fn draw(
        (device, queue): &(wgpu::Device, wgpu::Queue),
        format: wgpu::TextureFormat,
        frame: &Frame,
        (width, height): (u32, u32),
        filter: Filter,
    ) -> Vec<u8> {
        let target = device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d {
                width,
                height,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let view = target.create_view(&wgpu::TextureViewDescriptor::default());
        let mut blitter = Blitter::new(device, format);
        blitter.upload(device, queue, frame);
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            });
            blitter.draw(queue, &mut pass, (width, height), |_, _| filter);
        }
        let row = (width * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: u64::from(row * height),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        encoder.copy_texture_to_buffer(
            target.as_image_copy(),
            wgpu::TexelCopyBufferInfo {
                buffer: &buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: 0,
                    bytes_per_row: Some(row),
                    rows_per_image: None,
                },
            },
            target.size(),
        );
        queue.submit([encoder.finish()]);
        buffer
            .slice(..)
            .map_async(wgpu::MapMode::Read, |mapped| mapped.unwrap());
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let mapped = buffer.slice(..).get_mapped_range().unwrap();
        let mut out = Vec::new();
        for line in mapped.chunks_exact(row as usize) {
            out.extend_from_slice(&line[..width as usize * 4]);
        }
        out
    }

    /// All byte values, edges and smooth parts.
    fn picture(width: u32, height: u32) -> Frame {
        let mut frame = Frame::black(width, height);
        for (n, pixel) in frame.rgba.chunks_exact_mut(4).enumerate() {
            let (x, y) = (n as u32 % width, n as u32 / width);
            let edge = if (x / 5 + y / 3) % 2 == 0 { 240 } else { 10 };
            pixel[..3].copy_from_slice(&[(x * 7 + y) as u8, edge, (x * y) as u8]);
        }
        frame
    }

    fn texel(frame: &Frame, x: i64, y: i64, channel: usize) -> f64 {
        let x = x.clamp(0, i64::from(frame.width) - 1) as usize;
        let y = y.clamp(0, i64::from(frame.height) - 1) as usize;
        f64::from(frame.rgba[(y * frame.width as usize + x) * 4 + channel]) / 255.0
    }

    /// Keys' cubic with a = -1/2, as a function of the distance.
    fn kernel(x: f64) -> f64 {
        let x = x.abs();
        if x < 1.0 {
            (1.5 * x - 2.5) * x * x + 1.0
        } else if x < 2.0 {
            ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
        } else {
            0.0
        }
    }

    fn catmull_rom(frame: &Frame, at: (f64, f64), channel: usize, clamped: bool) -> f64 {
        let (fx, fy) = (at.0 - 0.5, at.1 - 0.5);
        let (bx, by) = (fx.floor() as i64, fy.floor() as i64);
        let (mut sum, mut low, mut high) = (0.0, 1.0_f64, 0.0_f64);
        for y in by - 1..=by + 2 {
            for x in bx - 1..=bx + 2 {
                let c = texel(frame, x, y, channel);
                sum += c * kernel(fx - x as f64) * kernel(fy - y as f64);
                if (x == bx || x == bx + 1) && (y == by || y == by + 1) {
                    (low, high) = (low.min(c), high.max(c));
                }
            }
        }
        if clamped {
            sum.clamp(low, high)
        } else {
            sum.clamp(0.0, 1.0)
        }
    }

    fn area(frame: &Frame, at: (f64, f64), step: (f64, f64), channel: usize) -> f64 {
        let linear = |c: f64| {
            if c <= 0.04045 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        // Counts points instead of computing overlaps: another way to the same mean. At a step of
        // 2.4 texels, 60 points a side meet every edge between texels exactly.
        let (mut sum, points) = (0.0, 60);
        for j in 0..points {
            for i in 0..points {
                let part = |n: i32| (f64::from(n) + 0.5) / f64::from(points) - 0.5;
                let x = (at.0 + part(i) * step.0).floor() as i64;
                let y = (at.1 + part(j) * step.1).floor() as i64;
                sum += linear(texel(frame, x, y, channel));
            }
        }
        let c = sum / f64::from(points * points);
        if c <= 0.003_130_8 {
            c * 12.92
        } else {
            1.055 * c.powf(1.0 / 2.4) - 0.055
        }
    }

    /// Largest difference to `wanted(x, y, channel)`, in 255ths.
    fn worst(drawn: &[u8], width: u32, wanted: impl Fn(u32, u32, usize) -> f64) -> f64 {
        let mut worst = 0.0_f64;
        for (n, pixel) in drawn.chunks_exact(4).enumerate() {
            let (x, y) = (n as u32 % width, n as u32 / width);
            for (channel, byte) in pixel[..3].iter().enumerate() {
                worst = worst.max((f64::from(*byte) - wanted(x, y, channel) * 255.0).abs());
            }
            assert_eq!(pixel[3], 255);
        }
        worst
    }

    #[test]
    fn the_uniform_is_laid_out_as_in_the_shader() {
        use super::Params;
        use std::mem::offset_of;
        let source = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/shaders/present/blit.wgsl"
        ));
        let module = naga::front::wgsl::parse_str(source).unwrap();
        let (_, found) = module
            .types
            .iter()
            .find(|(_, t)| t.name.as_deref() == Some("Params"))
            .unwrap();
        let naga::TypeInner::Struct { members, span } = &found.inner else {
            panic!("Params is no struct");
        };
        let offsets: Vec<(&str, usize)> = members
            .iter()
            .map(|m| (m.name.as_deref().unwrap(), m.offset as usize))
            .collect();
        let wanted = [
            ("origin", offset_of!(Params, origin)),
            ("step", offset_of!(Params, step)),
            ("size", offset_of!(Params, size)),
        ];
        assert_eq!(offsets, wanted);
        assert_eq!(*span as usize, size_of::<Params>());
    }

    const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

    #[test]
    fn one_to_one_is_the_same_bytes() {
        let Some(gpu) = device() else { return };
        let frame = picture(67, 41);
        for format in [FORMAT, wgpu::TextureFormat::Rgba8UnormSrgb] {
            let drawn = draw(&gpu, format, &frame, (67, 41), Filter::Fetch);
            assert_eq!(drawn, frame.rgba, "{format:?}");
        }
    }

    #[test]
    fn enlarging_is_catmull_rom_without_rings() {
        let Some(gpu) = device() else { return };
        let frame = picture(32, 24);
        let drawn = draw(&gpu, FORMAT, &frame, (128, 96), Filter::CatmullRom);
        let at = |n: u32| (f64::from(n) + 0.5) / 4.0;
        let clamped = worst(&drawn, 128, |x, y, c| {
            catmull_rom(&frame, (at(x), at(y)), c, true)
        });
        // Half a step of rounding, and what f32 loses.
        assert!(clamped < 0.52, "off by {clamped}");
        let rings = worst(&drawn, 128, |x, y, c| {
            catmull_rom(&frame, (at(x), at(y)), c, false)
        });
        assert!(rings > 5.0, "the clamp is not tested: {rings}");
    }

    #[test]
    fn shrinking_is_the_mean_in_linear_light() {
        let Some(gpu) = device() else { return };
        let frame = picture(96, 60);
        let drawn = draw(&gpu, FORMAT, &frame, (40, 25), Filter::Area);
        let at = |n: u32| (f64::from(n) + 0.5) * 2.4;
        let off = worst(&drawn, 40, |x, y, c| {
            area(&frame, (at(x), at(y)), (2.4, 2.4), c)
        });
        // Half a step of rounding; `pow` of a GPU may be coarse.
        assert!(off < 0.7, "off by {off}");
        // A fine checkerboard of black and white is half the light, 188 in sRGB, not 128.
        let mut board = Frame::black(64, 64);
        for (n, pixel) in board.rgba.chunks_exact_mut(4).enumerate() {
            if (n % 64 + n / 64) % 2 == 0 {
                pixel.fill(255);
            }
        }
        let drawn = draw(&gpu, FORMAT, &board, (32, 32), Filter::Area);
        assert!(
            drawn.chunks_exact(4).all(|p| p == [188, 188, 188, 255]),
            "{:?}",
            &drawn[..4]
        );
    }

    #[test]
    fn bars_are_black_and_the_picture_is_between() {
        let Some(gpu) = device() else { return };
        let mut frame = Frame::black(16, 16);
        frame.rgba.fill(255);
        let drawn = draw(&gpu, FORMAT, &frame, (64, 32), Filter::Bilinear);
        for (n, pixel) in drawn.chunks_exact(4).enumerate() {
            let inside = (16..48).contains(&(n % 64));
            assert_eq!(pixel[0], if inside { 255 } else { 0 }, "column {}", n % 64);
        }
    }

    #[test]
    fn a_broken_picture_leaves_the_last_one() {
        let Some((device, queue)) = device() else {
            return;
        };
        let mut blitter = Blitter::new(&device, FORMAT);
        blitter.upload(&device, &queue, &picture(8, 8));
        let mut broken = picture(9, 9);
        broken.rgba.pop();
        blitter.upload(&device, &queue, &broken);
        blitter.upload(&device, &queue, &Frame::black(0, 0));
        let huge = Frame {
            width: 1 << 20,
            height: 1,
            rgba: vec![0; 4 << 20],
            index: 0,
            at_micros: 0,
            began: std::time::Instant::now(),
        };
        blitter.upload(&device, &queue, &huge);
        assert_eq!(blitter.picture_size(), Some((8, 8)));
    }
}
