//! NumPy's `.npy` and `.npz` files, as 32-bit floats.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use npyz::WriterBuilder;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Largest array read, in bytes: noise of a 1024 px model is 4 MiB.
const LARGEST_BYTES: u64 = 256 << 20;

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// Values in C order.
    pub data: Vec<f32>,
}

/// Why an array cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// The file cannot be opened, read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not what its name says.
    #[error("{path}: {why}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and with which array.
        why: String,
    },
}

fn format_error(path: &Path, why: impl Into<String>) -> NpyError {
    NpyError::Format {
        path: path.to_path_buf(),
        why: why.into(),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> NpyError {
    let path = path.to_path_buf();
    move |source| NpyError::Io { path, source }
}

/// Reads a `.npy` file of f2, f4 or f8 in C order.
///
/// # Errors
/// When it cannot be read, is no `.npy`, or holds something else than floats.
pub fn read(path: &Path) -> Result<Array, NpyError> {
    let file = File::open(path).map_err(io_error(path))?;
    let bytes = read_bounded(BufReader::new(file)).map_err(io_error(path))?;
    parse(&bytes).map_err(|why| format_error(path, why))
}

/// Reads the array `name` of a `.npz` file.
///
/// # Errors
/// As [`read`], and when there is no such array.
pub fn read_from_npz(path: &Path, name: &str) -> Result<Array, NpyError> {
    let file = File::open(path).map_err(io_error(path))?;
    let mut zip = zip::ZipArchive::new(BufReader::new(file))
        .map_err(|e| format_error(path, format!("is no .npz file: {e}")))?;
    let entry = zip
        .by_name(&format!("{name}.npy"))
        .map_err(|e| format_error(path, format!("array `{name}`: {e}")))?;
    let bytes =
        read_bounded(entry).map_err(|e| format_error(path, format!("array `{name}`: {e}")))?;
    parse(&bytes).map_err(|why| format_error(path, format!("array `{name}` {why}")))
}

/// Whether a `.npz` file has an array of this name.
///
/// # Errors
/// When it cannot be read.
pub fn has_array(path: &Path, name: &str) -> Result<bool, NpyError> {
    let file = File::open(path).map_err(io_error(path))?;
    let zip = zip::ZipArchive::new(BufReader::new(file))
        .map_err(|e| format_error(path, format!("is no .npz file: {e}")))?;
    Ok(zip.index_for_name(&format!("{name}.npy")).is_some())
}

/// Writes a `.npz` file of f4 arrays: name, shape, values. It appears whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_npz(path: &Path, arrays: &[(String, Vec<usize>, &[f32])]) -> Result<(), NpyError> {
    let part = path.with_extension("npz.part");
    npz_bytes(arrays)
        .and_then(|bytes| std::fs::write(&part, bytes))
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(io_error(path))
}

/// A `.npz` file of f4 arrays. No time stamps: the same arrays give the same bytes.
///
/// # Errors
/// When an array has another number of values than its shape.
pub fn npz_bytes(arrays: &[(String, Vec<usize>, &[f32])]) -> io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    // Weights and noise do not compress.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, shape, values) in arrays {
        zip.start_file(format!("{name}.npy"), options)?;
        zip.write_all(&npy_bytes(shape, values)?)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A `.npy` file of f4.
///
/// # Errors
/// When there is another number of values than in the shape.
pub fn npy_bytes(shape: &[usize], values: &[f32]) -> io::Result<Vec<u8>> {
    let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
    let mut npy = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&shape)
        .writer(&mut npy)
        .begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(npy)
}

/// Writes a `.npy` file of f4.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, shape: &[usize], data: &[f32]) -> Result<(), NpyError> {
    let file = File::create(path).map_err(io_error(path))?;
    let shape: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
    let write_all = || -> io::Result<()> {
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&shape)
            .writer(BufWriter::new(file))
            .begin_nd()?;
        writer.extend(data)?;
        writer.finish()
    };
    write_all().map_err(io_error(path))
}

/// Reads to the end without trusting any size that the file claims.
fn read_bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the array is larger than 256 MiB",
        ));
    }
    Ok(bytes)
}

fn parse(bytes: &[u8]) -> Result<Array, String> {
    let mut rest = bytes;
    let file = npyz::NpyFile::new(&mut rest).map_err(|e| format!("is no .npy array: {e}"))?;
    let type_name = file.dtype().descr();
    let item_bytes = match type_name.trim_matches(['\'', '"', '<', '=', '|']) {
        "f2" => 2u64,
        "f4" => 4,
        "f8" => 8,
        other => {
            return Err(format!(
                "holds {other}, not floats (f2, f4 or f8, little-endian)"
            ));
        }
    };
    if file.order() != npyz::Order::C && file.shape().iter().filter(|&&n| n > 1).count() > 1 {
        return Err("is in Fortran order: save it with numpy.ascontiguousarray".to_owned());
    }
    let shape: Vec<u64> = file.shape().to_vec();
    let wanted = shape
        .iter()
        .try_fold(item_bytes, |n, &axis| n.checked_mul(axis))
        .ok_or("has an impossible shape")?;
    if wanted > bytes.len() as u64 {
        return Err(format!(
            "is cut short: shape {shape:?} needs {wanted} bytes"
        ));
    }
    let data = match item_bytes {
        2 => file
            .into_vec::<half::f16>()
            .map(|v| v.into_iter().map(half::f16::to_f32).collect()),
        4 => file.into_vec::<f32>(),
        _ => file
            .into_vec::<f64>()
            .map(|v| v.into_iter().map(|x| x as f32).collect()),
    }
    .map_err(|e| format!("cannot be read: {e}"))?;
    Ok(Array {
        shape: shape.iter().map(|&n| n as usize).collect(),
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::{parse, read, write};

    #[test]
    fn arrays_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        write(&path, &[1, 2, 3], &[1.0, 2.0, 3.0, -4.0, 5.5, 0.0]).unwrap();
        let array = read(&path).unwrap();
        assert_eq!(array.shape, [1, 2, 3]);
        assert_eq!(array.data, [1.0, 2.0, 3.0, -4.0, 5.5, 0.0]);
    }

    #[test]
    fn a_lie_about_the_size_is_found_before_memory_is_taken() {
        let mut header = b"\x93NUMPY\x01\x00".to_vec();
        let dict = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1048576), }";
        let mut padded = dict.to_vec();
        while !(padded.len() + 11).is_multiple_of(64) {
            padded.push(b' ');
        }
        padded.push(b'\n');
        header.extend((padded.len() as u16).to_le_bytes());
        header.extend(padded);
        let error = parse(&header).unwrap_err();
        assert!(error.contains("shape"), "{error}");
        assert!(parse(b"hello").unwrap_err().contains("no .npy"));
    }
}
