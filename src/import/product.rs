//! The graph that measures a machine.

use super::onnx::Graph;
use prost::Message;

/// An ONNX model of one matrix product, `a` \[n, n\] · `b` \[n, n\] → `c`: what `bendwave bench`
/// holds a network's speed against.
pub fn matrix_product(n: usize) -> Vec<u8> {
    let mut graph = Graph::new("product");
    let a = graph.input("a", &[n, n]);
    let b = graph.input("b", &[n, n]);
    graph.node("MatMul", "c", &[&a, &b], &[]);
    graph.output("c", &[n, n]);
    graph.finish().encode_to_vec()
}
