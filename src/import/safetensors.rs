//! safetensors files: a header in JSON, then the values.

use std::collections::HashMap;
use std::io::{Read, SeekFrom};
use std::path::Path;

use safetensors::Dtype as FileDtype;
use safetensors::tensor::Metadata;

use super::ImportError;
use super::checkpoint::Source;
use super::pickle::{Dtype, Storage, Tensor};

/// Longest header; a real one of a generator has 30 kB.
const MAX_HEADER_BYTES: u64 = 8 << 20;
/// Bytes before the header.
const LENGTH_BYTES: u64 = 8;

/// Whether a file starts as one: a plausible length and the header's brace.
pub(super) fn is_it(head: &[u8], file_len: u64) -> bool {
    let Some((len, rest)) = head.split_first_chunk::<8>() else {
        return false;
    };
    let len = u64::from_le_bytes(*len);
    rest.first() == Some(&b'{') && len >= 2 && (len < file_len || len <= MAX_HEADER_BYTES)
}

/// Reads the header. The values stay in the file.
///
/// # Errors
/// When it is damaged, or the file has not exactly the bytes that it describes.
pub(super) fn read(
    path: &Path,
    file: &mut Box<dyn Source>,
    file_len: u64,
) -> Result<HashMap<String, Tensor>, ImportError> {
    let wrong = |why: String| {
        ImportError::not_a_generator(path, format!("a damaged safetensors file: {why}"))
    };
    let io = |e| ImportError::io(path, e);
    let mut len = [0; LENGTH_BYTES as usize];
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.read_exact(&mut len).map_err(io)?;
    let len = u64::from_le_bytes(len);
    if len > MAX_HEADER_BYTES {
        return Err(wrong(format!("its header has {len} bytes")));
    }
    let mut header = Vec::new();
    file.take(len).read_to_end(&mut header).map_err(io)?;
    // `SafeTensors::deserialize` wants the whole file in memory; its header alone reads as well.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| wrong(e.to_string()))?;
    let start = LENGTH_BYTES + len;
    let mut tensors = HashMap::new();
    let mut end = start;
    let mut entries: Vec<_> = metadata.tensors().into_iter().collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, info) in entries {
        let (first, behind) = info.data_offsets;
        let size: Vec<u64> = info.shape.iter().map(|&n| n as u64).collect();
        let dtype = match info.dtype {
            FileDtype::F64 => Dtype::F64,
            FileDtype::F32 => Dtype::F32,
            FileDtype::F16 => Dtype::F16,
            FileDtype::BF16 => Dtype::Bf16,
            other => Dtype::Other((other.bitsize() / 8).max(1) as u8),
        };
        let bytes = (behind as u64).checked_sub(first as u64);
        let count = size.iter().try_fold(1_u64, |n, &axis| n.checked_mul(axis));
        let wanted = count.and_then(|n| n.checked_mul(dtype.size()));
        let known = !matches!(dtype, Dtype::Other(_));
        if bytes.is_none() || known && bytes != wanted {
            let problem = format!("has shape {size:?} and bytes {first} to {behind}");
            return Err(ImportError::tensor(path, &name, problem));
        }
        let at = start.saturating_add(first as u64);
        end = end.max(start.saturating_add(behind as u64));
        let stride = (1..=size.len())
            .map(|i| {
                size[i..]
                    .iter()
                    .fold(1_u64, |n, &axis| n.saturating_mul(axis))
            })
            .collect();
        let storage = Storage::Plain {
            dtype,
            at,
            len: bytes.unwrap_or(0) / dtype.size().max(1),
        };
        tensors.insert(
            name,
            Tensor {
                storage,
                offset: 0,
                size,
                stride,
            },
        );
    }
    if end > file_len {
        return Err(wrong(format!(
            "it is cut off: {end} bytes are described, {file_len} are there"
        )));
    }
    Ok(tensors)
}
