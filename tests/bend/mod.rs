//! Benders: GPU against CPU twins, and what holds for both.

mod feedback;
mod morphology;
mod parity;

use bendwave::bend::{
    Bend, Bender, FrameTime, GpuBender, Identity, TRANSFORMS, TransformSpec, cpu, spec,
};
use bendwave::gpu::{AdapterChoice, Gpu, GpuError};
use bendwave::tensor::{ChannelSet, FeatureMaps, MapShape, split_mix};
use std::sync::Arc;

pub(crate) fn shape(channels: usize, height: usize, width: usize) -> MapShape {
    MapShape {
        channels,
        height,
        width,
    }
}

/// Its partners, where it reads any, are all channels that it can see, backwards.
pub(crate) fn bend(name: &str, params: &[f32], channels: ChannelSet) -> Bend {
    let transform = spec::find(name).unwrap();
    let mut bend = Bend::new(transform, channels, transform.resolve(params).unwrap());
    if transform.name == "mix" {
        let last = bend.channels.as_slice().last().map_or(0, |c| c + 1);
        bend.partners = ChannelSet::from_indices((0..last).step_by(2), last as usize).unwrap();
    }
    bend
}

/// The adapter at hand. There must be one, software or not, unless the variable says otherwise.
pub(crate) fn gpu() -> Option<Arc<Gpu>> {
    match Gpu::new(&AdapterChoice::Auto) {
        Ok(gpu) => Some(Arc::new(gpu)),
        Err(GpuError::NoAdapter)
            if std::env::var_os("BENDWAVE_SKIP_GPU_TESTS").is_some_and(|v| v == "1") =>
        {
            println!("skipped: no GPU adapter, and BENDWAVE_SKIP_GPU_TESTS=1");
            None
        }
        Err(error) => panic!("{error} (or set BENDWAVE_SKIP_GPU_TESTS=1)"),
    }
}

/// Values from −3 to 3.
fn random_maps(shape: MapShape, seed: u64) -> Vec<f32> {
    let mut state = seed;
    (0..shape.len())
        .map(|_| ((split_mix(&mut state) >> 40) as f32 / 8_388_608.0 - 1.0) * 3.0)
        .collect()
}

const FIRST_FRAME: FrameTime = FrameTime {
    index: 0,
    dt_secs: 0.0,
};

fn apply(bender: &mut Bender, data: &[f32], shape: MapShape, bends: &[Bend]) -> Vec<f32> {
    apply_at(bender, data, shape, bends, FIRST_FRAME)
}

fn apply_at(
    bender: &mut Bender,
    data: &[f32],
    shape: MapShape,
    bends: &[Bend],
    time: FrameTime,
) -> Vec<f32> {
    let mut out = data.to_vec();
    let mut maps = FeatureMaps::Host {
        data: &mut out,
        shape,
    };
    bender.apply(&mut maps, bends, time).unwrap();
    out
}

/// Between the frames of [`second_frame`].
const DT_SECS: f32 = 1.0 / 30.0;

/// The second of two frames, [`DT_SECS`] apart. In the first everything was negated, so
/// that it differs.
fn second_frame(bender: &mut Bender, data: &[f32], shape: MapShape, bends: &[Bend]) -> Vec<f32> {
    let before: Vec<f32> = data.iter().map(|x| -x).collect();
    bender.forget();
    apply(bender, &before, shape, bends);
    let time = FrameTime {
        index: 1,
        dt_secs: DT_SECS,
    };
    apply_at(bender, data, shape, bends, time)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Greatest difference; infinite when something is not a number.
fn greatest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).fold(0.0, |most: f32, (a, b)| {
        let off = (a - b).abs();
        if off.is_nan() {
            f32::INFINITY
        } else {
            most.max(off)
        }
    })
}

