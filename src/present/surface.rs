//! The window's surface and the device that draws on it.

use std::sync::Arc;

use wgpu::CurrentSurfaceTexture as Current;
use winit::window::Window;

use super::PresentError;
use super::blit::{Blitter, Filter};
use super::overlay::{Content, Overlay, Painted};
use crate::frame::Frame;
use crate::gpu::{self, AdapterChoice, Gpu, GpuError};

/// What became of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drawn {
    /// It is on its way to the monitor.
    Shown,
    /// Nothing can be shown now (minimised, covered, zero size): try later.
    Skipped,
    /// The surface changed and was configured anew: draw again.
    Again,
    /// Surface or device are gone: build another [`Canvas`].
    Lost,
}

/// Device, surface and what draws on it. Lives as long as the device.
pub(super) struct Canvas {
    gpu: Gpu,
    surface: wgpu::Surface<'static>,
    config: wgpu::SurfaceConfiguration,
    blitter: Blitter,
    overlay: Overlay,
    largest_side: u32,
}

impl Canvas {
    /// Opens a device that can present to `window`.
    pub(super) fn new(window: &Arc<Window>, choice: &AdapterChoice) -> Result<Self, PresentError> {
        let instance = gpu::instance();
        let surface = instance
            .create_surface(Arc::clone(window))
            .map_err(|error| PresentError::Window(error.to_string()))?;
        let adapter = gpu::pick(&instance, choice, Some(&surface))?;
        let gpu = Gpu::open(&adapter)?;
        let capabilities = surface.get_capabilities(&adapter);
        let format = choose_format(&capabilities.formats).ok_or_else(|| {
            PresentError::Window(format!("{} has no 8-bit format for it", gpu.adapter()))
        })?;
        let size = window.inner_size();
        let config = wgpu::SurfaceConfiguration {
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
            format,
            color_space: wgpu::SurfaceColorSpace::Auto,
            width: size.width,
            height: size.height,
            present_mode: wgpu::PresentMode::Fifo,
            // One picture in flight: what the performer plays is seen at the next refresh.
            desired_maximum_frame_latency: 1,
            alpha_mode: wgpu::CompositeAlphaMode::Auto,
            view_formats: Vec::new(),
        };
        log::info!("window: {}, {format:?}", gpu.adapter());
        let mut canvas = Self {
            blitter: Blitter::new(gpu.device(), format),
            overlay: Overlay::new(gpu.device(), format),
            largest_side: gpu.device().limits().max_texture_dimension_2d,
            gpu,
            surface,
            config,
        };
        canvas.resize(size.width, size.height);
        Ok(canvas)
    }

    /// Name of the adapter.
    pub(super) fn adapter(&self) -> &str {
        &self.gpu.adapter().name
    }

    /// Follows the window's size.
    pub(super) fn resize(&mut self, width: u32, height: u32) {
        self.config.width = width.min(self.largest_side);
        self.config.height = height.min(self.largest_side);
        if width > 0 && height > 0 {
            self.surface.configure(self.gpu.device(), &self.config);
        }
    }

    /// Makes `frame` the picture.
    pub(super) fn upload(&mut self, frame: &Frame) {
        self.blitter
            .upload(self.gpu.device(), self.gpu.queue(), frame);
    }

    /// Columns and rows of the picture.
    pub(super) fn picture_size(&self) -> Option<(u32, u32)> {
        self.blitter.picture_size()
    }

    /// Lays the overlay out anew.
    pub(super) fn layout(&mut self, content: &Content<'_>, scale: f32) -> Painted {
        self.overlay
            .layout(self.gpu.device(), self.gpu.queue(), content, scale)
    }

    /// Whether the device is gone. Other errors of earlier drawings are logged: the next picture
    /// may well succeed.
    fn is_lost(&self) -> bool {
        match self.gpu.check() {
            Ok(()) => false,
            Err(error) => {
                log::warn!("the window: {error}");
                matches!(error, GpuError::Lost(_))
            }
        }
    }

    /// Gives the device up, as a driver's reset would.
    pub(super) fn lose(&self) {
        self.gpu.device().destroy();
    }

    /// Draws the picture, unless `black`, and over it what the overlay painted.
    pub(super) fn draw(
        &mut self,
        window: &Window,
        black: bool,
        painted: Option<&Painted>,
    ) -> Drawn {
        if self.is_lost() {
            return Drawn::Lost;
        }
        let size = (self.config.width, self.config.height);
        if size.0 == 0 || size.1 == 0 {
            return Drawn::Skipped;
        }
        let (target, suboptimal) = match self.surface.get_current_texture() {
            Current::Success(target) => (target, false),
            Current::Suboptimal(target) => (target, true),
            Current::Timeout | Current::Occluded => return Drawn::Skipped,
            Current::Outdated => {
                let size = window.inner_size();
                self.resize(size.width, size.height);
                return Drawn::Again;
            }
            Current::Lost | Current::Validation => return Drawn::Lost,
        };
        let view = target
            .texture
            .create_view(&wgpu::TextureViewDescriptor::default());
        let (device, queue) = (self.gpu.device(), self.gpu.queue());
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor {
            label: Some("present"),
        });
        let before = painted.map(|painted| {
            self.overlay
                .prepare(device, queue, &mut encoder, painted, size)
        });
        {
            let mut pass = encoder
                .begin_render_pass(&wgpu::RenderPassDescriptor {
                    label: Some("present"),
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
                })
                .forget_lifetime();
            if !black {
                let software = self.gpu.is_software();
                self.blitter.draw(queue, &mut pass, size, |picture, place| {
                    Filter::choose(picture, place, software)
                });
            }
            if let Some(painted) = painted {
                self.overlay.paint(&mut pass, painted, size);
            }
        }
        let commands = before.into_iter().flatten().chain([encoder.finish()]);
        queue.submit(commands);
        window.pre_present_notify();
        queue.present(target);
        if suboptimal {
            let size = window.inner_size();
            self.resize(size.width, size.height);
        }
        Drawn::Shown
    }
}

/// An 8-bit format that stores what the shader writes; else one that applies the sRGB curve, which
/// the shader then takes back.
fn choose_format(formats: &[wgpu::TextureFormat]) -> Option<wgpu::TextureFormat> {
    use wgpu::TextureFormat::{Bgra8Unorm, Bgra8UnormSrgb, Rgba8Unorm, Rgba8UnormSrgb};
    [Bgra8Unorm, Rgba8Unorm, Bgra8UnormSrgb, Rgba8UnormSrgb]
        .into_iter()
        .find(|format| formats.contains(format))
}

#[cfg(test)]
mod tests {
    use super::choose_format;
    use wgpu::TextureFormat;

    #[test]
    fn bytes_pass_unchanged_where_the_window_allows() {
        use TextureFormat::{Bgra8Unorm, Bgra8UnormSrgb, Rgba16Float};
        assert_eq!(
            choose_format(&[Bgra8UnormSrgb, Rgba16Float, Bgra8Unorm]),
            Some(Bgra8Unorm)
        );
        assert_eq!(choose_format(&[Bgra8UnormSrgb]), Some(Bgra8UnormSrgb));
        assert_eq!(choose_format(&[Rgba16Float]), None);
    }
}
