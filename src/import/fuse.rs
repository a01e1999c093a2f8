//! One graph from a chain of segments.

use std::collections::HashMap;

use prost::{DecodeError, Message};

use super::onnx::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfo, model};

/// The last output keeps its name.
const IMAGE: &str = "image";
/// What the first layer takes.
const CONSTANT: &str = "constant";

/// Why a chain could not be fused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FuseError {
    /// A segment is no ONNX model.
    #[error("segment {segment} is no ONNX model: {source}")]
    Decode {
        /// Its place in the chain.
        segment: usize,
        /// Why.
        source: DecodeError,
    },
    /// A segment wants what the one before does not give.
    #[error("segment {segment} takes `{input}`, which the one before it does not give")]
    Unconnected {
        /// Its place in the chain.
        segment: usize,
        /// The input.
        input: String,
    },
    /// There is no segment.
    #[error("there are no segments to fuse")]
    Empty,
}

/// Joins a model folder's segments (`segment_00.onnx`, …, `to_rgb.onnx`, as bytes) into one ONNX
/// model, to be run as one session. No bend can sit between its layers; it is there to compare
/// with one session for each layer.
///
/// Inputs: `constant` \[1, C, H, W\] for the first segment's `x_in`, `style_{i}` \[1, w_dim\] for the segment at place i (the last is `to_rgb`'s), and
/// `noise_{L}` \[1, 1, H, W\] for each layer L. Output: `image` \[1, 3, R, R\].
///
/// # Errors
/// When a segment is no ONNX model or does not fit the one before it.
pub fn fuse(segments: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, FuseError> {
    connect(segments, 0, Ends::Closed)
}

/// Joins neighbouring segments into one ONNX model; `first` is the number of the first.
///
/// Inputs: `style_{N}` and `noise_{N}` for segment N, and what the first takes from those before: `x_in`,
/// `rgb_in`. Outputs: `x`, and `rgb` where a segment gives it; or `image`, when `to_rgb` is the last.
///
/// # Errors
/// When a segment is no ONNX model.
pub fn join(segments: &[impl AsRef<[u8]>], first: usize) -> Result<Vec<u8>, FuseError> {
    connect(segments, first, Ends::Open)
}

/// Whether what the first segment lacks is asked for, and what the last gives is handed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Closed,
    Open,
}

fn connect(segments: &[impl AsRef<[u8]>], first: usize, ends: Ends) -> Result<Vec<u8>, FuseError> {
    if segments.is_empty() {
        return Err(FuseError::Empty);
    }
    let mut graphs = Vec::with_capacity(segments.len());
    for (place, bytes) in segments.iter().enumerate() {
        let model = ModelProto::decode(bytes.as_ref()).map_err(|source| FuseError::Decode {
            segment: first + place,
            source,
        })?;
        graphs.push(model.graph.unwrap_or_default());
    }
    let gives = |graph: &GraphProto, name: &str| graph.output.iter().any(|o| o.name == name);
    // Where the names that leave the graph are written last.
    let last_x = graphs.len() - 1;
    let last_rgb = graphs.iter().rposition(|g| gives(g, "rgb"));
    let hands_on = ends == Ends::Open && !gives(&graphs[last_x], IMAGE);
    let mut fused = GraphProto {
        name: "generator".to_owned(),
        ..GraphProto::default()
    };
    // What the segment before gives: `x`, `rgb` → name in the fused graph.
    let mut given: HashMap<String, String> = HashMap::new();
    for (place, graph) in graphs.into_iter().enumerate() {
        let segment = first + place;
        let mut names: HashMap<String, String> = HashMap::new();
        for input in graph.input {
            let name = match input.name.as_str() {
                "style" | "noise" => {
                    let name = format!("{}_{segment}", input.name);
                    fused.input.push(ValueInfo {
                        name: name.clone(),
                        ..input.clone()
                    });
                    name
                }
                "x_in" if segment == 0 && ends == Ends::Closed => {
                    fused.input.push(ValueInfo {
                        name: CONSTANT.to_owned(),
                        ..input.clone()
                    });
                    CONSTANT.to_owned()
                }
                other => {
                    let before = other.strip_suffix("_in").unwrap_or(other);
                    match given.get(before) {
                        Some(name) => name.clone(),
                        None if ends == Ends::Open => {
                            fused.input.push(input.clone());
                            given.insert(before.to_owned(), other.to_owned());
                            other.to_owned()
                        }
                        None => {
                            return Err(FuseError::Unconnected {
                                segment,
                                input: input.name.clone(),
                            });
                        }
                    }
                }
            };
            names.insert(input.name, name);
        }
        let leaves = |name: &str| {
            name == IMAGE
                || hands_on
                    && (name == "x" && place == last_x || name == "rgb" && Some(place) == last_rgb)
        };
        let rename = |name: &String| {
            names.get(name).cloned().unwrap_or_else(|| {
                if leaves(name) {
                    name.clone()
                } else {
                    format!("s{segment:02}/{name}")
                }
            })
        };
        fused
            .initializer
            .extend(graph.initializer.into_iter().map(|t| TensorProto {
                name: rename(&t.name),
                ..t
            }));
        fused.node.extend(graph.node.into_iter().map(|n| NodeProto {
            name: format!("s{segment:02}/{}", n.name),
            input: n.input.iter().map(rename).collect(),
            output: n.output.iter().map(rename).collect(),
            ..n
        }));
        given.remove("x");
        // `rgb` stays: an even layer leaves the picture so far as it is.
        for output in graph.output {
            given.insert(output.name.clone(), rename(&output.name));
            if leaves(&output.name) {
                fused.output.push(output);
            }
        }
    }
    Ok(model(fused).encode_to_vec())
}
