//! A storage as a whole legacy file of `torch.save` inside a pickle, as plain pickling of a tensor
//! writes it.

use std::io::{self, Read, Seek, SeekFrom};

use super::checkpoint::{Place, Source, is_legacy_magic};
use super::pickle::{self, Bytes, Node, PickleError, Storage};

/// Why a nested file is none.
#[derive(Debug)]
pub(super) enum Problem {
    Pickle(PickleError),
    Shape(&'static str),
}

impl From<PickleError> for Problem {
    fn from(error: PickleError) -> Self {
        Self::Pickle(error)
    }
}

/// Opens the nested file, up to its first value. It may hold one storage and nothing else.
///
/// # Errors
/// [`Problem`].
pub(super) fn open<'a>(
    bytes: &'a Bytes,
    file: &'a mut Box<dyn Source>,
) -> Result<Place<'a>, Problem> {
    let mut reader: Box<dyn Read + 'a> = match bytes {
        Bytes::Kept(bytes) => Box::new(io::Cursor::new(&**bytes)),
        Bytes::Span(span) => {
            file.seek(SeekFrom::Start(span.at))
                .map_err(PickleError::Io)?;
            let inside = file.take(span.len);
            if span.latin1 {
                Box::new(Latin1(inside))
            } else {
                Box::new(inside)
            }
        }
    };
    let mut next = || pickle::read(&mut reader, 0);
    if !is_legacy_magic(&next()?) {
        return Err(Problem::Shape("holds bytes that torch.save did not write"));
    }
    let _protocol = next()?;
    let _system = next()?;
    let object = next()?;
    let Node::Storage(storage) = object.root() else {
        return Err(Problem::Shape("holds bytes that are no storage"));
    };
    let Storage::Keyed { dtype, len, .. } = **storage else {
        return Err(Problem::Shape("holds bytes that are no storage"));
    };
    let keys = next()?;
    if !matches!(keys.root(), Node::List(list) if list.len() == 1) {
        return Err(Problem::Shape("holds bytes with more than one storage"));
    }
    let mut count = [0; 8];
    reader.read_exact(&mut count).map_err(PickleError::Io)?;
    if u64::from_le_bytes(count) != len {
        return Err(Problem::Shape("has two different sizes"));
    }
    Ok(Place { dtype, len, reader })
}

/// Bytes from UTF-8 whose characters are all below 256.
#[derive(Debug)]
struct Latin1<R>(R);

impl<R: Read> Read for Latin1<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "bytes that are no Latin-1");
        // In place: the bytes are never more than their UTF-8.
        let len = self.0.read(out)?;
        let (mut from, mut to) = (0, 0);
        while from < len {
            let lead = out[from];
            from += 1;
            out[to] = match lead {
                0..=0x7f => lead,
                0xc2 | 0xc3 => {
                    let mut next = [0];
                    if from < len {
                        next[0] = out[from];
                        from += 1;
                    } else {
                        self.0.read_exact(&mut next)?;
                    }
                    if next[0] & 0xc0 != 0x80 {
                        return Err(invalid());
                    }
                    lead << 6 | next[0] & 0x3f
                }
                _ => return Err(invalid()),
            };
            to += 1;
        }
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::Latin1;
    use std::io::Read;

    #[test]
    fn every_byte_comes_back_whatever_the_buffer() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let text: String = bytes.iter().map(|&b| char::from(b)).collect();
        for size in [1, 2, 3, 7, 64, 4096] {
            let mut reader = Latin1(text.as_bytes());
            let mut got = Vec::new();
            let mut buffer = vec![0; size];
            loop {
                match reader.read(&mut buffer).unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&buffer[..n]),
                }
            }
            assert_eq!(got, bytes, "{size}");
        }
        for wrong in ["ā", "€", "\u{10000}"] {
            assert!(
                Latin1(wrong.as_bytes())
                    .read_to_end(&mut Vec::new())
                    .is_err()
            );
        }
        assert!(Latin1(&b"\xc3"[..]).read_to_end(&mut Vec::new()).is_err());
    }
}
