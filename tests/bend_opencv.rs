//! CPU twins against OpenCV: warps within 1e-3, what sums up within 2e-5, everything else exactly.
//!
//! `fixtures/bend/generate.py` made the files. OpenCV computes coordinates of warps in another
//! order than the twins, so f32 rounds differently; other transforms only move or compare values.
//! What OpenCV lacks was computed from the documented formula in NumPy, in f64.

use crate::bend::{bend, shape};
use bendwave::bend::{Bender, Border, FrameTime, TRANSFORMS};
use bendwave::tensor::{ChannelSet, FeatureMaps};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Cursor;

const WARP_TOLERANCE: f32 = 1e-3;
const SUM_TOLERANCE: f32 = 2e-5;

fn tolerance(transform: &str) -> f32 {
    match transform {
        "translate" | "scale" | "rotate" | "shear" | "affine" | "feedback" => WARP_TOLERANCE,
        "blur" | "sharpen" | "smooth-thresh" | "posterise" | "noise" | "mix" => SUM_TOLERANCE,
        _ => 0.0,
    }
}

/// Rows, columns and values by name.
type Arrays = HashMap<String, (usize, usize, Vec<f32>)>;

fn fixtures() -> (Arrays, Vec<Value>) {
    let bytes = include_bytes!("fixtures/bend/opencv.npz");
    let mut archive = zip::ZipArchive::new(Cursor::new(&bytes[..])).unwrap();
    let mut arrays = HashMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).unwrap();
        let name = entry.name().unwrap().trim_end_matches(".npy").to_owned();
        let file = npyz::NpyFile::new(entry).unwrap();
        let size = (file.shape()[0] as usize, file.shape()[1] as usize);
        let values = file.into_vec::<f32>().unwrap();
        arrays.insert(name, (size.0, size.1, values));
    }
    let cases = serde_json::from_str(include_str!("fixtures/bend/cases.json")).unwrap();
    (arrays, cases)
}

/// Greatest difference between twin and OpenCV.
fn difference(case: &Value, arrays: &Arrays, change: impl Fn(&mut Vec<f32>)) -> f32 {
    let (rows, columns, input) = &arrays[case["input"].as_str().unwrap()];
    let (.., expected) = &arrays[case["expected"].as_str().unwrap()];
    let mut params: Vec<f32> = case["params"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_f64().unwrap() as f32)
        .collect();
    change(&mut params);
    let map = |key: &str| case[key].as_str().map(|name| arrays[name].2.as_slice());
    let partner = map("partner");
    let channels = 1 + usize::from(partner.is_some());
    let pick = |c: u32| ChannelSet::from_indices([c], channels).unwrap();
    let mut bends = [bend(case["transform"].as_str().unwrap(), &params, pick(0))];
    if let Some(border) = case["border"].as_str() {
        bends[0].border = Border::find(border).unwrap();
    }
    if partner.is_some() {
        bends[0].partners = pick(1);
    }
    let mut bender = Bender::cpu();
    let mut run = |input: &[f32], index| {
        let mut data = [input, partner.unwrap_or_default()].concat();
        let mut maps = FeatureMaps::Host {
            data: &mut data,
            shape: shape(channels, *rows, *columns),
        };
        let time = FrameTime {
            index,
            dt_secs: if case["before"].is_string() { 0.1 } else { 0.0 },
        };
        bender.apply(&mut maps, &bends, time).unwrap();
        data
    };
    if let Some(before) = map("before") {
        run(before, 0);
    }
    let data = run(input, 1);
    data.iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn twins_do_what_opencv_does() {
    let (arrays, cases) = fixtures();
    let mut seen = HashMap::new();
    let mut worst: HashMap<&str, f32> = HashMap::new();
    for case in cases.iter().filter(|c| c["transform"].is_string()) {
        let name = case["transform"].as_str().unwrap();
        *seen.entry(name.to_owned()).or_insert(0) += 1;
        let off = difference(case, &arrays, |_| ());
        assert!(off <= tolerance(name), "{case}: off by {off}");
        let most = worst.entry(name).or_default();
        *most = most.max(off);
    }
    println!("greatest differences: {worst:?}");
    for transform in TRANSFORMS {
        assert!(seen.contains_key(transform.name), "{}", transform.name);
    }
}

#[test]
fn slightly_wrong_parameters_are_noticed() {
    let (arrays, cases) = fixtures();
    for (name, nudge) in [
        ("translate", 0.01),
        ("scale", 0.01),
        ("rotate", 0.5),
        ("scalar-multiply", 1e-6),
        ("binary-thresh", 0.3),
        ("erode", 1.0),
        ("dilate", 1.0),
        ("shear", 0.01),
        ("affine", 0.01),
        ("feedback", 0.01),
        ("blur", 0.01),
        ("sharpen", 0.001),
        ("smooth-thresh", 0.001),
        ("posterise", 0.01),
        ("noise", 0.001),
        ("mix", 0.001),
    ] {
        let case = cases
            .iter()
            .find(|c| c["transform"] == name && c["input"] == "input_23x19")
            .unwrap();
        let off = difference(case, &arrays, |params| params[0] += nudge);
        assert!(off > tolerance(name), "{name}: {off}");
    }
}

#[test]
fn discs_are_opencvs() {
    let (_, cases) = fixtures();
    let discs: Vec<&Value> = cases.iter().filter(|c| c["disc"].is_u64()).collect();
    assert_eq!(discs.len(), 32);
    for case in discs {
        let radius = case["disc"].as_u64().unwrap();
        let mut data = vec![0.0; 65 * 65];
        data[32 * 65 + 32] = 1.0;
        let mut maps = FeatureMaps::Host {
            data: &mut data,
            shape: shape(1, 65, 65),
        };
        let bends = [bend("dilate", &[radius as f32], ChannelSet::all(1))];
        Bender::cpu()
            .apply(&mut maps, &bends, FrameTime::default())
            .unwrap();
        let first = 32 - radius as usize;
        for (row, width) in case["widths"].as_array().unwrap().iter().enumerate() {
            let sum: f32 = data[(first + row) * 65..][..65].iter().sum();
            assert_eq!(sum as u64, width.as_u64().unwrap(), "r {radius} row {row}");
        }
    }
}
