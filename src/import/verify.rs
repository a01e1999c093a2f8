//! The proof of an import: the chain of segments beside a plain evaluation of the same weights.

use std::time::Instant;

use super::ImportError;
use super::network::Network;
use super::plain;
use crate::generator::manifest::{Precision, Verification};
use crate::generator::{Generator, GeneratorError, NoiseMode, Runtime, evaluate, latent};

/// Largest difference over the range that is accepted. f32 rounds at 6e-8 and a network has up to
/// 17 layers; measured below 1e-6 at 7. 16-bit floats round at 5e-4;
/// measured 8e-4 at 7 layers.
const TOLERANCE_F32: f32 = 1e-4;
const TOLERANCE_F16: f32 = 1e-2;

/// Runs chain and plain layers side by side, with another w at each layer and constant noise.
///
/// # Errors
/// When ONNX Runtime fails, or the two differ by more than the tolerance.
pub(super) fn verify(
    net: &Network,
    generator: &mut Generator,
    runtime: &Runtime,
    noise: &[Vec<f32>],
    started: Instant,
    bytes: u64,
) -> Result<Verification, ImportError> {
    let folder = generator.folder().to_owned();
    let tolerance = match generator.manifest().precision {
        Precision::F32 => TOLERANCE_F32,
        Precision::F16 => TOLERANCE_F16,
    };
    let (mut styles, mut plain_styles) = (Vec::new(), Vec::new());
    for seed in 0..generator.latents() as u32 {
        let z = latent::z_from_seed(seed, net.z_dim);
        styles.extend_from_slice(generator.map(&z)?);
        plain_styles.extend(plain_w(net, &z));
    }
    let mut beside = Beside {
        net,
        runtime,
        styles: &plain_styles,
        noise,
        x: net.constant.clone(),
        rgb: Vec::new(),
        worst: (0.0, 0),
    };
    let mut failed = None;
    generator.set_noise(NoiseMode::Const, 0);
    generator.synthesize(&styles, &mut |layer, mut maps| {
        if failed.is_none()
            && let Err(error) = beside.layer(layer, maps.host())
        {
            failed = Some(error);
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let picture_error = relative_error(generator.image(), &beside.rgb);
    let (worst_layer_error, worst_layer) = beside.worst;
    // Not `>`: a difference that is no number is none that is accepted.
    if !(picture_error <= tolerance && worst_layer_error <= tolerance) {
        return Err(ImportError::Unverified {
            path: folder,
            picture_error,
            worst_layer,
            worst_layer_error,
            tolerance,
        });
    }
    Ok(Verification {
        picture_error,
        worst_layer_error,
        worst_layer,
        tolerance,
        secs: started.elapsed().as_secs_f32(),
        bytes,
    })
}

struct Beside<'a> {
    net: &'a Network,
    runtime: &'a Runtime,
    styles: &'a [f32],
    noise: &'a [Vec<f32>],
    x: Vec<f32>,
    rgb: Vec<f32>,
    worst: (f32, usize),
}

impl Beside<'_> {
    /// The plain layer after the one before, and what the chain made of it.
    fn layer(&mut self, layer: usize, chain: &[f32]) -> Result<(), GeneratorError> {
        let conv = &self.net.layers[layer];
        let w_dim = self.net.w_dim;
        let style = |i: usize| &self.styles[i * w_dim..(i + 1) * w_dim];
        let side = conv.resolution;
        let before = if layer % 2 == 1 { side / 2 } else { side };
        let maps = |channels: usize, side: usize| [1, channels, side, side];
        self.x = evaluate(
            self.runtime,
            &plain::layer(self.net, layer),
            &[
                ("x_in", &maps(conv.inputs, before), &self.x),
                ("style", &[1, w_dim], style(layer)),
                ("noise", &maps(1, side), &self.noise[layer]),
            ],
            ("x", &maps(conv.outputs, side)),
        )?;
        let error = relative_error(chain, &self.x);
        // NaN is the worst.
        if error.is_nan() || error > self.worst.0 {
            self.worst = (error, layer);
        }
        if layer.is_multiple_of(2) {
            let index = layer / 2;
            let rgb_in = maps(3, side / 2);
            let style_dims = [1, w_dim];
            let x_in = maps(conv.outputs, side);
            let mut inputs: Vec<(&str, &[usize], &[f32])> = vec![
                ("x_in", &x_in, &self.x),
                ("style", &style_dims, style(layer + 1)),
            ];
            if index > 0 {
                inputs.push(("rgb_in", &rgb_in, &self.rgb));
            }
            let rgb = plain::to_rgb(self.net, index);
            self.rgb = evaluate(self.runtime, &rgb, &inputs, ("rgb", &maps(3, side)))?;
        }
        Ok(())
    }
}

/// The mapping network in f64; class 0 of a conditional one.
fn plain_w(net: &Network, z: &[f32]) -> Vec<f32> {
    let normalised = |x: &[f64]| -> Vec<f64> {
        let square = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
        x.iter().map(|v| v / (square + 1e-8).sqrt()).collect()
    };
    let wide: Vec<f64> = z.iter().map(|&v| f64::from(v)).collect();
    let mut x = normalised(&wide);
    if let Some(embedding) = &net.embedding {
        let linear = &embedding.linear;
        let rows = linear.weight.chunks_exact(linear.inputs);
        let embedded: Vec<f64> = rows
            .zip(&linear.bias)
            .map(|(row, &b)| f64::from(row[0]) + f64::from(b))
            .collect();
        x.extend(normalised(&embedded));
    }
    for layer in &net.mapping_network {
        let rows = layer.weight.chunks_exact(layer.inputs);
        x = rows
            .zip(&layer.bias)
            .map(|(row, &b)| {
                let sum: f64 = row.iter().zip(&x).map(|(&w, x)| f64::from(w) * x).sum();
                let u = sum + f64::from(b);
                std::f64::consts::SQRT_2 * if u < 0.0 { 0.2 * u } else { u }
            })
            .collect();
    }
    x.into_iter().map(|v| v as f32).collect()
}

/// Largest difference over the range of `expected`; NaN where one of them has any.
fn relative_error(got: &[f32], expected: &[f32]) -> f32 {
    let mut worst = 0.0_f32;
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for (&a, &b) in got.iter().zip(expected) {
        let difference = (a - b).abs();
        if !difference.is_finite() {
            return f32::NAN;
        }
        worst = worst.max(difference);
        (low, high) = (low.min(b), high.max(b));
    }
    if got.len() != expected.len() {
        return f32::NAN;
    }
    if worst == 0.0 {
        0.0
    } else {
        worst / (high - low).max(f32::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::{relative_error, verify};
    use crate::generator::{Generator, Provider, ProviderChoice, Runtime};
    use crate::import::checkpoint::Checkpoint;
    use crate::import::network::Network;
    use crate::import::{ImportError, ImportOptions, import, layout};
    use std::path::Path;
    use std::time::Instant;

    /// The check can fail: the segments of one network beside another one.
    #[test]
    fn segments_of_a_slightly_wrong_network_are_found() {
        let Ok(runtime) = Runtime::load(None) else {
            return;
        };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import");
        let file = fixtures.join("ada-p4.pkl");
        let folder = tempfile::tempdir().unwrap();
        import(&file, folder.path(), ImportOptions::default()).unwrap();
        let choice = ProviderChoice::Only(Provider::Cpu);
        let mut generator = Generator::load(folder.path(), runtime, choice).unwrap();
        let mut check = |change: &dyn Fn(&mut Network)| {
            let mut checkpoint = Checkpoint::open(&file).unwrap();
            let mut net = layout::read(&mut checkpoint).unwrap().network;
            change(&mut net);
            let noise = net.noise.clone().unwrap();
            verify(&net, &mut generator, runtime, &noise, Instant::now(), 0)
        };
        check(&|_| ()).unwrap();
        type Slip<'a> = (&'a str, &'a dyn Fn(&mut Network));
        let slips: [Slip<'_>; 5] = [
            ("unflipped", &|net| {
                let weight = &mut net.layers[3].weight;
                weight.chunks_exact_mut(9).for_each(<[f32]>::reverse);
            }),
            ("gain", &|net| {
                for v in net.layers[1].up.iter_mut().flatten() {
                    *v /= 4.0;
                }
            }),
            ("clamp", &|net| net.layers[6].clamp = None),
            ("demodulation", &|net| net.layers[2].demod_eps = 10.0),
            ("picture", &|net| net.to_rgbs[1].bias[0] += 0.01),
        ];
        for (name, change) in slips {
            let error = check(change).unwrap_err();
            assert!(
                matches!(error, ImportError::Unverified { .. }),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn errors_are_relative_to_the_range_and_never_hidden() {
        assert_eq!(relative_error(&[0.0, 2.5], &[0.0, 2.0]), 0.25);
        assert_eq!(relative_error(&[1.0, 1.0], &[1.0, 1.0]), 0.0);
        assert!(relative_error(&[f32::NAN, 1.0], &[0.0, 1.0]).is_nan());
        assert!(relative_error(&[1.0], &[0.0, 1.0]).is_nan());
        assert!(relative_error(&[2.0], &[1.0]) > 1.0);
    }
}
