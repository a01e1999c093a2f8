//! GPU against CPU twins, for every transform × border × mask × selection.
//!
//! # Tolerances
//!
//! WGSL's `+`, `−`, `·` are correctly rounded, but a driver may fuse a product with a sum. With ε =
//! 2⁻²⁴, half the spacing of floats at 1, and m the largest value that goes in or comes out:
//! - Moves, comparisons, and single products or sums: exact (a fused `x · m + 0` rounds the same).
//! - A fade adds two roundings, of the sum and of the product: 4 ε m.
//! - Sums of two products (mix, posterise, noise): 4 ε for each term.
//! - A smooth threshold rises by at most 1.5 / softness, its argument is off by 4 ε (m + threshold).
//! - A warp's coordinate is a sum of two products and an offset, in the same order on both sides. A
//!   driver that fuses a product leaves one rounding out, of P = |a · dx| at most; by that the two
//!   sums after it may round to other neighbours. Then borders that repeat take whole periods off,
//!   which rounds once more. Together less than 8 ε (P + offset) pixels. Between neighbouring pixels a
//!   value changes by 2 m at most, in each direction; that slope is why a small error of place shows as a
//!   large one of value, and the larger the map, the more. The interpolation itself adds 8 ε m. P and
//!   the offset are those of the matrix that is sampled with, so shrinking to a tenth has ten times the
//!   tolerance.
//! - A blur adds at most 2 r + 1 products twice: 4 ε (2 r + 2) m; sharpening multiplies that.
//! - A mask's weight is off by 8 ε slope · (W + H), WGSL's square root by 3 more ε; the slope of the
//!   smooth rise is at most 1.5 per unit; a fade moves by at most 2 m times that.

use super::{DT_SECS, apply, bend, gpu, greatest, random_maps, second_frame, shape, variants};
use bendwave::bend::border::BORDERS;
use bendwave::bend::mask::{self, MASKS};
use bendwave::bend::{Bend, Bender, Border, Mask, Painting, TRANSFORMS};
use bendwave::tensor::{ChannelSet, MapShape};
use std::sync::Arc;

const EPS: f32 = 1.0 / 16_777_216.0;

/// See the module's docs. `largest` is the greatest magnitude that goes in or comes out.
pub(super) fn tolerance(bend: &Bend, shape: MapShape, largest: f32) -> f32 {
    let (p, m) = (&bend.params, largest);
    let span = (shape.width + shape.height) as f32;
    let amount = p[bend.transform.amount_index()];
    let fade = if amount < 1.0 || bend.mask.is_some() || p[0].fract() != 0.0 {
        4.0 * EPS * m
    } else {
        0.0
    };
    let (w, h) = (shape.width as f32, shape.height as f32);
    // Of [xx xy; yx yy] and a shift in pixels.
    let warp = |[xx, xy, yx, yy]: [f32; 4], [sx, sy]: [f32; 2]| {
        let det = (xx * yy - xy * yx).abs();
        if det == 0.0 {
            return 8.0 * EPS * m;
        }
        let row = |a: f32, b: f32, middle: f32| {
            let products = (a.abs() * w + b.abs() * h) / 2.0;
            products + middle + (a * sx).abs() + (b * sy).abs()
        };
        let places = row(yy / det, xy / det, w / 2.0) + row(yx / det, xx / det, h / 2.0);
        (8.0 * EPS * places * 2.0 + 8.0 * EPS) * m
    };
    let turned = |degrees: f32, zoom: f32| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        [cos * zoom, sin * zoom, -sin * zoom, cos * zoom]
    };
    let own = match bend.transform.name {
        "smooth-thresh" if p[1] > 0.0 => 1.5 / p[1] * 4.0 * EPS * (m + p[0].abs()),
        "posterise" => 8.0 * EPS * (m + p[1].abs() + p[2].abs()),
        "noise" => 8.0 * EPS * (m + 7.0 * p[0]),
        "mix" => 8.0 * EPS * m * (p[0].abs() + p[1].abs() + 1.0),
        "scale" => warp([p[0], 0.0, 0.0, p[1]], [0.0; 2]),
        "translate" => warp([1.0, 0.0, 0.0, 1.0], [p[0] * w, p[1] * h]),
        "rotate" => warp(turned(p[0], 1.0), [0.0; 2]),
        "shear" => warp([1.0, p[0], p[1], 1.0], [0.0; 2]),
        "affine" => warp([p[0], p[1], p[3], p[4]], [p[2] * w, p[5] * h]),
        // For a frame of `second_frame`. Half of both fades.
        "feedback" => {
            let zoom = p[1].powf(DT_SECS);
            let shift = [p[3] * w * DT_SECS, p[4] * h * DT_SECS];
            warp(turned(p[2] * DT_SECS, zoom), shift) + 4.0 * EPS * m
        }
        "blur" => 4.0 * EPS * (8.0 * p[0] + 3.0) * m,
        "sharpen" => 4.0 * EPS * (8.0 * p[1] + 3.0) * m * (1.0 + p[0]) + 8.0 * EPS * m,
        _ => 0.0,
    };
    let masked = bend.mask.as_ref().map_or(0.0, |mask| {
        let softness = match mask.spec.kind {
            mask::MaskKind::Circle | mask::MaskKind::Gradient => {
                mask.params[3] * shape.width as f32
            }
            mask::MaskKind::Picture => mask.params[2].min(1.0),
        };
        1.5 / softness * 16.0 * EPS * span * 2.0 * m
    });
    own + fade + masked
}

