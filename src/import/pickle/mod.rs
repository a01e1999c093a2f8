//! A pickle reader that builds data and runs nothing.
//!
//! It knows the opcodes of protocols 2 to 5 and an allow-list of names ([`Global`]), the ones that
//! checkpoints need. Another name ends the reading with an error that says which. Values lie in one
//! arena and refer to each other by number, so depth costs no stack, and what is memoised is never
//! copied. All that is allocated is bounded by the bytes read and by the limits below.

mod reader;

use std::io::{self, Read};
use std::sync::Arc;

/// Most bytes of one pickle. Tensors lie outside it; a real checkpoint needs under 1 MiB.
const MAX_BYTES: u64 = 64 << 20;
/// Most values in one pickle, and most places on its stack.
const MAX_VALUES: usize = 2 << 20;
/// Most dimensions of a tensor.
const MAX_DIMS: usize = 8;
/// Longest key of a storage.
const MAX_KEY_BYTES: usize = 64;
/// Longest bytes or text that is kept in memory; of a longer one only the place is.
const MAX_KEPT_BYTES: u64 = 4 << 10;

/// Why a pickle could not be read. Offsets count from the start of the pickle.
#[derive(Debug, thiserror::Error)]
pub enum PickleError {
    /// The bytes end before the pickle does.
    #[error("it ends in the middle of its pickle, at byte {at}: the file is cut off")]
    Truncated {
        /// Where.
        at: u64,
    },
    /// It names a class or function outside the allow-list.
    #[error("it holds a `{module}.{name}`, which is refused: only plain data is read from a file")]
    Refused {
        /// Python module.
        module: String,
        /// Class or function.
        name: String,
    },
    /// An opcode outside protocols 2 to 5, or one that is not plain data.
    #[error("unknown or unsupported pickle opcode 0x{code:02x} at byte {at}")]
    Opcode {
        /// The opcode.
        code: u8,
        /// Where.
        at: u64,
    },
    /// Anything else that no pickler writes.
    #[error("malformed pickle at byte {at}: {what}")]
    Malformed {
        /// Where.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// More than any checkpoint needs.
    #[error("the pickle is too large: over {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The file could not be read.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
}

/// Type of a tensor's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    /// Not a float; with its size in bytes.
    Other(u8),
}

impl Dtype {
    /// Bytes of one value.
    pub(super) const fn size(self) -> u64 {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(size) => size as u64,
        }
    }

    fn of_storage(class: &str) -> Option<Self> {
        Some(match class {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            "LongStorage" => Self::Other(8),
            "IntStorage" => Self::Other(4),
            "ShortStorage" => Self::Other(2),
            "CharStorage" | "ByteStorage" | "BoolStorage" => Self::Other(1),
            _ => return None,
        })
    }
}

/// The allow-list: every class and function that a pickle may name, and what
/// `Reader::reduce` makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// A dict.
    OrderedDict,
    /// A set.
    Set,
    /// Bytes as protocol 2 writes them: a Latin-1 text.
    Encode,
    /// `torch._utils._rebuild_tensor` and `_v2`: a view of a storage.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`: the tensor inside.
    RebuildParameter,
    /// Class of a storage.
    Storage(Dtype),
    /// `torch.storage._load_from_bytes`: a storage as a whole legacy file inside the pickle.
    LoadFromBytes,
    /// `torch_utils.persistence._reconstruct_persistent_obj`: a module of NVIDIA's. The original
    /// runs the source text that lies beside the state; here only the state is looked at.
    Persistent,
    /// A number of NumPy's.
    NumpyScalar,
    /// Its type.
    NumpyDtype,
    /// Plain data that the importer has no use for: known to be there, not kept.
    Inert,
}

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("builtins" | "__builtin__", "set" | "frozenset") => Self::Set,
            ("_codecs", "encode") => Self::Encode,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Self::RebuildParameter
            }
            ("torch.storage", "_load_from_bytes") => Self::LoadFromBytes,
            ("torch_utils.persistence", "_reconstruct_persistent_obj") => Self::Persistent,
            ("dnnlib.util" | "dnnlib", "EasyDict") => Self::OrderedDict,
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::NumpyScalar,
            ("numpy", "dtype") => Self::NumpyDtype,
            ("argparse", "Namespace") => Self::Inert,
            ("torch", "Size") => Self::Inert,
            ("torch", "device") => Self::Inert,
            ("torch", "float32" | "float16" | "bfloat16" | "float64") => Self::Inert,
            ("torch" | "torch.cuda", class) => Self::Storage(Dtype::of_storage(class)?),
            _ => return None,
        })
    }
}

