//! Nothing is allocated for bends within a frame.

use crate::support::program::tiny_model;
use assert_no_alloc::{assert_no_alloc, reset_violation_count, violation_count};
use bendwave::bend::{Bender, TRANSFORMS};
use bendwave::engine::Engine;
use bendwave::generator::{Generator, Provider, ProviderChoice, Runtime};
use bendwave::scene::Scene;
use bendwave::signal::Snapshot;
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
