//! Segments that run together give the picture of the chain, and make way for a bend.

use crate::support::program::tiny_model;
use bendwave::bend::Bender;
use bendwave::engine::{Engine, RetiredRuns};
use bendwave::generator::{Generator, Provider, ProviderChoice, RunMaker, RunPlan, Runs, Runtime};
use bendwave::import;
use bendwave::scene::{Patch, Scene};
use bendwave::signal::Snapshot;
use std::path::Path;

/// Sessions round in other orders: measured about 1e-6 of the picture's range.
const TOLERANCE: f32 = 1e-4;

fn runs(maker: &RunMaker, plan: RunPlan) -> Runs {
    let made = maker.make(plan, |run| {
        let files = &maker.files()[run.clone()];
        let read = |file: &String| std::fs::read(maker.folder().join(file)).unwrap();
        let segments: Vec<Vec<u8>> = files.iter().map(read).collect();
        import::join(&segments, *run.start()).map_err(|e| e.to_string())
    });
    made.unwrap()
}

fn patch(generator: &Generator, layers: &[usize]) -> Patch {
    let mut text = "seed: 4\ntransforms:\n".to_owned();
    for layer in layers {
        text += &format!("- {{layer: {layer}, transform: rotate, params: [20], features: all}}\n");
    }
    let scene = Scene::parse(&text, Path::new("scene.yaml")).unwrap();
    scene
        .patch(&|layer| generator.layer_shape(layer), None)
        .unwrap()
}

fn picture(engine: &mut Engine) -> Vec<f32> {
    engine.frame(&Snapshot::SILENCE, 0.0).unwrap().to_vec()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    let range = b.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    off.fold(0.0, f32::max) / range
}

#[test]
fn runs_give_the_chains_picture_wherever_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let runtime = Runtime::load(None).unwrap();
    let load = || {
        let provider = ProviderChoice::Only(Provider::Cpu);
        Generator::load(&model, runtime, provider).unwrap()
    };
    let generator = load();
    let maker = generator.run_maker(runtime);
    let empty = patch(&generator, &[]);
    let mut engine = Engine::new(generator, Bender::cpu(), empty).unwrap();
    // Runs that begin and end at even and odd layers, with one segment, with all.
    let bent: [&[usize]; 7] = [
        &[],
        &[0],
        &[1],
        &[2, 3],
        &[1, 4],
        &[3, 6],
        &[0, 1, 2, 3, 4, 5, 6],
    ];
    let mut last = None;
    for layers in bent {
        let patch = patch(engine.generator(), layers);
        engine.set_patch(patch).unwrap();
        let mut alone = Engine::new(load(), Bender::cpu(), engine.patch().clone()).unwrap();
        let chain = picture(&mut alone);
        let plan = engine.run_plan();
        engine.set_runs(runs(&maker, plan)).unwrap();
        assert!(engine.generator().run_plan().is_some());
        let joined = picture(&mut engine);
        let off = difference(&joined, &chain);
        println!("{layers:?}: {off:.1e}");
        assert!(off <= TOLERANCE, "{layers:?}: {off}");
        // The bends matter, or this shows nothing.
        if let Some(before) = last.replace(chain.clone()) {
            assert!(difference(&chain, &before) > 0.01, "{layers:?}");
        }
    }
}

/// Until new runs are there, the chain plays; what comes too late is left aside.
#[test]
fn a_bend_inside_of_a_run_is_played_by_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny_model(dir.path());
    let runtime = Runtime::load(None).unwrap();
    let generator = Generator::load(&model, runtime, ProviderChoice::Only(Provider::Cpu)).unwrap();
    let maker = generator.run_maker(runtime);
    let (early, late) = (patch(&generator, &[2]), patch(&generator, &[4]));
    let mut engine = Engine::new(generator, Bender::cpu(), early).unwrap();
    let early_plan = engine.run_plan();
    engine.set_runs(runs(&maker, early_plan.clone())).unwrap();
    assert!(engine.take_retired_runs().is_none());
    let before = picture(&mut engine);
    engine.set_patch(late).unwrap();
    assert!(engine.generator().run_plan().is_none());
    assert!(engine.take_retired_runs().is_some());
    assert!(difference(&picture(&mut engine), &before) > 0.01);
    let late_runs = engine.set_runs(runs(&maker, early_plan)).unwrap();
    assert!(matches!(late_runs, RetiredRuns::Unused(_)));
    assert!(engine.generator().run_plan().is_none());
}