/// Parameters to try for a transform, the first of them far from identity.
fn variants(transform: &TransformSpec, seed: &mut u64) -> Vec<Vec<f32>> {
    let fixed: &[&[f32]] = match transform.name {
        "ablate" | "invert" | "flip-h" | "flip-v" => &[&[], &[0.3]],
        "scalar-multiply" => &[&[-0.5], &[5.0, 0.5]],
        "binary-thresh" => &[&[0.5], &[-1.0, 0.7]],
        "smooth-thresh" => &[&[0.5, 1.0], &[-1.0, 0.0], &[0.2, 0.3, 0.7]],
        "posterise" => &[&[4.0], &[2.5, -2.0, 2.0], &[1.0, 1.0, -1.0, 0.5]],
        "noise" => &[&[0.5, 0.0], &[1.0, 17.0], &[2.0, 45.0, 0.4]],
        "translate" => &[&[0.25, 0.0], &[0.5, -0.2], &[-0.07, 0.33, 0.5]],
        "scale" => &[&[1.2], &[0.6, 2.0], &[-1.0], &[0.0], &[3.0, 3.0, 0.25]],
        "rotate" => &[&[45.0], &[180.0], &[-17.5, 0.6]],
        "shear" => &[&[0.5], &[-0.3, 0.7], &[1.0, 1.0]],
        "affine" => &[
            &[0.5, -0.4, 0.1, 0.3, 0.8, -0.2],
            &[-2.0, 0.0, 0.9, 0.0, 0.3, 0.0, 0.5],
        ],
        "erode" | "dilate" => &[&[1.0], &[2.0], &[1.5], &[6.25, 0.5], &[32.0], &[17.3]],
        "blur" => &[&[1.0], &[3.0], &[0.4, 0.5], &[32.0]],
        "sharpen" => &[&[1.0], &[4.0, 2.3], &[0.5, 0.1, 0.5]],
        "feedback" => &[
            &[0.5],
            &[2.0, 1.5, 90.0, 0.3, -0.2],
            &[0.1, 0.7, -45.0, 0.0, 0.0, 0.5],
        ],
        "mix" => &[&[], &[-0.5, 1.0], &[2.0, 0.3, 0.4]],
        other => panic!("no parameters to try for `{other}`: add some"),
    };
    let mut list: Vec<Vec<f32>> = fixed.iter().map(|p| p.to_vec()).collect();
    // And somewhere in the range of the knobs.
    list.push(
        transform
            .params
            .iter()
            .map(|p| {
                let t = (split_mix(seed) >> 40) as f32 / 16_777_216.0;
                p.range[0] + (p.range[1] - p.range[0]) * (0.1 + 0.9 * t)
            })
            .collect(),
    );
    list
}

#[test]
fn chains_run_in_order_each_on_its_channels() {
    let Some(gpu) = gpu() else { return };
    let mut gpu = Bender::gpu(gpu).unwrap();
    let mut cpu = Bender::cpu();
    let size = shape(12, 33, 20);
    let input = random_maps(size, 11);
    let pick = |list: &[u32]| ChannelSet::from_indices(list.iter().copied(), 12).unwrap();
    let bends = [
        bend("translate", &[0.3, -0.1], pick(&[1, 2, 3, 8])),
        bend("dilate", &[1.5], pick(&[2, 3, 9])),
        bend("scalar-multiply", &[1.0], pick(&[0, 5])),
        bend("rotate", &[30.0], pick(&[3, 8])),
        bend("invert", &[], pick(&[1, 9, 11])),
        bend("flip-h", &[], pick(&[2])),
        bend("scalar-multiply", &[0.0], pick(&[8])),
    ];
    let want = apply(&mut cpu, &input, size, &bends);
    let got = apply(&mut gpu, &input, size, &bends);
    // Two warps in a row: twice their tolerance.
    let allowed = 2.0 * parity::tolerance(&bends[0], size, 4.0);
    assert!(greatest(&want, &got) <= allowed);
    let plane = size.plane_len();
    for bender in [&mut cpu, &mut gpu] {
        // One by one is the same as together.
        let mut steps = input.clone();
        for one in &bends {
            steps = apply(bender, &steps, size, std::slice::from_ref(one));
        }
        let whole = apply(bender, &input, size, &bends);
        assert_eq!(bits(&steps), bits(&whole));
        // And the other way round is not.
        let reversed: Vec<Bend> = bends.iter().rev().cloned().collect();
        assert_ne!(bits(&whole), bits(&apply(bender, &input, size, &reversed)));
        assert!(whole[8 * plane..9 * plane].iter().all(|v| *v == 0.0));
    }
    for channel in [0, 4, 5, 6, 7, 10] {
        let range = channel * plane..(channel + 1) * plane;
        assert_eq!(bits(&got[range.clone()]), bits(&input[range]), "{channel}");
    }
}