/// Number of a value in its [`Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id(u32);

/// Bytes inside the pickle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// Short ones.
    Kept(Arc<[u8]>),
    /// The place of long ones.
    Span(Span),
}

/// A place in the pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// First byte, from the pickle's start.
    pub(super) at: u64,
    pub(super) len: u64,
    /// UTF-8 that stands for bytes, one character each, as protocol 2 writes them.
    pub(super) latin1: bool,
}

/// A block of values in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// Beside the pickle, named by a persistent id.
    Keyed {
        dtype: Dtype,
        key: String,
        /// Number of values that it claims to have.
        len: u64,
    },
    /// A whole legacy file inside the pickle.
    Nested(Bytes),
    /// In a file without a pickle.
    Plain {
        dtype: Dtype,
        /// First byte in the file.
        at: u64,
        /// Number of values.
        len: u64,
    },
}

/// A view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    /// First value, counted in values.
    pub(super) offset: u64,
    pub(super) size: Vec<u64>,
    /// Counted in values.
    pub(super) stride: Vec<u64>,
}

/// One value.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool,
    Int(Box<i128>),
    Float(f64),
    Str(Box<str>),
    LongText(Box<Span>),
    Bytes(Box<Bytes>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set,
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
    /// A module of NVIDIA's.
    Module {
        class: Id,
        state: Id,
    },
    NumpyDtype(NumpyDtype),
    /// Plain data without use here.
    Object,
}

/// Type of a NumPy number, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumpyDtype {
    F64,
    F32,
    I64,
    I32,
    Other,
}

/// A pickle's values.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
    /// Storages in the order of their persistent ids, repeats included.
    storages: Vec<Id>,
}

impl Pickle {
    /// The value of a number.
    pub(super) fn node(&self, id: Id) -> &Node {
        // Ids are made by the reader of this pickle only; the fallback is for a mixed-up id.
        self.nodes.get(id.0 as usize).unwrap_or(&Node::None)
    }

    /// The whole.
    pub(super) fn root(&self) -> &Node {
        self.node(self.root)
    }

    /// The storages that it refers to.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.storages.iter().filter_map(|&id| match self.node(id) {
            Node::Storage(s) => Some(&**s),
            _ => None,
        })
    }

    /// A number, whole or not.
    pub(super) fn number(node: &Node) -> Option<f64> {
        match node {
            Node::Float(v) => Some(*v),
            Node::Int(v) => Some(**v as f64),
            _ => None,
        }
    }

    /// The pairs of a dict whose keys are texts, in file order.
    pub(super) fn entries<'a>(
        &'a self,
        dict: &'a Node,
    ) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let pairs: &[(Id, Id)] = match dict {
            Node::Dict(pairs) => pairs,
            _ => &[],
        };
        pairs.iter().filter_map(|&(k, v)| match self.node(k) {
            Node::Str(key) => Some((&**key, self.node(v))),
            _ => None,
        })
    }
}

/// Reads one pickle, and no byte beyond its end. Of bytes and texts that are long only the place is
/// kept; `longest` is the most bytes that all these may have.
///
/// # Errors
/// See [`PickleError`].
pub(super) fn read(input: &mut dyn Read, longest: u64) -> Result<Pickle, PickleError> {
    reader::Reader::new(input, longest).run()
}

#[cfg(test)]
mod tests;