pub(super) fn masks(shape: MapShape) -> Vec<Mask> {
    MASKS
        .iter()
        .map(|spec| {
            let mut params = spec.defaults();
            let all = match spec.kind {
                mask::MaskKind::Circle => [0.4, 0.6, 0.45, 0.3, 0.2],
                mask::MaskKind::Gradient => [0.5, 0.3, 30.0, 0.7, 0.0],
                mask::MaskKind::Picture => [0.55, 0.5, 0.8, 1.0, 0.0],
            };
            params[..spec.params.len()].copy_from_slice(&all[..spec.params.len()]);
            let painting = (spec.kind == mask::MaskKind::Picture).then(|| {
                let values = (0..35).map(|i| i as f32 / 34.0).collect();
                Painting::from_values(7, 5, values).unwrap().fit(shape)
            });
            Mask {
                spec,
                params,
                painting,
            }
        })
        .collect()
}

fn largest(input: &[f32], output: &[f32]) -> f32 {
    input
        .iter()
        .chain(output)
        .fold(0.0, |m: f32, v| m.max(v.abs()))
}

/// Compares one bend, and gives the difference as a share of what is allowed.
fn compare(gpu: &mut Bender, cpu: &mut Bender, input: &[f32], size: MapShape, bend: Bend) -> f32 {
    let bends = [bend];
    let want = second_frame(cpu, input, size, &bends);
    let got = second_frame(gpu, input, size, &bends);
    let allowed = tolerance(&bends[0], size, largest(input, &want));
    let off = greatest(&want, &got);
    let Bend {
        transform,
        params,
        border,
        mask,
        ..
    } = &bends[0];
    assert!(
        off <= allowed,
        "{} {params:?} {border:?} {:?} {size:?}: off by {off}, allowed {allowed}",
        transform.name,
        mask.as_ref().map(|m| m.spec.name)
    );
    off
}

#[test]
fn gpu_and_twins_agree() {
    let Some(gpu) = gpu() else { return };
    let mut gpu = Bender::gpu(gpu).unwrap();
    let mut cpu = Bender::cpu();
    let mut seed = 7;
    for size in [
        shape(5, 4, 4),
        shape(3, 4, 7),
        shape(4, 13, 5),
        shape(3, 64, 64),
        shape(2, 1, 3),
    ] {
        let input = random_maps(size, size.len() as u64);
        let some = ChannelSet::random(size.channels, 0.5, 3);
        let one = ChannelSet::from_indices([size.channels as u32 - 1], size.channels).unwrap();
        let selections = [ChannelSet::all(size.channels), some, one];
        for transform in TRANSFORMS {
            for (variant, params) in variants(transform, &mut seed).into_iter().enumerate() {
                for (index, (_, border)) in BORDERS.iter().enumerate() {
                    if transform.border.is_none() && index > 0 {
                        continue;
                    }
                    // Each border with each selection once, then in turn.
                    let in_turn = |i: &usize| variant == 0 || *i == (variant + index) % 3;
                    for channels in (0..3).filter(in_turn).map(|i| &selections[i]) {
                        let mut bend = bend(transform.name, &params, channels.clone());
                        bend.border = *border;
                        compare(&mut gpu, &mut cpu, &input, size, bend);
                    }
                }
                let masks = masks(size).into_iter().enumerate();
                for (_, mask) in masks.filter(|(i, _)| variant == 0 || *i == variant % 3) {
                    let mut bend = bend(transform.name, &params, selections[1].clone());
                    bend.mask = Some(mask);
                    compare(&mut gpu, &mut cpu, &input, size, bend);
                }
            }
        }
    }
}

#[test]
fn gpu_and_twins_agree_on_large_maps() {
    let Some(gpu) = gpu() else { return };
    let mut gpu = Bender::gpu(gpu).unwrap();
    let mut cpu = Bender::cpu();
    let mut seed = 5;
    for size in [shape(2, 300, 517), shape(1, 1024, 1024)] {
        let input = random_maps(size, 3);
        for (index, transform) in TRANSFORMS.iter().enumerate() {
            let params = variants(transform, &mut seed).swap_remove(0);
            let mut bend = bend(transform.name, &params, ChannelSet::all(size.channels));
            if transform.border.is_some() {
                bend.border = BORDERS[index % 4].1;
            }
            bend.mask = masks(size).into_iter().nth(index % 4);
            compare(&mut gpu, &mut cpu, &input, size, bend);
        }
    }
}

