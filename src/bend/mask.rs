//! Masks: where on the map a transform works, and how much. Declared once, like transforms.
//!
//! A mask gives each pixel a weight from 0 to 1, by which `amount` is multiplied:
//! `out = x + (T(x) − x) · amount · weight`. Places and lengths are shares of the map, so that a mask
//! fits every layer: x from 0 (left edge) to 1 (right edge), y from 0 (top) to 1 (bottom), lengths as
//! shares of the width. The weight of a pixel is taken at its middle.

use super::spec::{Identity, Missing, ParamSpec};
use super::uniform::BendUniform;
use crate::tensor::MapShape;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most parameters a mask has.
pub const MAX_MASK_PARAMS: usize = 5;

/// Parameters of a mask in the order of [`MaskSpec::params`]; the rest is 0.
pub type MaskValues = [f32; MAX_MASK_PARAMS];

/// What a mask looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskKind {
    /// A soft disc.
    Circle,
    /// A soft edge across the map.
    Gradient,
    /// A painted picture.
    Picture,
}

/// A kind of mask.
#[derive(Clone, Copy, Debug)]
pub struct MaskSpec {
    /// What it looks like.
    pub kind: MaskKind,
    /// Name in files.
    pub name: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
    /// Parameters. Files leave the `mask-` of the names out.
    pub params: &'static [ParamSpec],
}

/// Every kind of mask.
pub static MASKS: &[MaskSpec] = &[
    MaskSpec {
        kind: MaskKind::Circle,
        name: "circle",
        doc: "whole inside a circle, fading out over `softness` up to its radius",
        params: &[
            place("mask-x", "of width"),
            place("mask-y", "of height"),
            length("mask-radius", 0.3, [0.0, 1.0]),
            length("mask-softness", 0.1, [0.0, 0.5]),
            INVERT,
        ],
    },
    MaskSpec {
        kind: MaskKind::Gradient,
        name: "gradient",
        doc: "from nothing to whole across a line through (x, y), rising towards `angle`",
        params: &[
            place("mask-x", "of width"),
            place("mask-y", "of height"),
            ParamSpec {
                name: "mask-angle",
                unit: "°",
                range: [-180.0, 180.0],
                limits: [-1e6, 1e6],
                identity: Identity::Free,
                missing: Missing::Value(0.0),
            },
            length("mask-softness", 1.0, [0.0, 1.0]),
            INVERT,
        ],
    },
    MaskSpec {
        kind: MaskKind::Picture,
        name: "picture",
        doc: "as bright as a PNG (`file`) is painted; nothing around it",
        params: &[
            place("mask-x", "of width"),
            place("mask-y", "of height"),
            ParamSpec {
                name: "mask-size",
                unit: "",
                range: [0.1, 3.0],
                limits: [0.001, 1e3],
                identity: Identity::Free,
                missing: Missing::Value(1.0),
            },
            INVERT,
        ],
    },
];

const fn place(name: &'static str, unit: &'static str) -> ParamSpec {
    ParamSpec {
        name,
        unit,
        range: [0.0, 1.0],
        limits: [-100.0, 100.0],
        identity: Identity::Free,
        missing: Missing::Value(0.5),
    }
}

const fn length(name: &'static str, value: f32, range: [f32; 2]) -> ParamSpec {
    ParamSpec {
        name,
        unit: "of width",
        range,
        limits: [0.0, 100.0],
        identity: Identity::Free,
        missing: Missing::Value(value),
    }
}

/// 1 swaps inside and outside; values between fade from the one to the other.
const INVERT: ParamSpec = ParamSpec {
    name: "mask-invert",
    unit: "",
    range: [0.0, 1.0],
    limits: [0.0, 1.0],
    identity: Identity::Free,
    missing: Missing::Value(0.0),
};

/// The kind of mask of this name.
pub fn find(name: &str) -> Option<&'static MaskSpec> {
    MASKS.iter().find(|m| m.name == name)
}

impl MaskSpec {
    /// Index of a parameter by its name, with or without `mask-`.
    pub fn param_index(&self, name: &str) -> Option<usize> {
        let short = name.strip_prefix("mask-").unwrap_or(name);
        self.params
            .iter()
            .position(|p| p.name.strip_prefix("mask-") == Some(short))
    }