#[test]
fn a_bender_is_reused_over_layers_and_frames() {
    let Some(gpu) = gpu() else { return };
    let mut gpu = Bender::gpu(gpu).unwrap();
    let mut cpu = Bender::cpu();
    let three = [(); 3].map(|()| bend("invert", &[], ChannelSet::all(16)));
    gpu.reserve(shape(16, 32, 32), &three).unwrap();
    for frame in 0..20_u64 {
        // Larger and smaller than what was there before.
        let size = shape(1 + (frame as usize * 7) % 23, 4 << (frame % 4), 8);
        let input = random_maps(size, frame);
        let mut bends = vec![bend(
            "flip-v",
            &[],
            ChannelSet::random(size.channels, 0.7, frame),
        )];
        for n in 0..frame % 5 {
            let part = ChannelSet::random(size.channels, 0.4, n);
            bends.push(bend("scalar-multiply", &[1.5], part));
        }
        let want = apply(&mut cpu, &input, size, &bends);
        assert_eq!(bits(&want), bits(&apply(&mut gpu, &input, size, &bends)));
    }
}

/// Both benders, or the CPU alone without an adapter.
fn benders() -> Vec<Bender> {
    let gpu = gpu().map(|gpu| Bender::gpu(gpu).unwrap());
    [Some(Bender::cpu()), gpu].into_iter().flatten().collect()
}

#[test]
fn identity_changes_no_bit() {
    let size = shape(3, 6, 5);
    let mut input = random_maps(size, 1);
    input[7] = f32::NAN;
    input[40] = f32::NEG_INFINITY;
    input[41] = -0.0;
    for mut bender in benders() {
        for transform in TRANSFORMS {
            let mut params: Vec<f32> = transform
                .params
                .iter()
                .map(|p| match p.identity {
                    Identity::At(value) => value,
                    _ => p.fallback() + 0.3,
                })
                .collect();
            let amount_off = bend(transform.name, &params, ChannelSet::all(3));
            let mut bends = vec![amount_off];
            let own = &transform.params[..transform.amount_index()];
            let rests = |p: &bendwave::bend::ParamSpec| matches!(p.identity, Identity::At(_));
            if own.iter().any(rests) && own.iter().all(|p| p.identity != Identity::Never) {
                params[transform.amount_index()] = 1.0;
                bends.push(bend(transform.name, &params, ChannelSet::all(3)));
            }
            let out = apply(&mut bender, &input, size, &bends);
            assert_eq!(bits(&out), bits(&input), "{}", transform.name);
        }
        let nothing = [bend("ablate", &[], ChannelSet::all(0))];
        assert_eq!(
            bits(&apply(&mut bender, &input, size, &nothing)),
            bits(&input)
        );
    }
}

#[test]
fn near_identity_is_near_the_input() {
    // The skipped identity must not be a jump.
    let size = shape(2, 16, 16);
    let input = random_maps(size, 2);
    for mut bender in benders() {
        for (name, params) in [
            ("scalar-multiply", &[1.0001][..]),
            ("translate", &[1e-5, 1e-5]),
            ("scale", &[1.000_01]),
            ("rotate", &[0.0001]),
            ("erode", &[0.0001]),
            ("dilate", &[0.0001]),
            ("ablate", &[0.0001]),
            ("binary-thresh", &[0.5, 0.0001]),
        ] {
            let out = apply(
                &mut bender,
                &input,
                size,
                &[bend(name, params, ChannelSet::all(2))],
            );
            let off = greatest(&input, &out);
            assert!(off > 0.0 && off < 3e-3, "{name}: {off}");
        }
    }
}

#[test]
fn half_an_amount_is_the_midpoint() {
    let size = shape(2, 11, 9);
    let input = random_maps(size, 4);
    for mut bender in benders() {
        for transform in TRANSFORMS {
            let params = &variants(transform, &mut 3)[0];
            let mut full = bend(transform.name, params, ChannelSet::all(2));
            full.params[transform.amount_index()] = 1.0;
            let mut half = full.clone();
            half.params[transform.amount_index()] = 0.5;
            // Feedback at half an amount also keeps half of it, so it begins from the same frame.
            let run = |bender: &mut Bender, last: Bend| {
                let mut first = last.clone();
                first.params[transform.amount_index()] = 1e-9;
                let before: Vec<f32> = input.iter().map(|x| -x).collect();
                bender.forget();
                apply(bender, &before, size, &[first]);
                let time = FrameTime {
                    index: 1,
                    dt_secs: 0.1,
                };
                apply_at(bender, &input, size, &[last], time)
            };
            let full = run(&mut bender, full);
            let half = run(&mut bender, half);
            assert_ne!(bits(&full), bits(&input), "{}", transform.name);
            for i in 0..input.len() {
                let middle = (input[i] + full[i]) / 2.0;
                assert!((half[i] - middle).abs() <= 3e-6, "{}", transform.name);
            }
        }
    }
}

