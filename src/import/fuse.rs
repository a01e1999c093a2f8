//! One graph from a chain of segments.

use std::collections::HashMap;

use prost::{DecodeError, Message};

use super::onnx::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfo, model};

/// The last output keeps its name.
const IMAGE: &str = "image";

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
/// Inputs: `style_{i}` \[1, w_dim\] for the segment at place i (the last is `to_rgb`'s), and
/// `noise_{L}` \[1, 1, H, W\] for each layer L. Output: `image` \[1, 3, R, R\].
///
/// # Errors
/// When a segment is no ONNX model or does not fit the one before it.
pub fn fuse(segments: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, FuseError> {
    if segments.is_empty() {
        return Err(FuseError::Empty);
    }
    let mut fused = GraphProto {
        name: "generator".to_owned(),
        ..GraphProto::default()
    };
    // What the segment before gives: `x`, `rgb` → name in the fused graph.
    let mut given: HashMap<String, String> = HashMap::new();
    for (segment, bytes) in segments.iter().enumerate() {
        let model = ModelProto::decode(bytes.as_ref())
            .map_err(|source| FuseError::Decode { segment, source })?;
        let graph = model.graph.unwrap_or_default();
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
                other => other
                    .strip_suffix("_in")
                    .and_then(|before| given.get(before))
                    .cloned()
                    .ok_or_else(|| FuseError::Unconnected {
                        segment,
                        input: input.name.clone(),
                    })?,
            };
            names.insert(input.name, name);
        }
        let rename = |name: &String| {
            names
                .get(name)
                .cloned()
                .unwrap_or_else(|| match name.as_str() {
                    IMAGE => IMAGE.to_owned(),
                    _ => format!("s{segment:02}/{name}"),
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
            if output.name == IMAGE {
                fused.output.push(output);
            } else {
                given.insert(output.name.clone(), rename(&output.name));
            }
        }
    }
    Ok(model(fused).encode_to_vec())
}
