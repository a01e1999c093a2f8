//! Buffers of the GPU bender, and what goes up and comes back through them.

use super::cpu::clean;
use super::gpu_work::Work;
use super::uniform::BendUniform;
use crate::gpu::{Gpu, GpuError};
use std::num::NonZeroU64;
use wgpu::BufferUsages as Usage;

/// Values cleaned at a time on their way up: stays in the first-level cache.
const BLOCK: usize = 1024;

pub(super) const FLOAT: usize = size_of::<f32>();

/// Buffers for up to a number of bytes each.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) sizes: Sizes,
    /// Parts take turns with them.
    pub(super) staging: [Staging; 2],
    pub(super) uniforms: wgpu::Buffer,
    pub(super) lists: wgpu::Buffer,
    pub(super) maps: [wgpu::Buffer; 2],
    /// Reading the first of `maps`, reading the second.
    pub(super) groups: [wgpu::BindGroup; 2],
}

/// Buffers between host and GPU.
#[derive(Debug)]
pub(super) struct Staging {
    /// Mapped between parts: uniforms, then lists, then maps.
    pub(super) upload: wgpu::Buffer,
    pub(super) download: wgpu::Buffer,
}

/// Bytes of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) uniforms: usize,
    pub(super) lists: usize,
    pub(super) maps: usize,
    pub(super) scratch: usize,
}

impl Sizes {
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            uniforms: self.uniforms.max(other.uniforms),
            lists: self.lists.max(other.lists),
            maps: self.maps.max(other.maps),
            scratch: self.scratch.max(other.scratch),
        }
    }

    pub(super) const fn holds(self, other: Self) -> bool {
        self.uniforms >= other.uniforms
            && self.lists >= other.lists
            && self.maps >= other.maps
            && self.scratch >= other.scratch
    }

    /// Where lists, maps and the end are in the upload buffer.
    pub(super) const fn offsets(self) -> [usize; 3] {
        let lists = self.uniforms;
        let maps = lists + self.lists;
        [lists, maps, maps + self.maps]
    }
}

impl Buffers {
    pub(super) fn new(
        gpu: &Gpu,
        layout: &wgpu::BindGroupLayout,
        memory: &wgpu::Buffer,
        sizes: Sizes,
    ) -> Self {
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
        let scratch = buffer(
            "bend levels",
            sizes.scratch.max(FLOAT),
            Usage::STORAGE,
            false,
        );
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
                    entry(5, scratch.as_entire_binding()),
                ],
            })
        };
        let staging = || Staging {
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
        };
        Self {
            groups: [group(0), group(1)],
            staging: [staging(), staging()],
            uniforms,
            lists,
            maps,
            sizes,
        }
    }

    /// Writes tables and chosen channels to the upload buffer and hands it to the GPU.
    pub(super) fn fill(
        &self,
        staging: usize,
        work: &Work,
        channels: &[u32],
        plane: usize,
        data: &[f32],
    ) -> Result<(), GpuError> {
        let [lists, maps, _] = self.sizes.offsets();
        let upload = &self.staging[staging].upload;
        let mut view = upload
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
        upload.unmap();
        Ok(())
    }

    pub(super) fn encode_upload(
        &self,
        staging: usize,
        encoder: &mut wgpu::CommandEncoder,
        used: Sizes,
    ) {
        let [lists, maps, _] = self.sizes.offsets();
        let upload = &self.staging[staging].upload;
        for (from, to, bytes) in [
            (0, &self.uniforms, used.uniforms),
            (lists, &self.lists, used.lists),
            (maps, &self.maps[0], used.maps),
        ] {
            encoder.copy_buffer_to_buffer(upload, from as u64, to, 0, bytes as u64);
        }
    }

    /// Collects the slots that were changed from both sides, neighbours together.
    pub(super) fn encode_download(
        &self,
        staging: usize,
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
                let download = &self.staging[staging].download;
                encoder.copy_buffer_to_buffer(from, at, download, at, bytes);
            }
            start += count;
        }
    }
}