#[test]
fn a_perturbed_twin_is_noticed() {
    let Some(gpu) = gpu() else { return };
    let mut gpu = Bender::gpu(gpu).unwrap();
    let size = shape(2, 21, 18);
    let input = random_maps(size, 5);
    let all = ChannelSet::all(2);
    let rows = [
        ("ablate", &[1.0][..], &[0.999][..]),
        ("invert", &[1.0], &[0.999]),
        ("flip-h", &[1.0], &[0.999]),
        ("flip-v", &[1.0], &[0.999]),
        ("scalar-multiply", &[2.0], &[2.000_01]),
        ("binary-thresh", &[0.5], &[0.52]),
        ("smooth-thresh", &[0.5, 0.5], &[0.5, 0.500_1]),
        ("posterise", &[4.0], &[4.001]),
        ("noise", &[1.0, 10.0], &[1.0, 10.01]),
        ("translate", &[0.2, 0.1], &[0.2, 0.1001]),
        ("scale", &[1.3], &[1.3, 1.3003]),
        ("rotate", &[45.0], &[45.01]),
        ("shear", &[0.5], &[0.500_3]),
        (
            "affine",
            &[0.5, -0.4, 0.1, 0.3, 0.8, -0.2],
            &[0.5, -0.4, 0.1, 0.3, 0.801, -0.2],
        ),
        ("erode", &[2.0], &[1.999]),
        ("dilate", &[2.0], &[2.001]),
        ("blur", &[2.0], &[2.001]),
        ("sharpen", &[1.0], &[1.0, 1.001]),
        ("feedback", &[1.0], &[1.02]),
        ("mix", &[1.0], &[1.0, 0.0001]),
    ];
    for transform in TRANSFORMS {
        assert!(rows.iter().any(|(name, ..)| *name == transform.name));
    }
    for (name, right, wrong) in rows {
        let wrong = bend(name, wrong, all.clone());
        let want = second_frame(&mut Bender::cpu(), &input, size, &[wrong]);
        let right = bend(name, right, all.clone());
        let got = second_frame(&mut gpu, &input, size, std::slice::from_ref(&right));
        let allowed = tolerance(&right, size, 6.0);
        assert!(greatest(&want, &got) > allowed, "{name}");
    }
    // Borders and masks.
    for transform in TRANSFORMS.iter().filter(|t| t.border.is_some()) {
        // One that reads outside: shrinking does, the first variant of a scale does not.
        let which = usize::from(transform.name == "scale");
        let params = &variants(transform, &mut 1)[which];
        for (right, wrong) in [
            (Border::Zero, Border::Replicate),
            (Border::Wrap, Border::Reflect),
        ] {
            let with = |border| {
                let mut bend = bend(transform.name, params, all.clone());
                bend.border = border;
                [bend]
            };
            let want = second_frame(&mut Bender::cpu(), &input, size, &with(wrong));
            let got = second_frame(&mut gpu, &input, size, &with(right));
            let allowed = tolerance(&with(right)[0], size, 6.0);
            // Feedback that does not move reads nothing outside.
            if transform.name != "feedback" {
                assert!(
                    greatest(&want, &got) > allowed,
                    "{} {right:?}",
                    transform.name
                );
            }
        }
    }
    for mask in masks(size) {
        let masked = |change: f32| {
            let mut bend = bend("invert", &[], all.clone());
            let mut mask = mask.clone();
            mask.params[0] += change;
            bend.mask = Some(mask);
            [bend]
        };
        let want = apply(&mut Bender::cpu(), &input, size, &masked(0.001));
        let got = apply(&mut gpu, &input, size, &masked(0.0));
        let allowed = tolerance(&masked(0.0)[0], size, 6.0);
        assert!(greatest(&want, &got) > allowed, "{}", mask.spec.name);
    }
}

#[test]
fn painted_weights_live_as_long_as_their_bend() {
    let size = shape(1, 4, 4);
    let input = vec![1.0; 16];
    let mut benders = vec![Bender::cpu()];
    benders.extend(gpu().map(|gpu| Bender::gpu(gpu).unwrap()));
    for bender in &mut benders {
        for value in [0.25, 0.75] {
            let mut bend = bend("ablate", &[], ChannelSet::all(1));
            let mut mask = masks(size).swap_remove(2);
            mask.params = mask.spec.defaults();
            mask.painting = Some(Arc::from(vec![value; 16]));
            bend.mask = Some(mask);
            for _ in 0..3 {
                let out = apply(bender, &input, size, std::slice::from_ref(&bend));
                assert!(
                    out.iter().all(|v| (v - (1.0 - value)).abs() < 1e-6),
                    "{out:?}"
                );
            }
        }
    }
}
