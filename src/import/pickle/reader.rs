//! The machine that a pickle is a program for, with calls limited to the allow-list.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use super::{
    Bytes, Global, Id, MAX_BYTES, MAX_DIMS, MAX_KEPT_BYTES, MAX_KEY_BYTES, MAX_VALUES, Node,
    NumpyDtype, Pickle, PickleError, Span, Storage, Tensor,
};

pub(super) struct Reader<'a> {
    input: &'a mut dyn Read,
    at: u64,
    /// Bytes that were read into memory.
    taken: u64,
    /// Bytes that may still be skipped.
    skippable: u64,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Stack heights.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    storages: Vec<Id>,
}

type Step<T = ()> = Result<T, PickleError>;

impl<'a> Reader<'a> {
    /// A reader of the next pickle of `input`; `skippable` bytes may be passed over in it.
    pub(super) fn new(input: &'a mut dyn Read, skippable: u64) -> Self {
        Self {
            input,
            at: 0,
            taken: 0,
            skippable,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            storages: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Step<Pickle> {
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
                let value = f64::from_be_bytes(self.array()?);
                self.new_node(Node::Float(value))?;
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
                if !matches!(
                    self.node(target),
                    Node::Dict(_) | Node::Object | Node::NumpyDtype(_)
                ) {
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
        // No call needs more.
        let args: Vec<Id> = args.iter().take(8).copied().collect();
        let node = match (callable, args.as_slice()) {
            (Global::OrderedDict, []) => Node::Dict(Vec::new()),
            // Python 2 writes a list of [key, value] lists.
            (Global::OrderedDict, &[list]) => {
                let Node::List(list) = &self.nodes[list.0 as usize] else {
                    return Err(self.malformed("a dict from what is no list"));
                };
                // One list may be named by many calls.
                self.taken = charged(self.taken, 16 * list.len() as u64)?;
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
            (Global::Encode, &[text, ..]) => self.encode(text)?,
            (Global::Inert, _) => Node::Object,
            (Global::RebuildTensor, args) => Node::Tensor(Box::new(self.tensor(args)?)),
            (Global::RebuildParameter, &[inner, ..])
                if matches!(self.node(inner), Node::Tensor(_)) =>
            {
                return self.push(inner);
            }
            (Global::LoadFromBytes, &[bytes]) => match self.node(bytes) {
                Node::Bytes(bytes) => Node::Storage(Box::new(Storage::Nested((**bytes).clone()))),
                _ => return Err(self.malformed("a storage from what is no bytes")),
            },
            (Global::Persistent, &[meta]) => self.module(meta)?,
            (Global::NumpyDtype, &[name, ..]) => Node::NumpyDtype(match self.node(name) {
                Node::Str(name) => match &**name {
                    "f8" | "<f8" => NumpyDtype::F64,
                    "f4" | "<f4" => NumpyDtype::F32,
                    "i8" | "<i8" => NumpyDtype::I64,
                    "i4" | "<i4" => NumpyDtype::I32,
                    _ => NumpyDtype::Other,
                },
                _ => NumpyDtype::Other,
            }),
            (Global::NumpyScalar, &[dtype, bytes]) => self.numpy_scalar(dtype, bytes),
            _ => return Err(self.malformed("wrong arguments of a call")),
        };
        self.new_node(node)
    }

    /// Bytes of a text whose characters are all below 256.
    fn encode(&mut self, text: Id) -> Step<Node> {
        let bytes = match &self.nodes[text.0 as usize] {
            Node::Str(text) => {
                // One text may be named by many calls.
                self.taken = charged(self.taken, text.len() as u64)?;
                let bytes: Option<Arc<[u8]>> = text.chars().map(|c| u8::try_from(c).ok()).collect();
                Bytes::Kept(bytes.ok_or_else(|| self.malformed("bytes that are no Latin-1"))?)
            }
            Node::LongText(span) => Bytes::Span(Span {
                latin1: true,
                ..**span
            }),
            _ => return Err(self.malformed("bytes from what is no text")),
        };
        Ok(Node::Bytes(Box::new(bytes)))
    }

    /// A module from `{type, version, module_src, class_name, state}`.
    fn module(&mut self, meta: Id) -> Step<Node> {
        let Node::Dict(pairs) = &self.nodes[meta.0 as usize] else {
            return Err(self.malformed("a persistent object from what is no dict"));
        };
        // One dict may be searched by many calls.
        self.taken = charged(self.taken, pairs.len() as u64)?;
        let wrong = || self.malformed("a persistent object without class and state");
        let find = |wanted: &str| {
            let is_it = |id: Id| matches!(self.node(id), Node::Str(key) if &**key == wanted);
            pairs.iter().rev().find(|&&(k, _)| is_it(k)).map(|p| p.1)
        };
        let (class, state) = find("class_name").zip(find("state")).ok_or_else(wrong)?;
        Ok(Node::Module { class, state })
    }

    fn numpy_scalar(&self, dtype: Id, bytes: Id) -> Node {
        let (&Node::NumpyDtype(dtype), Node::Bytes(bytes)) = (self.node(dtype), self.node(bytes))
        else {
            return Node::Object;
        };
        let Bytes::Kept(bytes) = &**bytes else {
            return Node::Object;
        };
        let eight = || <[u8; 8]>::try_from(&**bytes).ok();
        let four = || <[u8; 4]>::try_from(&**bytes).ok();
        let value = match dtype {
            NumpyDtype::F64 => eight().map(f64::from_le_bytes),
            NumpyDtype::F32 => four().map(|b| f64::from(f32::from_le_bytes(b))),
            NumpyDtype::I64 => eight().map(|b| i64::from_le_bytes(b) as f64),
            NumpyDtype::I32 => four().map(|b| f64::from(i32::from_le_bytes(b))),
            NumpyDtype::Other => None,
        };
        value.map_or(Node::Object, Node::Float)
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
        let storage = Storage::Keyed {
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
        if len > MAX_KEPT_BYTES {
            let span = self.skip(len)?;
            return self.new_node(Node::LongText(Box::new(span)));
        }
        let bytes = self.take(len)?;
        // Python also writes lone surrogates, which are of no use in a name.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        self.new_node(Node::Str(text.into()))
    }

    fn bytes_node(&mut self, len: u64) -> Step {
        let bytes = if len > MAX_KEPT_BYTES {
            Bytes::Span(self.skip(len)?)
        } else {
            Bytes::Kept(self.take(len)?.into())
        };
        self.new_node(Node::Bytes(Box::new(bytes)))
    }

    /// Passes over `len` bytes.
    fn skip(&mut self, len: u64) -> Step<Span> {
        let at = self.at;
        self.skippable = self
            .skippable
            .checked_sub(len)
            .ok_or(PickleError::TooLarge {
                what: "bytes in one value",
                limit: MAX_KEPT_BYTES,
            })?;
        let mut rest = (&mut *self.input).take(len);
        let skipped = io::copy(&mut rest, &mut io::sink()).map_err(|e| self.io(e))?;
        self.at = at.saturating_add(skipped);
        if skipped < len {
            return Err(PickleError::Truncated { at: self.at });
        }
        Ok(Span {
            at,
            len,
            latin1: false,
        })
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
        self.taken = charged(self.taken, len)?;
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

/// Bytes in memory after `more` were added.
fn charged(taken: u64, more: u64) -> Step<u64> {
    let taken = taken.saturating_add(more);
    if taken > MAX_BYTES {
        return Err(PickleError::TooLarge {
            what: "bytes",
            limit: MAX_BYTES,
        });
    }
    Ok(taken)
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
