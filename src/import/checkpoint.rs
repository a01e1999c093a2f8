//! Files that hold tensors: `torch.save`, NVIDIA's pickles, safetensors.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use zip::ZipArchive;

use super::ImportError;
use super::pickle::{self, Dtype, Node, Pickle, PickleError, Storage, Tensor};
use super::{nested, safetensors};

/// What the first pickle of a legacy file holds.
const LEGACY_MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// A tensor's values in row-major order.
#[derive(Debug, PartialEq)]
pub(super) struct Array {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f32>,
}

/// What a checkpoint is read from.
pub(super) trait Source: Read + Seek + fmt::Debug {}

impl<T: Read + Seek + fmt::Debug> Source for T {}

/// What a checkpoint holds, but for the tensors' values.
#[derive(Debug)]
pub(super) enum Contents {
    Pickle(Pickle),
    /// Tensors by name and nothing else.
    Tensors(HashMap<String, Tensor>),
}

/// An open checkpoint. Tensors are read when they are asked for.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) path: PathBuf,
    pub(super) contents: Contents,
    store: Store,
    /// Bytes that may still be read from storages. Tensors may share storages, so a small file
    /// could ask for much; an honest one asks for each byte about once.
    budget: u64,
}

#[derive(Debug)]
enum Store {
    Zip {
        archive: Box<ZipArchive<Box<dyn Source>>>,
        /// Folder of the storages inside, with its slash.
        prefix: String,
    },
    Legacy {
        file: Box<dyn Source>,
        /// By key: first byte and number of bytes.
        storages: HashMap<String, (u64, u64)>,
    },
    /// Everything lies in the pickle, or in a file without one.
    Whole(Box<dyn Source>),
}

impl Checkpoint {
    /// Opens a file and reads what describes the tensors.
    ///
    /// # Errors
    /// When it is of no known kind, or damaged, or holds something other than plain data.
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let file = File::open(path).map_err(|e| ImportError::io(path, e))?;
        Self::from_source(path, Box::new(BufReader::new(file)))
    }

    /// As [`Self::open`]; `path` is for messages.
    pub(super) fn from_source(path: &Path, mut file: Box<dyn Source>) -> Result<Self, ImportError> {
        let io = |source| ImportError::io(path, source);
        let file_len = file.seek(SeekFrom::End(0)).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let mut head = Vec::new();
        (&mut file).take(16).read_to_end(&mut head).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        let (store, contents) = if head.starts_with(b"PK\x03\x04") {
            open_zip(path, file)?
        } else if head.starts_with(b"\x80") {
            open_pickle(path, file, file_len)?
        } else if safetensors::is_it(&head, file_len) {
            let tensors = safetensors::read(path, &mut file, file_len)?;
            (Store::Whole(file), Contents::Tensors(tensors))
        } else {
            return Err(ImportError::not_a_generator(path, seems(&head)));
        };
        Ok(Self {
            path: path.to_owned(),
            contents,
            store,
            budget: file_len.saturating_mul(8).saturating_add(1 << 20),
        })
    }

    /// Reads a tensor as f32, whatever its float type and strides.
    ///
    /// # Errors
    /// [`ImportError::Tensor`] with `name` when it is no float tensor or its bytes are not there.
    pub(super) fn read(&mut self, name: &str, tensor: &Tensor) -> Result<Array, ImportError> {
        let path = self.path.clone();
        let wrong = |problem: String| ImportError::tensor(&path, name, problem);
        let no_data = || wrong("has no data in the file".to_owned());
        let beyond = || wrong("reaches beyond its own storage".to_owned());
        let unreadable = |e: io::Error| wrong(format!("cannot be read: {e}"));
        let mut place = match &tensor.storage {
            Storage::Keyed { dtype, key, len } => Place {
                dtype: *dtype,
                len: *len,
                reader: self.store.keyed(key).map_err(wrong)?,
            },
            Storage::Plain { dtype, at, len } => {
                let Store::Whole(file) = &mut self.store else {
                    return Err(no_data());
                };
                file.seek(SeekFrom::Start(*at)).map_err(unreadable)?;
                Place {
                    dtype: *dtype,
                    len: *len,
                    reader: Box::new(file),
                }
            }
            Storage::Nested(bytes) => {
                let Store::Whole(file) = &mut self.store else {
                    return Err(no_data());
                };
                nested::open(bytes, file).map_err(|e| match e {
                    nested::Problem::Pickle(source) => explain(&path, source),
                    nested::Problem::Shape(what) => wrong(what.to_owned()),
                })?
            }
        };
        let dtype = place.dtype;
        if let Dtype::Other(_) = dtype {
            return Err(wrong("holds no floating-point numbers".to_owned()));
        }
        let layout = Layout::of(tensor, place.len).ok_or_else(beyond)?;
        let skip = tensor.offset.saturating_mul(dtype.size());
        let need = layout.span.saturating_mul(dtype.size());
        self.budget = self
            .budget
            .checked_sub(skip.saturating_add(need))
            .ok_or_else(|| wrong("makes the tensors larger than the file".to_owned()))?;
        io::copy(&mut (&mut place.reader).take(skip), &mut io::sink()).map_err(unreadable)?;
        let bytes = read_up_to(&mut place.reader, need).map_err(unreadable)?;
        drop(place);
        if (bytes.len() as u64) < need {
            return Err(wrong(format!(
                "needs {need} bytes and {} are there: the file is cut off",
                bytes.len()
            )));
        }
        let values = decode(&bytes, dtype);
        drop(bytes);
        let data = layout.gather(values);
        if data.iter().any(|v| !v.is_finite()) {
            return Err(wrong("holds a value that is not finite".to_owned()));
        }
        Ok(Array {
            shape: layout.shape,
            data,
        })
    }
}