    /// A parameter's name in files, which is its own without `mask-`.
    ///
    /// # Panics
    /// When there is no parameter of this index.
    pub fn file_name(&self, index: usize) -> &'static str {
        self.params[index].name.trim_start_matches("mask-")
    }

    /// What a file that names no parameter gets.
    pub fn defaults(&self) -> MaskValues {
        let mut values = [0.0; MAX_MASK_PARAMS];
        for (value, param) in values.iter_mut().zip(self.params) {
            *value = param.fallback();
        }
        values
    }
}

/// The mask of one bend in one frame.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Which kind.
    pub spec: &'static MaskSpec,
    /// Parameters. The benders clamp them to their limits and take the default for NaN.
    pub params: MaskValues,
    /// Weights of [`MaskKind::Picture`], made by [`Painting::fit`] for the layer's shape.
    pub painting: Option<Arc<[f32]>>,
}

impl Mask {
    /// Writes what the kernels read. `painting` is where the weights of a picture stand in memory.
    pub(super) fn prepare(&self, shape: MapShape, painting: u32, out: &mut BendUniform) {
        let mut p = self.params;
        for (value, param) in p.iter_mut().zip(self.spec.params) {
            *value = param.clamp(*value);
        }
        let (width, height) = (shape.width as f32, shape.height as f32);
        out.mask_at = [p[0] * width, p[1] * height];
        match self.spec.kind {
            MaskKind::Circle => {
                out.mask = 1;
                out.mask_edge = p[2] * width;
                out.mask_slope = slope(p[3] * width);
                out.mask_invert = p[4];
            }
            MaskKind::Gradient => {
                out.mask = 2;
                let angle = f64::from(p[2]).rem_euclid(360.0).to_radians();
                // Counter-clockwise, with y down.
                out.mask_axis = [angle.cos() as f32, -angle.sin() as f32];
                out.mask_slope = slope(p[3] * width);
                out.mask_invert = p[4];
            }
            MaskKind::Picture => {
                out.mask = 3;
                out.mask_slope = 1.0 / p[2];
                out.mask_invert = p[3];
                out.painting = painting;
            }
        }
    }
}

/// Rise per pixel of an edge this many pixels wide; a hard edge is a millionth of a pixel wide.
fn slope(pixels: f32) -> f32 {
    1.0 / pixels.max(1e-6)
}

/// Why a painted mask can not be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct PaintingError {
    path: PathBuf,
    why: String,
}

/// A painted mask: brightness from 0 (black or transparent) to 1 (white).
#[derive(Clone, Debug, PartialEq)]
pub struct Painting {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

/// Widest and highest picture that is read.
const MAX_SIDE: u32 = 8192;
/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

impl Painting {
    /// Reads a PNG. Weight of a pixel: (0.2126 R + 0.7152 G + 0.0722 B) · A of its values as they
    /// are stored, each from 0 to 1.
    ///
    /// # Errors
    /// When the file can not be read, is no PNG, or is larger than 8192 × 8192 pixels or 64 MiB.
    pub fn load(path: &Path) -> Result<Self, PaintingError> {
        let wrong = |why: String| PaintingError {
            path: path.to_owned(),
            why,
        };
        let file = File::open(path).map_err(|e| wrong(e.to_string()))?;
        let mut decoder = png::Decoder::new(BufReader::new(file.take(MAX_FILE_BYTES)));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().map_err(|e| wrong(e.to_string()))?;
        let (width, height) = (reader.info().width, reader.info().height);
        if width > MAX_SIDE || height > MAX_SIDE {
            return Err(wrong(format!(
                "{width} × {height} pixels are more than {MAX_SIDE} × {MAX_SIDE}"
            )));
        }
        let size = reader
            .output_buffer_size()
            .ok_or_else(|| wrong("is too large".to_owned()))?;
        let mut bytes = vec![0; size];
        let info = reader
            .next_frame(&mut bytes)
            .map_err(|e| wrong(e.to_string()))?;
        let samples = info.color_type.samples();
        let part = |byte: u8| f32::from(byte) / 255.0;
        let values = bytes[..info.buffer_size()]
            .chunks_exact(samples)
            .map(|pixel| match *pixel {
                [grey] => part(grey),
                [grey, alpha] => part(grey) * part(alpha),
                [r, g, b] => luma(part(r), part(g), part(b)),
                [r, g, b, a, ..] => luma(part(r), part(g), part(b)) * part(a),
                [] => 0.0,
            })
            .collect();
        Ok(Self {
            width: width as usize,
            height: height as usize,
            values,
        })
    }

