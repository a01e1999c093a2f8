//! `model.yaml`, the table of contents of a model folder.
//!
//! A model folder holds
//! - `model.yaml`: this file.
//! - `mapping_network.onnx`: `z` \[1, z_dim\], and `class` \[1, classes\] (one-hot) of a conditional
//!   model → `w` \[1, w_dim\]. Normalises z itself; knows nothing of truncation.
//! - `constant.npy`: the learned constant, \[1, C, 4, 4\].
//! - `segment_00.onnx` … one for each `StyledConv` layer. Layer L takes `style` \[1, w_dim\] (w index
//!   L), `noise` \[1, 1, H, W\] (multiplied by the layer's strength inside), and `x_in`, the bent maps
//!   of layer L−1, for layer 0 the constant; it gives `x` \[1, C, H, W\], after the
//!   activation. Bends sit exactly there. An odd L also starts with the `ToRGB` of layer L−1, so that
//!   it sees the bent maps: it takes `rgb_in` (not L = 1) and gives `rgb` \[1, 3, r, r\] at the
//!   resolution r of layer L−1. `rgb_in` has the resolution before that.
//! - `to_rgb.onnx`: `x_in` and `rgb_in` of before, `style` (w index: number of layers) → `image`
//!   \[1, 3, R, R\], about \[−1, 1\], not clamped.
//! - `noise.npz`: the constant noise, `noise_0` … `noise_{layers−1}`, each \[1, 1, r, r\].
//! - `contact.png`: pictures of 16 seeds, for people.
//!
//! Heights and widths are named in the graphs, `h8` and `w8` for the maps that are 8×8 in a square
//! picture, so that one folder serves every aspect ratio; see [`height_name`].

use serde::{Deserialize, Serialize};

/// Version of the folder layout that this program writes.
pub const FORMAT: u32 = 2;
/// File name of the manifest.
pub const MANIFEST_FILE: &str = "model.yaml";
/// File name of the pictures of 16 seeds.
pub const CONTACT_FILE: &str = "contact.png";

/// Name of the height of maps whose edge is `resolution` in a square picture.
pub fn height_name(resolution: usize) -> String {
    format!("h{resolution}")
}

/// Name of the width, as [`height_name`].
pub fn width_name(resolution: usize) -> String {
    format!("w{resolution}")
}

/// `model.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Layout version, see [`FORMAT`].
    pub format: u32,
    /// Edge of the picture in pixels.
    pub resolution: usize,
    /// Length of z.
    pub z_dim: usize,
    /// Length of w.
    pub w_dim: usize,
    /// Classes to choose from; 0 for a model without, or with one that was fixed at import.
    #[serde(default)]
    pub classes: usize,
    /// Numbers of the 3×3 convolutions.
    #[serde(default)]
    pub precision: Precision,
    /// Where it came from.
    pub provenance: Provenance,
    /// How the import was checked; `None` when it was not.
    #[serde(default)]
    pub verification: Option<Verification>,
    /// The mapping network.
    pub mapping_network: FileEntry,
    /// The learned constant.
    pub constant: FileEntry,
    /// `StyledConv` layers, layer 0 (4×4) first.
    pub layers: Vec<LayerEntry>,
    /// The last `ToRGB`.
    pub to_rgb: FileEntry,
    /// Constant noise.
    pub noise: FileEntry,
    /// Mean w, the centre of truncation; `w_dim` values.
    pub w_avg: Vec<f32>,
}

impl Manifest {
    /// Floating-point operations of one picture's convolutions, two per multiply-add: 3×3
    /// convolutions (an up-sampling one at its input's resolution), the 4×4 FIR behind each
    /// up-sampling one, the 1×1 of each `ToRGB`, and the FIR of
    /// the RGB skip.
    pub fn flop_per_frame(&self) -> f64 {
        let mut total = 0.0;
        let mut channels_in = self.layers.first().map_or(0, |l| l.channels);
        for layer in &self.layers {
            let up = layer.layer % 2 == 1;
            let plane = (layer.resolution * layer.resolution) as f64;
            let (c_in, c_out) = (channels_in as f64, layer.channels as f64);
            let conv_plane = if up { plane / 4.0 } else { plane };
            total += 2.0 * 9.0 * c_in * c_out * conv_plane;
            if up {
                total += 2.0 * 16.0 * c_out * plane;
            } else {
                let skip = if layer.layer > 0 { 24.0 } else { 0.0 };
                total += plane * (2.0 * 3.0 * c_out + skip);
            }
            channels_in = layer.channels;
        }
        total
    }
}

/// Number format of the 3×3 convolutions. Everything else, and what goes between segments, is f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats, weights and styles normalised first so that nothing overflows.
    F16,
}

/// The chain of segments against a plain evaluation of the same weights, at import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Largest difference of the pictures over the picture's range.
    pub picture_error: f32,
    /// Largest difference of any layer's maps over their range.
    pub worst_layer_error: f32,
    /// The layer of that.
    pub worst_layer: usize,
    /// Largest difference that is accepted.
    pub tolerance: f32,
    /// Time of the import up to here, in seconds.
    pub secs: f32,
    /// Bytes of the graphs, the constant and the noise.
    pub bytes: u64,
}

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Name within the folder.
    pub file: String,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// One `StyledConv` layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerEntry {
    /// Layer number as in the papers; 0 is the 4×4 layer.
    pub layer: usize,
    /// Edge of its feature maps in pixels.
    pub resolution: usize,
    /// Number of its feature maps.
    pub channels: usize,
    /// Segment name within the folder.
    pub file: String,
    /// SHA-256 of its bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// Where a model came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Name of the checkpoint file.
    pub source: String,
    /// SHA-256 of the checkpoint.
    pub sha256: String,
    /// Its layout: `rosinality` or `nvidia`, and the container.
    pub layout: String,
    /// Program and version that imported it.
    pub importer: String,
    /// The class that was fixed at import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<usize>,
    /// Where mean w came from: `checkpoint`, or how it was computed.
    pub w_avg: String,
    /// Where the noise came from: `checkpoint`, or how it was drawn.
    pub noise: String,
}