impl Store {
    /// A storage by its key, ready to be read. `Err` says what is wrong.
    fn keyed(&mut self, key: &str) -> Result<Box<dyn Read + '_>, String> {
        match self {
            Self::Zip { archive, prefix } => {
                let name = format!("{prefix}data/{key}");
                match archive.by_name(&name) {
                    Ok(entry) => Ok(Box::new(entry)),
                    Err(e) => Err(format!("has no readable data (`{name}`: {e})")),
                }
            }
            Self::Legacy { file, storages } => {
                let &(at, len) = storages.get(key).ok_or("has no data in the file")?;
                file.seek(SeekFrom::Start(at))
                    .map_err(|e| format!("cannot be read: {e}"))?;
                Ok(Box::new(file.take(len)))
            }
            Self::Whole(_) => Err("has no data in the file".to_owned()),
        }
    }
}

/// A storage that is about to be read.
pub(super) struct Place<'a> {
    pub(super) dtype: Dtype,
    /// Number of values that it claims to have.
    pub(super) len: u64,
    pub(super) reader: Box<dyn Read + 'a>,
}

/// Where a tensor's values lie in its storage, checked.
struct Layout {
    shape: Vec<usize>,
    stride: Vec<usize>,
    /// Values from its first to behind its last.
    span: u64,
}

impl Layout {
    /// `None` when it does not fit its storage, or has more values than it (an expanded tensor,
    /// which no state dict holds).
    fn of(tensor: &Tensor, storage_len: u64) -> Option<Self> {
        let mut count = 1_u64;
        let mut last = 0_u64;
        for (&size, &stride) in tensor.size.iter().zip(&tensor.stride) {
            count = count.checked_mul(size)?;
            last = last.checked_add(size.saturating_sub(1).checked_mul(stride)?)?;
        }
        let span = if count == 0 { 0 } else { last.checked_add(1)? };
        let end = tensor.offset.checked_add(span)?;
        if end > storage_len || count > storage_len {
            return None;
        }
        let small = |dims: &[u64]| -> Option<Vec<usize>> {
            dims.iter().map(|&d| usize::try_from(d).ok()).collect()
        };
        Some(Self {
            shape: small(&tensor.size)?,
            stride: small(&tensor.stride)?,
            span,
        })
    }

    /// The values in row-major order.
    fn gather(&self, mut values: Vec<f32>) -> Vec<f32> {
        let count: usize = self.shape.iter().product();
        let mut contiguous = 1;
        let is_contiguous = self.shape.iter().zip(&self.stride).rev().all(|(&n, &s)| {
            let fits = n == 1 || s == contiguous;
            contiguous *= n.max(1);
            fits
        });
        if is_contiguous {
            values.truncate(count);
            return values;
        }
        let mut index = vec![0; self.shape.len()];
        let mut gathered = Vec::with_capacity(count);
        for _ in 0..count {
            let at: usize = index.iter().zip(&self.stride).map(|(&i, &s)| i * s).sum();
            gathered.push(values[at]);
            for (i, &n) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < n {
                    break;
                }
                *i = 0;
            }
        }
        gathered
    }
}

