//! A pickle reader that builds data and runs nothing.
//!
//! It knows the opcodes of protocols 2 to 5 and an allow-list of names ([`Global`]), the ones that
//! checkpoints need. Another name ends the reading with an error that says which. Values lie in one
//! arena and refer to each other by number, so depth costs no stack, and what is memoised is never
//! copied. All that is allocated is bounded by the bytes read and by the limits below.

use std::collections::HashMap;
use std::io::{self, Read};

/// Most bytes of one pickle. Tensors lie outside it; a real checkpoint needs under 1 MiB.
const MAX_BYTES: u64 = 64 << 20;
/// Most values in one pickle, and most places on its stack.
const MAX_VALUES: usize = 2 << 20;
/// Most dimensions of a tensor.
const MAX_DIMS: usize = 8;
/// Longest key of a storage.
const MAX_KEY_BYTES: usize = 64;

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

/// The allow-list: every class and function that a pickle may name, and what becomes of it.
/// Another checkpoint layout adds its names here and in [`Reader::reduce`].
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
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

/// A torch storage, named by a persistent id: a block of values elsewhere in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) dtype: Dtype,
    pub(super) key: String,
    /// Number of values that it claims to have.
    pub(super) len: u64,
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
    Float,
    Str(Box<str>),
    Bytes,
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set,
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Box<Storage>),
    Tensor(Box<Tensor>),
    /// An object of a [`Global::Inert`] class.
    Object,
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

/// Reads one pickle, and no byte beyond its end.
///
/// # Errors
/// See [`PickleError`].
pub(super) fn read(input: &mut dyn Read) -> Result<Pickle, PickleError> {
    Reader {
        input,
        at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        storages: Vec::new(),
    }
    .run()
}

struct Reader<'a> {
    input: &'a mut dyn Read,
    at: u64,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Stack heights.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    storages: Vec<Id>,
}

type Step<T = ()> = Result<T, PickleError>;