#[test]
fn nan_and_infinity_are_defined() {
    let size = shape(2, 9, 9);
    let mut input = random_maps(size, 8);
    input[30] = f32::NAN;
    input[31] = f32::INFINITY;
    input[32] = f32::NEG_INFINITY;
    input[81 + 40] = f32::NAN;
    input[81 + 50] = f32::MAX;
    let cleaned: Vec<f32> = input.iter().map(|&x| cpu::clean(x)).collect();
    let first = ChannelSet::from_indices([0], 2).unwrap();
    for mut bender in benders() {
        for transform in TRANSFORMS {
            for params in variants(transform, &mut 6) {
                let bends = [bend(transform.name, &params, first.clone())];
                let out = apply(&mut bender, &input, size, &bends);
                let same = apply(&mut bender, &cleaned, size, &bends);
                assert_eq!(bits(&out[..81]), bits(&same[..81]), "{}", transform.name);
                assert!(out[..81].iter().all(|v| v.abs() <= cpu::LIMIT));
                assert_eq!(bits(&out[81..]), bits(&input[81..]));
            }
        }
        // A product beyond every limit.
        let out = apply(
            &mut bender,
            &input,
            size,
            &[bend("scalar-multiply", &[-1e6], first.clone())],
        );
        assert_eq!(out[30..33], [0.0, -cpu::LIMIT, cpu::LIMIT]);
    }
}

#[test]
fn driven_parameters_may_be_anything() {
    let size = shape(2, 8, 8);
    let input = random_maps(size, 9);
    for mut bender in benders() {
        for transform in TRANSFORMS {
            for value in [
                f32::NAN,
                f32::INFINITY,
                f32::NEG_INFINITY,
                1e30,
                1e-40,
                -3.7,
            ] {
                let mut wild = bend(
                    transform.name,
                    &variants(transform, &mut 1)[0],
                    ChannelSet::all(2),
                );
                for param in &mut wild.params[..transform.params.len()] {
                    *param = value;
                }
                let out = apply(&mut bender, &input, size, &[wild]);
                assert!(out.iter().all(|v| v.is_finite()), "{}", transform.name);
                if value.is_nan() {
                    assert_eq!(bits(&out), bits(&input), "{}", transform.name);
                }
            }
        }
    }
}

#[test]
fn misfits_are_errors() {
    let size = shape(2, 4, 4);
    for mut bender in benders() {
        let mut data = vec![1.0; 31];
        let mut maps = FeatureMaps::Host {
            data: &mut data,
            shape: size,
        };
        let message = bender
            .apply(&mut maps, &[], FIRST_FRAME)
            .unwrap_err()
            .to_string();
        assert_eq!(message, "feature maps of 31 values where the shape has 32");
        let mut data = vec![1.0; 32];
        let mut maps = FeatureMaps::Host {
            data: &mut data,
            shape: size,
        };
        let beyond = [bend("ablate", &[], ChannelSet::all(3))];
        assert!(bender.apply(&mut maps, &beyond, FIRST_FRAME).is_err());
        assert_eq!(data, [1.0; 32]);
    }
}

#[test]
fn a_lost_device_is_an_error() {
    let Some(gpu) = gpu() else { return };
    let mut bender = GpuBender::new(Arc::clone(&gpu)).unwrap();
    let size = shape(2, 8, 8);
    let input = random_maps(size, 3);
    let bends = [bend("invert", &[], ChannelSet::all(2))];
    gpu.device().destroy();
    for _ in 0..2 {
        let mut data = input.clone();
        let mut maps = FeatureMaps::Host {
            data: &mut data,
            shape: size,
        };
        let error = bender.apply(&mut maps, &bends, FIRST_FRAME).unwrap_err();
        assert!(!error.to_string().is_empty());
        assert_eq!(data, input);
    }
}
