//! Nothing is allocated for bends within a frame.

use crate::bend::{bend, gpu, shape};
use crate::support::program::tiny_model;
use assert_no_alloc::{assert_no_alloc, reset_violation_count, violation_count};
use bendwave::bend::{Bender, FrameTime, GpuBender, TRANSFORMS};
use bendwave::engine::Engine;
use bendwave::generator::{Generator, Provider, ProviderChoice, Runtime};
use bendwave::scene::Scene;
use bendwave::signal::Snapshot;
use bendwave::tensor::{ChannelSet, FeatureMaps};
use std::path::Path;

/// Allocations and frees of this thread.
fn allocations(work: impl FnOnce()) -> u32 {
    reset_violation_count();
    assert_no_alloc(work);
    violation_count()
}

/// Every transform, driven, on a share of the features, spread over the layers.
fn all_transforms(layers: usize) -> String {
    let mut text = "transforms:\n".to_owned();
    for (index, transform) in TRANSFORMS.iter().enumerate() {
        let drives: Vec<String> = transform
            .params
            .iter()
            .map(|p| format!("{{signal: bass, range: [{}, {}]}}", p.range[0], p.range[1]))
            .collect();
        let entry = |more: &str| {
            format!(
                "- {{layer: {}, transform: {}, params: [{}], features: random, feature-param: 0.5{more}}}\n",
                index % layers,
                transform.name,
                drives.join(", ")
            )
        };
        // One that mixes other features in must be told which.
        let alone = format!("transforms:\n{}", entry(""));
        text += &match Scene::parse(&alone, Path::new("one.yaml")) {
            Ok(_) => entry(""),
            Err(_) => entry(", with: {features: random, feature-param: 0.3}"),
        };
    }
    text
}

/// ONNX Runtime's Rust binding allocates a little at each run; bends must add nothing to it.
#[test]
fn a_frame_with_bends_allocates_as_often_as_one_without() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let runtime = Runtime::load(None).unwrap();
    let count = |scene: &str| {
        let provider = ProviderChoice::Only(Provider::Cpu);
        let generator = Generator::load(&model, runtime, provider).unwrap();
        let scene = Scene::parse(scene, Path::new("scene.yaml")).unwrap();
        let shape = |layer| generator.layer_shape(layer);
        let patch = scene.patch(&shape, None).unwrap();
        let mut engine = Engine::new(generator, Bender::cpu(), patch).unwrap();
        let mut loud = Snapshot::SILENCE;
        loud.values.fill(0.7);
        let mut frame = || assert!(engine.frame(&loud, 0.02).is_ok());
        frame();
        frame();
        allocations(frame)
    };
    let plain = count("seed: 1\n");
    let bent = count(&all_transforms(7));
    println!("{plain} allocations and frees a frame, {bent} with bends");
    assert_eq!(plain, bent);
}

/// wgpu makes command encoders, passes and mappings anew each time. What the bender adds must be
/// nothing: a frame allocates as often as the same calls of wgpu by themselves.
#[test]
fn bends_on_a_gpu_allocate_no_more_than_wgpu_itself() {
    let Some(gpu) = gpu() else { return };
    let mut bender = GpuBender::new(std::sync::Arc::clone(&gpu)).unwrap();
    let mut count = |channels: usize, names: &[(&str, &[f32])], repeat: u64| {
        let size = shape(channels, 16, 16);
        let bends: Vec<_> = names
            .iter()
            .zip(0..)
            .map(|((name, params), id)| {
                let mut bend = bend(name, params, ChannelSet::all(channels));
                bend.id = id;
                bend
            })
            .collect();
        bender.forget();
        bender.reserve(size, &bends).unwrap();
        let mut data = vec![0.5; size.len()];
        let mut frame = |index| {
            let mut maps = FeatureMaps::Host {
                data: &mut data,
                shape: size,
            };
            let dt_secs = 0.02;
            let time = FrameTime { index, dt_secs };
            assert!(bender.apply(&mut maps, &bends, time).is_ok());
        };
        for index in 0..repeat {
            frame(index);
        }
        // wgpu's own lists grow now and then.
        let few = (repeat..repeat + 5).map(|index| allocations(|| frame(index)));
        few.min().unwrap()
    };
    let chain: &[(&str, &[f32])] = &[
        ("rotate", &[20.0]),
        ("feedback", &[0.4, 1.1]),
        ("dilate", &[11.5]),
        ("blur", &[2.0]),
        ("noise", &[0.4]),
        ("posterise", &[4.0]),
    ];
    let few = count(2, chain, 3);
    let many = count(64, chain, 3);
    let later = count(2, chain, 20);
    let one = count(2, &[("invert", &[])], 3);
    let alone = bare_wgpu(&gpu);
    println!("{few}, {many}, {later} with six bends, {one} with one, {alone} by wgpu alone");
    // With the first buffers of a device, wgpu itself has a few more.
    assert!(many <= few, "with more channels");
    assert!(later <= many, "in later frames, with fewer channels");
    assert!(one <= alone, "{one} where wgpu alone has {alone}");
}

