//! `bendwave bench`: time of each stage, side by side in one run.
//!
//! All variants take turns frame by frame, so that a machine that slows down slows all of them.

use crate::app::cli::{BenchArgs, BendOn};
use crate::app::stage::{self, Stage};
use crate::app::{bench_bends, bench_ears, print, say};
use crate::bend::Bender;
use crate::engine::Latent;
use crate::frame::Frame;
use crate::generator::{FusedGenerator, MatrixProduct, Runtime, latent};
use crate::import;
use crate::scene::Scene;
use crate::signal::Snapshot;
use anyhow::bail;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Edge of the matrices whose product measures the machine.
const MATRIX: usize = 1024;
const WARM_UP: usize = 5;

/// Bends that a performance might have, most important first: warps, points and discs, on all features
/// and on shares. Layers that a small model lacks are lowered.
fn some_bends(count: usize, last_layer: usize) -> String {
    const BENDS: [(usize, &str, &str, f32); 8] = [
        (3, "rotate", "[10]", 1.0),
        (5, "scalar-multiply", "[1.5]", 0.5),
        (7, "translate", "[0.1, 0.0]", 0.25),
        (2, "scale", "[1.2]", 1.0),
        (8, "invert", "[0.5]", 0.3),
        (6, "dilate", "[1]", 0.5),
        (9, "flip-h", "[]", 0.25),
        (4, "binary-thresh", "[0.5, 0.5]", 0.5),
    ];
    let mut scene = "transforms:\n".to_owned();
    for (layer, transform, params, share) in BENDS.into_iter().take(count) {
        let layer = layer.min(last_layer);
        scene += &format!(
            "- {{layer: {layer}, transform: {transform}, params: {params}, features: random, \
             feature-param: {share}}}\n"
        );
    }
    scene
}

pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if let Some(sound) = &args.ears {
        return bench_ears::run(sound, args.json.as_deref());
    }
    if args.frames == 0 {
        bail!("--frames 0: at least one");
    }
    let runtime = Runtime::load(args.engine.ort_lib.as_deref())?;
    let mut plain = Stage::set(&args.engine, Scene::empty(1))?;
    let last_layer = plain.engine.generator().manifest().layers.len() - 1;
    let scenes: Vec<Scene> = match &args.transforms {
        Some(path) => vec![stage::scene(Some(path), None)?],
        None => [1, 3, 8]
            .iter()
            .map(|&n| Scene::parse(&some_bends(n, last_layer), Path::new("(bench)")))
            .collect::<Result<_, _>>()?,
    };
    let mut benders = Vec::new();
    for (name, bend_on) in [("CPU", BendOn::Cpu), ("GPU", BendOn::Gpu)] {
        if args.engine.bend_on != BendOn::Auto && args.engine.bend_on != bend_on {
            continue;
        }
        let mut engine_args = args.engine.clone();
        engine_args.bend_on = bend_on;
        for scene in &scenes {
            let (count, plural) = match scene.bends.len() {
                1 => (1, ""),
                n => (n, "s"),
            };
            match Stage::set(&engine_args, scene.clone()) {
                Ok(mut stage) => {
                    let what = format!("{count} bend{plural} on the {name}");
                    if bend_on == BendOn::Cpu && count == 3 {
                        let alone = Stage::set(&engine_args, scene.clone())?;
                        benders.push((format!("{what}, each segment alone"), alone));
                    }
                    stage.join_segments()?;
                    let name = stage.engine.bender_name();
                    benders.push((format!("{what}, {name}"), stage));
                }
                Err(error) if bend_on == BendOn::Gpu && args.engine.bend_on == BendOn::Auto => {
                    say(&format!("note: no GPU bends: {error}"));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }

    let generator = plain.engine.generator();
    let manifest = generator.manifest().clone();
    let shape = generator.image_shape();
    let area = generator.aspect().area();
    let mut frame = Frame::black(shape.width as u32, shape.height as u32);
    let z = latent::z_from_seed(1, manifest.z_dim);
    let folder = generator.folder().to_path_buf();
    let files = manifest
        .layers
        .iter()
        .map(|l| &l.file)
        .chain([&manifest.to_rgb.file]);
    let segments: Vec<Vec<u8>> = files
        .map(|f| std::fs::read(folder.join(f)))
        .collect::<Result<_, _>>()?;
    let mut fused = FusedGenerator::new(generator, runtime, &import::fuse(&segments)?)?;
    let mut product =
        MatrixProduct::new(generator, runtime, &import::matrix_product(MATRIX), MATRIX)?;
    let mut styles = vec![0.0; generator.latents() * manifest.w_dim];
    plain.engine.set_latent(Latent::Z(z.clone()));
    for (_, stage) in &mut benders {
        stage.engine.set_latent(Latent::Z(z.clone()));
    }

    let mut product_times = Times::default();
    let mut chain_times = Times::default();
    let mut fused_times = Times::default();
    let mut colour_times = Times::default();
    let mut bent_times = vec![(Times::default(), Times::default()); benders.len()];
    for round in 0..args.frames + WARM_UP {
        let keep = round >= WARM_UP;
        if round < 60 {
            product_times.time(keep, || product.run())?;
        }
        chain_times.time(keep, || {
            plain.engine.frame(&Snapshot::SILENCE, 0.0).map(|_| ())
        })?;
        colour_times.time(keep, || -> anyhow::Result<()> {
            frame.fill_from_chw(plain.engine.generator().image());
            Ok(())
        })?;
        plain.engine.copy_styles(&mut styles);
        fused_times.time(keep, || fused.synthesize(&styles).map(|_| ()))?;
        for ((_, stage), (total, bends)) in benders.iter_mut().zip(&mut bent_times) {
            total.time(keep, || {
                stage.engine.frame(&Snapshot::SILENCE, 0.0).map(|_| ())
            })?;
            if keep {
                bends.0.push(stage.engine.timing().bends.as_secs_f64());
            }
        }
    }

    let flop = manifest.flop_per_frame() * area;
    let peak = 2.0 * (MATRIX as f64).powi(3) / product_times.at(0.5);
    let mut rows = vec![
        row(
            "mapping network + chain, no bends, each segment alone",
            &chain_times,
            Some(flop / peak),
        ),
        row("one fused session", &fused_times, Some(flop / peak)),
    ];
    for ((name, _), (total, bends)) in benders.iter().zip(&bent_times) {
        rows.push(row(name, total, Some(flop / peak)));
        rows.push(row("  of which the bends", bends, None));
    }
    rows.push(row("to 8-bit RGBA", &colour_times, None));

    print(&format!("machine: {}", machine()))?;
    print(&format!("library: {}", runtime.library().display()))?;
    print(&format!(
        "model: {} px, {:.2} GFLOP a frame, on {}; {} frames each, in turns",
        manifest.resolution,
        flop / 1e9,
        plain.engine.generator().provider(),
        args.frames
    ))?;
    print(&format!(
        "matrix product {MATRIX}³: {:.0} GFLOP/s (p50)",
        peak / 1e9
    ))?;
    let width = rows.iter().map(|r| r.name.chars().count()).max();
    let width = width.unwrap_or_default();
    print(&format!(
        "{:<width$} {:>9} {:>9} {:>8} {:>9}",
        "", "p50 ms", "p99 ms", "fps", "of peak"
    ))?;
    for r in &rows {
        let share = r
            .share_of_peak
            .map_or(String::new(), |s| format!("{:.0} %", s * 100.0));
        print(&format!(
            "{:<width$} {:>9.2} {:>9.2} {:>8.1} {:>9}",
            r.name,
            r.p50 * 1e3,
            r.p99 * 1e3,
            1.0 / r.p50,
            share
        ))?;
    }
    let mut transforms = Vec::new();
    if let Some(shapes) = &args.each_transform {
        let mut alone = Vec::new();
        if args.engine.bend_on != BendOn::Gpu {
            alone.push(Bender::cpu());
        }
        if let Some((_, stage)) = benders
            .pop()
            .filter(|(_, s)| s.engine.bend_adapter().is_some())
        {
            let mut engine = stage.engine;
            alone.push(engine.set_bender(Bender::cpu()));
        }
        transforms = bench_bends::run(&mut alone, shapes, args.frames)?;
    }
    if let Some(path) = &args.json {
        let stages: Vec<Value> = rows
            .iter()
            .map(|r| {
                json!({"name": r.name.trim(), "p50_secs": r.p50, "p99_secs": r.p99, "fps": 1.0 / r.p50,
                       "share_of_peak": r.share_of_peak})
            })
            .collect();
        let all = json!({
            "machine": machine(),
            "provider": plain.engine.generator().provider().to_string(),
            "resolution": manifest.resolution,
            "flop_per_frame": flop,
            "matrix_product_flops": peak,
            "frames": args.frames,
            "stages": stages,
            "transforms": transforms,
        });
        write_json(path, &all)?;
    }
    Ok(())
}

/// Writes what `--json` asks for.
pub(crate) fn write_json(path: &Path, all: &Value) -> anyhow::Result<()> {
    std::fs::write(path, serde_json::to_vec_pretty(all)?)
        .map_err(|e| anyhow::anyhow!("{}: {e}", path.display()))
}

/// How long something took, again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(pub(crate) Vec<f64>);

impl Times {
    pub(crate) fn time<E>(
        &mut self,
        keep: bool,
        work: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let started = Instant::now();
        work()?;
        if keep {
            self.0.push(started.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Quantile by nearest rank, in seconds.
    pub(crate) fn at(&self, quantile: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

struct Row {
    name: String,
    p50: f64,
    p99: f64,
    share_of_peak: Option<f64>,
}

fn row(name: &str, times: &Times, secs_at_peak: Option<f64>) -> Row {
    let p50 = times.at(0.5);
    Row {
        name: name.to_owned(),
        p50,
        p99: times.at(0.99),
        share_of_peak: secs_at_peak.map(|secs| secs / p50),
    }
}

/// Processor and thread count, as the system names them.
pub(crate) fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let name = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|l| l.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{name}, {threads} threads")
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let times = Times((1..=100).rev().map(f64::from).collect());
        assert_eq!(
            (times.at(0.5), times.at(0.99), times.at(1.0)),
            (50.0, 99.0, 100.0)
        );
        assert!(Times::default().at(0.5).is_nan());
    }
}
