//! ONNX messages, as far as the importer writes them, and a builder for graphs.
//!
//! Field numbers are those of `onnx.proto`. Singular fields that ONNX tests for presence are
//! options here.

use half::f16;
use prost::Message;

/// Operator set that the graphs use, and the first IR version that allows it. Every ONNX Runtime
/// that this program accepts, and TensorRT's, Core ML's and DirectML's converters, know both.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const FLOAT16: i32 = 10;

#[derive(Clone, PartialEq, Message)]
pub(super) struct ModelProto {
    #[prost(int64, tag = "1")]
    pub(super) ir_version: i64,
    #[prost(string, tag = "2")]
    pub(super) producer_name: String,
    #[prost(string, tag = "3")]
    pub(super) producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<GraphProto>,
    #[prost(message, repeated, tag = "8")]
    pub(super) opset_import: Vec<OperatorSetId>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OperatorSetId {
    #[prost(string, optional, tag = "1")]
    pub(super) domain: Option<String>,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<NodeProto>,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub(super) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(super) output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attribute: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AttributeProto {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(float, optional, tag = "2")]
    pub(super) f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    pub(super) i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub(super) ints: Vec<i64>,
    /// 1 float, 2 int, 7 ints.
    #[prost(int32, tag = "20")]
    pub(super) kind: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorProto {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    /// Little-endian values.
    #[prost(bytes = "vec", tag = "9")]
    pub(super) raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(super) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Dimension {
    #[prost(int64, optional, tag = "1")]
    pub(super) value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    pub(super) param: Option<String>,
}

/// One axis of an input or output.
#[derive(Clone, Debug)]
pub(super) enum Dim {
    Size(usize),
    /// Decided when the graph is loaded.
    Named(String),
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::Size(size)
    }
}

/// An attribute's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attr<'a> {
    Float(f32),
    Int(i64),
    Ints(&'a [i64]),
}

/// A graph in the making. Every value has the name of the node that makes it.
#[derive(Debug, Default)]
pub(super) struct Graph {
    proto: GraphProto,
}

impl Graph {
    pub(super) fn new(name: &str) -> Self {
        Self {
            proto: GraphProto {
                name: name.to_owned(),
                ..GraphProto::default()
            },
        }
    }

    /// Declares an input; gives its name back.
    pub(super) fn input<D: Clone + Into<Dim>>(&mut self, name: &str, shape: &[D]) -> String {
        self.proto.input.push(value_info(name, shape));
        name.to_owned()
    }

    /// Declares a value that a node makes as an output.
    pub(super) fn output<D: Clone + Into<Dim>>(&mut self, name: &str, shape: &[D]) {
        self.proto.output.push(value_info(name, shape));
    }

    /// Adds a constant; gives its name back.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        self.proto.initializer.push(TensorProto {
            dims: dims(shape),
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        });
        name.to_owned()
    }

    /// Adds a constant of 16-bit floats; gives its name back.
    pub(super) fn constant_f16(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        self.proto.initializer.push(TensorProto {
            dims: dims(shape),
            data_type: FLOAT16,
            name: name.to_owned(),
            raw_data: values
                .iter()
                .flat_map(|&v| f16::from_f32(v).to_le_bytes())
                .collect(),
        });
        name.to_owned()
    }

    /// Turns a value into 16-bit floats.
    pub(super) fn cast_f16(&mut self, name: &str, input: &str) -> String {
        self.cast(name, input, FLOAT16)
    }

    /// Turns a value into 32-bit floats.
    pub(super) fn cast_f32(&mut self, name: &str, input: &str) -> String {
        self.cast(name, input, FLOAT)
    }

    fn cast(&mut self, name: &str, input: &str, kind: i32) -> String {
        self.node(
            "Cast",
            name,
            &[input],
            &[("to", Attr::Int(i64::from(kind)))],
        )
    }

    /// Adds a node; gives the name of its value, which is the node's too, back.
    pub(super) fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, Attr<'_>)],
    ) -> String {
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: op_type.to_owned(),
            attribute: attributes.iter().map(attribute).collect(),
        });
        name.to_owned()
    }

    /// Adds a constant of whole numbers; gives its name back.
    pub(super) fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.proto.initializer.push(TensorProto {
            dims: vec![values.len() as i64],
            data_type: INT64,
            name: name.to_owned(),
            raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        });
        name.to_owned()
    }

    /// Gives a value another shape with as many values.
    pub(super) fn reshape(&mut self, name: &str, input: &str, shape: &[usize]) -> String {
        let target = self.integers(&format!("{name}_shape"), &dims(shape));
        self.node("Reshape", name, &[input, &target], &[])
    }

    /// The finished model.
    pub(super) fn finish(self) -> ModelProto {
        model(self.proto)
    }
}

/// A graph as a model.
pub(super) fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "bendwave".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetId {
            domain: Some(String::new()),
            version: OPSET,
        }],
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}

fn value_info<D: Clone + Into<Dim>>(name: &str, shape: &[D]) -> ValueInfo {
    let dim = shape
        .iter()
        .map(|dim| match dim.clone().into() {
            Dim::Size(size) => Dimension {
                value: Some(size as i64),
                param: None,
            },
            Dim::Named(name) => Dimension {
                value: None,
                param: Some(name),
            },
        })
        .collect();
    ValueInfo {
        name: name.to_owned(),
        kind: Some(TypeProto {
            tensor: Some(TensorType {
                elem_type: FLOAT,
                shape: Some(Shape { dim }),
            }),
        }),
    }
}

fn attribute(&(name, value): &(&str, Attr<'_>)) -> AttributeProto {
    let empty = AttributeProto {
        name: name.to_owned(),
        ..AttributeProto::default()
    };
    match value {
        Attr::Float(f) => AttributeProto {
            f: Some(f),
            kind: 1,
            ..empty
        },
        Attr::Int(i) => AttributeProto {
            i: Some(i),
            kind: 2,
            ..empty
        },
        Attr::Ints(ints) => AttributeProto {
            ints: ints.to_vec(),
            kind: 7,
            ..empty
        },
    }
}