impl Reader<'_> {
    fn run(mut self) -> Step<Pickle> {
        loop {
            let [code] = self.array()?;
            if code == b'.' {
                break;
            }
            self.step(code)?;
        }
        let root = self.pop()?;
        Ok(Pickle {
            nodes: self.nodes,
            root,
            storages: self.storages,
        })
    }

    fn step(&mut self, code: u8) -> Step {
        match code {
            // PROTO
            0x80 => {
                let [version] = self.array()?;
                if version > 5 {
                    return Err(self.malformed("its protocol is newer than 5"));
                }
            }
            // FRAME: a length that only helps buffering.
            0x95 => drop(self.array::<8>()?),
            b'(' => {
                if self.marks.len() >= MAX_VALUES {
                    return Err(too_many_values());
                }
                self.marks.push(self.stack.len());
            }
            // POP takes a mark when that is what lies on top.
            b'0' => {
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            b'1' => drop(self.until_mark()?),
            b'2' => {
                let top = self.top()?;
                self.push(top)?;
            }

            b'N' => self.new_node(Node::None)?,
            0x88 | 0x89 => self.new_node(Node::Bool)?,
            b'J' => {
                let v = i32::from_le_bytes(self.array()?);
                self.int(i128::from(v))?;
            }
            b'K' => {
                let [v] = self.array()?;
                self.int(i128::from(v))?;
            }
            b'M' => {
                let v = u16::from_le_bytes(self.array()?);
                self.int(i128::from(v))?;
            }
            0x8a => {
                let len = self.len_u8()?;
                self.long(len)?;
            }
            0x8b => {
                let len = self.len_u32()?;
                self.long(len)?;
            }
            b'G' => {
                self.array::<8>()?;
                self.new_node(Node::Float)?;
            }

            b'X' | b'T' => {
                let len = self.len_u32()?;
                self.text(len)?;
            }
            0x8c | b'U' => {
                let len = self.len_u8()?;
                self.text(len)?;
            }
            0x8d => {
                let len = self.len_u64()?;
                self.text(len)?;
            }
            b'B' => {
                let len = self.len_u32()?;
                self.bytes_node(len)?;
            }
            b'C' => {
                let len = self.len_u8()?;
                self.bytes_node(len)?;
            }
            // BINBYTES8, BYTEARRAY8
            0x8e | 0x96 => {
                let len = self.len_u64()?;
                self.bytes_node(len)?;
            }

            b']' => self.new_node(Node::List(Vec::new()))?,
            b'}' => self.new_node(Node::Dict(Vec::new()))?,
            b')' => self.new_node(Node::Tuple(Vec::new()))?,
            0x8f => self.new_node(Node::Set)?,
            b'l' => {
                let items = self.until_mark()?;
                self.new_node(Node::List(items))?;
            }
            b't' => {
                let items = self.until_mark()?;
                self.new_node(Node::Tuple(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                if self.above_mark() < count {
                    return Err(self.malformed("a tuple of more than there is"));
                }
                let items = self.stack.split_off(self.stack.len() - count);
                self.new_node(Node::Tuple(items))?;
            }
            b'd' => {
                let items = self.until_mark()?;
                let pairs = self.pairs(&items)?;
                self.new_node(Node::Dict(pairs))?;
            }
            // FROZENSET
            0x91 => {
                self.until_mark()?;
                self.new_node(Node::Set)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item])?;
            }
            b'e' => {
                let items = self.until_mark()?;
                self.extend_list(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let items = self.until_mark()?;
                self.extend_dict(&items)?;
            }
            // ADDITEMS
            0x90 => {
                self.until_mark()?;
                let set = self.top()?;
                if !matches!(self.node(set), Node::Set) {
                    return Err(self.malformed("items added to what is no set"));
                }
            }

            b'h' => {
                let [index] = self.array()?;
                self.recall(u32::from(index))?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)?;
            }
            b'q' => {
                let [index] = self.array()?;
                self.memoise(u32::from(index))?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.memoise(index)?;
            }
            0x94 => {
                let index = self.memo.len() as u32;
                self.memoise(index)?;
            }

            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.global(&module, &name)?;
            }
            // STACK_GLOBAL
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let (Node::Str(module), Node::Str(name)) = (self.node(module), self.node(name))
                else {
                    return Err(self.malformed("a class name that is no text"));
                };
                let found = Global::find(module, name).ok_or_else(|| refused(module, name))?;
                self.new_node(Node::Global(found))?;
            }
            // REDUCE, NEWOBJ
            b'R' | 0x81 => {
                let args = self.pop()?;
                let callable = self.pop()?;
                self.reduce(callable, args)?;
            }
            // NEWOBJ_EX
            0x92 => {
                self.pop()?;
                let args = self.pop()?;
                let callable = self.pop()?;
                self.reduce(callable, args)?;
            }
            b'b' => {
                self.pop()?;
                let target = self.top()?;
                // A state dict's `_metadata` and a Namespace's values: nothing of use.
                if !matches!(self.node(target), Node::Dict(_) | Node::Object) {
                    return Err(self.malformed("a state for what has none"));
                }
            }
            b'Q' => self.persistent()?,
            code => {
                return Err(PickleError::Opcode {
                    code,
                    at: self.at.saturating_sub(1),
                });
            }
        }
        Ok(())
    }

    /// Calls what the allow-list holds.
    fn reduce(&mut self, callable: Id, args: Id) -> Step {
        let Node::Global(callable) = *self.node(callable) else {
            return Err(self.malformed("a call of what is no function"));
        };
        let Node::Tuple(args) = self.node(args) else {
            return Err(self.malformed("arguments that are no tuple"));
        };
        let node = match (callable, args.as_slice()) {
            (Global::OrderedDict, []) => Node::Dict(Vec::new()),
            // Python 2 writes a list of [key, value] lists.
            (Global::OrderedDict, &[list]) => {
                let Node::List(list) = self.node(list) else {
                    return Err(self.malformed("a dict from what is no list"));
                };
                let mut pairs = Vec::with_capacity(list.len());
                for &pair in list {
                    match self.node(pair) {
                        Node::List(kv) | Node::Tuple(kv) if kv.len() == 2 => {
                            pairs.push((kv[0], kv[1]));
                        }
                        _ => return Err(self.malformed("a dict entry that is no pair")),
                    }
                }
                Node::Dict(pairs)
            }
            (Global::Set, _) => Node::Set,
            (Global::Encode, _) => Node::Bytes,
            (Global::Inert, _) => Node::Object,
            (Global::RebuildTensor, args) => Node::Tensor(Box::new(self.tensor(args)?)),
            (Global::RebuildParameter, &[inner, ..])
                if matches!(self.node(inner), Node::Tensor(_)) =>
            {
                return self.push(inner);
            }
            _ => return Err(self.malformed("wrong arguments of a call")),
        };
        self.new_node(node)
    }

    fn tensor(&self, args: &[Id]) -> Step<Tensor> {
        let wrong = || self.malformed("wrong arguments of a tensor");
        let &[storage, offset, size, stride, ..] = args else {
            return Err(wrong());
        };
        let Node::Storage(storage) = self.node(storage) else {
            return Err(wrong());
        };
        let size = self.dims(size).ok_or_else(wrong)?;
        let stride = self.dims(stride).ok_or_else(wrong)?;
        if size.len() != stride.len() {
            return Err(wrong());
        }
        Ok(Tensor {
            storage: (**storage).clone(),
            offset: self.natural(offset).ok_or_else(wrong)?,
            size,
            stride,
        })
    }

    fn dims(&self, id: Id) -> Option<Vec<u64>> {
        match self.node(id) {
            Node::Tuple(list) | Node::List(list) if list.len() <= MAX_DIMS => {
                list.iter().map(|&d| self.natural(d)).collect()
            }
            _ => None,
        }
    }

    fn natural(&self, id: Id) -> Option<u64> {
        match self.node(id) {
            Node::Int(v) => u64::try_from(**v).ok(),
            _ => None,
        }
    }

    /// `("storage", class, key, device, number of values[, view])`.
    fn persistent(&mut self) -> Step {
        let id = self.pop()?;
        let wrong = || self.malformed("a reference to something that is no torch storage");
        let Node::Tuple(parts) = self.node(id) else {
            return Err(wrong());
        };
        let &[tag, class, key, _device, len, ref view @ ..] = parts.as_slice() else {
            return Err(wrong());
        };
        let (Node::Str(tag), Node::Global(Global::Storage(dtype)), Node::Str(key), Some(len)) = (
            self.node(tag),
            self.node(class),
            self.node(key),
            self.natural(len),
        ) else {
            return Err(wrong());
        };
        if &**tag != "storage" || key.len() > MAX_KEY_BYTES {
            return Err(wrong());
        }
        if view.iter().any(|&v| !matches!(self.node(v), Node::None)) {
            return Err(
                self.malformed("a storage that is a view of another, as only torch 0.x wrote")
            );
        }
        let storage = Storage {
            dtype: *dtype,
            key: key.to_string(),
            len,
        };
        self.storages.push(Id(self.nodes.len() as u32));
        self.new_node(Node::Storage(Box::new(storage)))
    }

    fn global(&mut self, module: &str, name: &str) -> Step {
        let found = Global::find(module, name).ok_or_else(|| refused(module, name))?;
        self.new_node(Node::Global(found))
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Step {
        let list = self.top()?;
        match self.nodes.get_mut(list.0 as usize) {
            Some(Node::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.malformed("items appended to what is no list")),
        }
    }

    fn extend_dict(&mut self, items: &[Id]) -> Step {
        let pairs = self.pairs(items)?;
        let dict = self.top()?;
        match self.nodes.get_mut(dict.0 as usize) {
            Some(Node::Dict(dict)) => dict.extend(pairs),
            // Plain data by another name, such as a Namespace.
            Some(Node::Object) => {}
            _ => return Err(self.malformed("entries set in what is no dict")),
        }
        Ok(())
    }

    fn pairs(&self, items: &[Id]) -> Step<Vec<(Id, Id)>> {
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.malformed("a key without a value"));
        }
        Ok(pairs.iter().map(|&[k, v]| (k, v)).collect())
    }

    fn int(&mut self, value: i128) -> Step {
        self.new_node(Node::Int(Box::new(value)))
    }

    fn long(&mut self, len: u64) -> Step {
        if len > 16 {
            return Err(self.malformed("an integer of more than 16 bytes"));
        }
        let bytes = self.take(len)?;
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut full = [if negative { 0xff } else { 0 }; 16];
        full[..bytes.len()].copy_from_slice(&bytes);
        self.int(i128::from_le_bytes(full))
    }

    fn text(&mut self, len: u64) -> Step {
        let bytes = self.take(len)?;
        // Python also writes lone surrogates, which are of no use in a name.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.new_node(Node::Str(text.into()))
    }

    fn bytes_node(&mut self, len: u64) -> Step {
        self.take(len)?;
        self.new_node(Node::Bytes)
    }

    fn memoise(&mut self, index: u32) -> Step {
        let top = self.top()?;
        if self.memo.len() >= MAX_VALUES {
            return Err(too_many_values());
        }
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Step {
        let id = *self
            .memo
            .get(&index)
            .ok_or_else(|| self.malformed("it recalls what it never stored"))?;
        self.push(id)
    }

    fn node(&self, id: Id) -> &Node {
        &self.nodes[id.0 as usize]
    }

    fn new_node(&mut self, node: Node) -> Step {
        if self.nodes.len() >= MAX_VALUES {
            return Err(too_many_values());
        }
        let id = Id(self.nodes.len() as u32);
        self.nodes.push(node);
        self.push(id)
    }

    fn push(&mut self, id: Id) -> Step {
        if self.stack.len() >= MAX_VALUES {
            return Err(too_many_values());
        }
        self.stack.push(id);
        Ok(())
    }

    /// Values above the last mark.
    fn above_mark(&self) -> usize {
        self.stack.len() - self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Step<Id> {
        match self.stack.last() {
            Some(&top) if self.above_mark() > 0 => Ok(top),
            _ => Err(self.malformed("its stack is empty")),
        }
    }

    fn pop(&mut self) -> Step<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn until_mark(&mut self) -> Step<Vec<Id>> {
        let mark = self
            .marks
            .pop()
            .ok_or_else(|| self.malformed("its mark is missing"))?;
        Ok(self.stack.split_off(mark))
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut bytes = [0; N];
        self.account(N as u64)?;
        self.input.read_exact(&mut bytes).map_err(|e| self.io(e))?;
        Ok(bytes)
    }

    fn len_u8(&mut self) -> Step<u64> {
        let [len] = self.array()?;
        Ok(u64::from(len))
    }

    fn len_u32(&mut self) -> Step<u64> {
        Ok(u64::from(u32::from_le_bytes(self.array()?)))
    }

    fn len_u64(&mut self) -> Step<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// `len` bytes. Memory grows with the bytes that are there, not with the number.
    fn take(&mut self, len: u64) -> Step<Vec<u8>> {
        self.account(len)?;
        let mut bytes = Vec::new();
        (&mut *self.input)
            .take(len)
            .read_to_end(&mut bytes)
            .map_err(|e| self.io(e))?;
        if (bytes.len() as u64) < len {
            return Err(PickleError::Truncated { at: self.at });
        }
        Ok(bytes)
    }

    fn line(&mut self) -> Step<String> {
        let mut bytes = Vec::new();
        loop {
            let [byte] = self.array()?;
            if byte == b'\n' {
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            bytes.push(byte);
            if bytes.len() > 512 {
                return Err(self.malformed("a class name of more than 512 bytes"));
            }
        }
    }

    fn account(&mut self, len: u64) -> Step {
        self.at = self.at.saturating_add(len);
        if self.at > MAX_BYTES {
            return Err(PickleError::TooLarge {
                what: "bytes",
                limit: MAX_BYTES,
            });
        }
        Ok(())
    }

    fn io(&self, error: io::Error) -> PickleError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            PickleError::Truncated { at: self.at }
        } else {
            PickleError::Io(error)
        }
    }

    fn malformed(&self, what: &'static str) -> PickleError {
        PickleError::Malformed { at: self.at, what }
    }
}

fn too_many_values() -> PickleError {
    PickleError::TooLarge {
        what: "values",
        limit: MAX_VALUES as u64,
    }
}

fn refused(module: &str, name: &str) -> PickleError {
    // What a hostile file shows on the terminal is short and printable.
    let clean =
        |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(100).collect() };
    PickleError::Refused {
        module: clean(module),
        name: clean(name),
    }
}

#[cfg(test)]
mod tests;