/// Allocations and frees of an upload, a dispatch and a read-back.
fn bare_wgpu(gpu: &bendwave::gpu::Gpu) -> u32 {
    use wgpu::BufferUsages as Usage;
    let device = gpu.device();
    let buffer = |usage, mapped_at_creation| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 65536,
            usage,
            mapped_at_creation,
        })
    };
    let upload = buffer(Usage::MAP_WRITE | Usage::COPY_SRC, true);
    let download = buffer(Usage::MAP_READ | Usage::COPY_DST, false);
    let uniforms = buffer(Usage::UNIFORM | Usage::COPY_DST, false);
    let map = || buffer(Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST, false);
    let stores = [map(), map(), map(), map(), map()];
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(
            "@group(0) @binding(0) var<uniform> u: vec4<f32>;
             @group(0) @binding(1) var<storage, read> a: array<f32>;
             @group(0) @binding(2) var<storage, read> b: array<f32>;
             @group(0) @binding(3) var<storage, read_write> c: array<f32>;
             @group(0) @binding(4) var<storage, read_write> d: array<f32>;
             @group(0) @binding(5) var<storage, read_write> e: array<f32>;
             @compute @workgroup_size(64)
             fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                 c[id.x] = a[id.x] + b[id.x] + d[id.x] + e[id.x] + u.x;
             }"
            .into(),
        ),
    });
    let entry = |binding, ty, has_dynamic_offset| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty,
            has_dynamic_offset,
            min_binding_size: None,
        },
        count: None,
    };
    let store = |read_only| wgpu::BufferBindingType::Storage { read_only };
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: None,
        entries: &[
            entry(0, wgpu::BufferBindingType::Uniform, true),
            entry(1, store(true), false),
            entry(2, store(true), false),
            entry(3, store(false), false),
            entry(4, store(false), false),
            entry(5, store(false), false),
        ],
    });
    let bound = |index: usize| match index {
        0 => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &uniforms,
            offset: 0,
            size: std::num::NonZeroU64::new(256),
        }),
        n => stores[n - 1].as_entire_binding(),
    };
    let entries: Vec<_> = (0..6)
        .map(|index| wgpu::BindGroupEntry {
            binding: index as u32,
            resource: bound(index),
        })
        .collect();
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &layout,
        entries: &entries,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: Some(
            &device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            }),
        ),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let frame = || {
        let mut view = upload.get_mapped_range_mut(..).unwrap();
        view.slice(..4096).copy_from_slice(&[0; 4096]);
        drop(view);
        upload.unmap();
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for to in [&uniforms, &stores[0], &stores[1]] {
            encoder.copy_buffer_to_buffer(&upload, 0, to, 0, 4096);
        }
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[256]);
            pass.dispatch_workgroups(1, 1, 1);
        }
        encoder.copy_buffer_to_buffer(&stores[2], 0, &download, 0, 4096);
        let submission = gpu.queue().submit([encoder.finish()]);
        upload.map_async(wgpu::MapMode::Write, .., |_| {});
        download.map_async(wgpu::MapMode::Read, ..4096, |_| {});
        gpu.wait(submission).unwrap();
        drop(download.get_mapped_range(..4096).unwrap());
        download.unmap();
    };
    for _ in 0..3 {
        frame();
    }
    (0..5).map(|_| allocations(frame)).min().unwrap()
}