fn read_up_to(reader: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn decode(bytes: &[u8], dtype: Dtype) -> Vec<f32> {
    let halves = || bytes.as_chunks::<2>().0.iter();
    match dtype {
        Dtype::F32 => {
            let (chunks, _) = bytes.as_chunks();
            chunks.iter().map(|&b| f32::from_le_bytes(b)).collect()
        }
        Dtype::F64 => {
            let (chunks, _) = bytes.as_chunks();
            chunks
                .iter()
                .map(|&b| f64::from_le_bytes(b) as f32)
                .collect()
        }
        Dtype::F16 => halves().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::Bf16 => halves().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        Dtype::Other(_) => Vec::new(),
    }
}

fn open_zip(path: &Path, file: Box<dyn Source>) -> Result<(Store, Contents), ImportError> {
    let zip = |source| ImportError::Zip {
        path: path.to_owned(),
        source,
    };
    let mut archive = ZipArchive::new(file).map_err(zip)?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(|n| n.into_owned()))
        .collect();
    let Some(prefix) = names.iter().find_map(|name| {
        let prefix = name.strip_suffix("data.pkl")?;
        // Inside the archive's one folder; an archive zipped again may have lost that.
        (prefix.is_empty() || prefix.find('/') == Some(prefix.len() - 1)).then_some(prefix)
    }) else {
        let seems = if names.iter().any(|n| n.ends_with(".npy")) {
            "a NumPy .npz file"
        } else {
            "a zip archive without a `data.pkl`, which torch.save would have written"
        };
        return Err(ImportError::not_a_generator(path, seems));
    };
    let prefix = prefix.to_owned();
    if names.iter().any(|n| *n == format!("{prefix}constants.pkl")) {
        return Err(ImportError::not_a_generator(
            path,
            "a TorchScript program; a state dict is needed",
        ));
    }
    if let Ok(mut order) = archive.by_name(&format!("{prefix}byteorder")) {
        let order = read_up_to(&mut order, 16).map_err(|e| ImportError::io(path, e))?;
        if order != b"little" {
            return Err(ImportError::not_a_generator(
                path,
                "a checkpoint in big-endian byte order; save it on a little-endian machine",
            ));
        }
    }
    let mut entry = archive.by_name(&format!("{prefix}data.pkl")).map_err(zip)?;
    let pickle = pickle::read(&mut BufReader::new(&mut entry), 0).map_err(|e| explain(path, e))?;
    drop(entry);
    let archive = Box::new(archive);
    Ok((Store::Zip { archive, prefix }, Contents::Pickle(pickle)))
}

/// A pickle of NVIDIA's, which holds everything, or a legacy file of `torch.save`: five pickles
/// (magic number, protocol, system, object, keys of the storages), then for each key an i64 count
/// and that many values.
fn open_pickle(
    path: &Path,
    mut file: Box<dyn Source>,
    file_len: u64,
) -> Result<(Store, Contents), ImportError> {
    let mut next = || pickle::read(&mut file, file_len).map_err(|e| explain(path, e));
    let first = next()?;
    if !is_legacy_magic(&first) {
        return Ok((Store::Whole(file), Contents::Pickle(first)));
    }
    let _protocol = next()?;
    let _system = next()?;
    let pickle = next()?;
    let keys = next()?;
    let sizes: HashMap<&str, u64> = pickle
        .storages()
        .filter_map(|s| match s {
            Storage::Keyed { dtype, key, .. } => Some((key.as_str(), dtype.size())),
            _ => None,
        })
        .collect();
    let cut_off =
        |name: &str| ImportError::tensor(path, name, "has no data: the file is cut off".to_owned());
    let mut storages = HashMap::new();
    let list: &[_] = match keys.root() {
        Node::List(list) => list,
        _ => &[],
    };
    for &key in list {
        let Node::Str(key) = keys.node(key) else {
            continue;
        };
        let io = |source| ImportError::io(path, source);
        let mut count = [0; 8];
        file.read_exact(&mut count).map_err(|_e| cut_off(key))?;
        let at = file.stream_position().map_err(io)?;
        let len = sizes
            .get(&**key)
            .and_then(|size| u64::from_le_bytes(count).checked_mul(*size))
            .filter(|&len| at.checked_add(len).is_some_and(|end| end <= file_len))
            .ok_or_else(|| cut_off(key))?;
        storages.insert(key.to_string(), (at, len));
        file.seek(SeekFrom::Start(at + len)).map_err(io)?;
    }
    let store = Store::Legacy { file, storages };
    Ok((store, Contents::Pickle(pickle)))
}

/// Whether a pickle is the first one of a legacy file.
pub(super) fn is_legacy_magic(pickle: &Pickle) -> bool {
    matches!(pickle.root(), Node::Int(v) if **v == LEGACY_MAGIC)
}

/// Says of a refused class what kind of file holds it.
fn explain(path: &Path, source: PickleError) -> ImportError {
    if let PickleError::Refused { module, .. } = &source
        && module.starts_with("dnnlib")
    {
        return ImportError::not_a_generator(
            path,
            "an NVIDIA TensorFlow pickle; convert it first, in a checkout of \
             stylegan2-ada-pytorch: python legacy.py --source=THIS.pkl --dest=NEW.pkl",
        );
    }
    ImportError::Pickle {
        path: path.to_owned(),
        source,
    }
}

/// What a file that is neither a zip archive nor a pickle seems to be.
fn seems(head: &[u8]) -> &'static str {
    match head {
        [] => "an empty file",
        _ if head.starts_with(b"\x89HDF") => "an HDF5 (Keras) file",
        _ if head.starts_with(b"\x89PNG") || head.starts_with(b"\xff\xd8\xff") => "a picture",
        _ if head.starts_with(b"\x93NUMPY") => "a NumPy array",
        _ if head.starts_with(b"\x1f\x8b") => "a gzip archive; unpack it first",
        _ if head.starts_with(b"PK\x05\x06") => "an empty zip archive",
        _ if head.starts_with(b"OggS") || head.starts_with(b"RIFF") => "a sound or video file",
        _ if head
            .iter()
            .all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace()) =>
        {
            "a text file"
        }
        _ => "no file of torch.save, no pickle of NVIDIA's and no safetensors file",
    }
}