    /// From values, row by row; `None` when there are not `width · height`, or none.
    pub fn from_values(width: usize, height: usize, values: Vec<f32>) -> Option<Self> {
        (values.len() == width * height && !values.is_empty()).then_some(Self {
            width,
            height,
            values,
        })
    }

    /// Stretched to a layer's maps: each value is the mean of the area that it covers.
    pub fn fit(&self, shape: MapShape) -> Arc<[f32]> {
        let columns = areas(self.width, shape.width);
        let rows = areas(self.height, shape.height);
        let mut fitted = Vec::with_capacity(shape.plane_len());
        for row in &rows {
            for column in &columns {
                let (mut sum, mut whole) = (0.0, 0.0);
                for &(y, wy) in row {
                    for &(x, wx) in column {
                        sum += f64::from(self.values[y * self.width + x]) * wy * wx;
                        whole += wy * wx;
                    }
                }
                fitted.push((sum / whole) as f32);
            }
        }
        fitted.into()
    }
}

fn luma(r: f32, g: f32, b: f32) -> f32 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// For each of `to` equal parts of `from` cells: the cells it covers, and how much of each.
fn areas(from: usize, to: usize) -> Vec<Vec<(usize, f64)>> {
    let step = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let (start, end) = (i as f64 * step, (i + 1) as f64 * step);
            let first = (start as usize).min(from - 1);
            (first..from)
                .take_while(|&cell| cell == first || (cell as f64) < end)
                .map(|cell| {
                    let covered = end.min(cell as f64 + 1.0) - start.max(cell as f64);
                    (cell, covered.max(1e-9))
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{MASKS, MAX_MASK_PARAMS, Painting, areas, find};
    use crate::bend::spec::{Identity, Missing};
    use crate::tensor::MapShape;

    #[test]
    fn declarations_are_sound() {
        for mask in MASKS {
            assert!(mask.params.len() <= MAX_MASK_PARAMS);
            assert_eq!(find(mask.name).unwrap().kind, mask.kind);
            for (index, p) in mask.params.iter().enumerate() {
                let short = p.name.strip_prefix("mask-").unwrap();
                assert_eq!(mask.param_index(short), Some(index));
                assert_eq!(mask.param_index(p.name), Some(index));
                assert!(p.limits[0] <= p.range[0] && p.range[1] <= p.limits[1]);
                assert_eq!(p.identity, Identity::Free);
                assert!(matches!(p.missing, Missing::Value(_)));
            }
        }
    }

    #[test]
    fn pictures_are_averaged_over_areas() {
        assert_eq!(areas(4, 2)[1], [(2, 1.0), (3, 1.0)]);
        assert_eq!(areas(3, 2)[0], [(0, 1.0), (1, 0.5)]);
        assert_eq!(areas(1, 2)[1], [(0, 0.5)]);
        let painting = Painting::from_values(2, 2, vec![0.0, 1.0, 0.5, 0.5]).unwrap();
        let shape = |height, width| MapShape {
            channels: 1,
            height,
            width,
        };
        assert_eq!(*painting.fit(shape(1, 1)), [0.5]);
        assert_eq!(*painting.fit(shape(2, 2)), [0.0, 1.0, 0.5, 0.5]);
        assert_eq!(painting.fit(shape(2, 4))[..4], [0.0, 0.0, 1.0, 1.0]);
        assert!(Painting::from_values(2, 2, vec![0.0]).is_none());
    }

    #[test]
    fn pictures_are_read_with_their_alpha() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mask.png");
        let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 2, 1);
        encoder.set_color(png::ColorType::Rgba);
        let mut writer = encoder.write_header().unwrap();
        writer
            .write_image_data(&[255, 255, 255, 51, 0, 255, 0, 255])
            .unwrap();
        writer.finish().unwrap();
        let painting = Painting::load(&path).unwrap();
        assert!((painting.values[0] - 0.2).abs() < 1e-6);
        assert!((painting.values[1] - 0.7152).abs() < 1e-6);
        std::fs::write(&path, b"not a PNG").unwrap();
        let error = Painting::load(&path).unwrap_err().to_string();
        assert!(error.contains("mask.png"), "{error}");
    }
}
