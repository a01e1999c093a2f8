//! The network: a model folder's segments, run one after another through ONNX Runtime.

pub mod manifest;
