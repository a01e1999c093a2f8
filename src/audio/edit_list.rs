//! Where the sound of an MP4 file begins. AAC encoders put a lead-in before the first sample; the
//! edit list says how long it is (ISO/IEC 14496-12, 8.6.6), which the demuxer reads over.

use std::io::{self, Read, Seek, SeekFrom};

/// A description larger than this is not read: it would not be that of a piece of music.
const MAX_DESCRIPTION_BYTES: u64 = 64 << 20;

/// Seconds of the track's sound that come before its beginning; 0 where nothing is said, and where
/// the file is no MP4. `track` is its number in the file.
pub(super) fn lead_in_secs(file: &mut (impl Read + Seek), track: u32) -> io::Result<f64> {
    let mut head = [0; 16];
    let mut at = 0;
    loop {
        file.seek(SeekFrom::Start(at))?;
        match file.read_exact(&mut head) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0.0),
            other => other?,
        }
        let Some((kind, head_len, len)) = box_head(&head) else {
            return Ok(0.0);
        };
        if at == 0 && &kind != b"ftyp" {
            return Ok(0.0);
        }
        if &kind == b"moov" {
            let len = len.min(MAX_DESCRIPTION_BYTES).saturating_sub(head_len);
            file.seek(SeekFrom::Start(at + head_len))?;
            let mut description = Vec::new();
            file.take(len).read_to_end(&mut description)?;
            return Ok(lead_in(&description, track).unwrap_or(0.0));
        }
        at = at.saturating_add(len);
    }
}

/// Kind, length of the head and length of all of a box.
fn box_head(bytes: &[u8]) -> Option<([u8; 4], u64, u64)> {
    let kind = bytes.get(4..8)?.try_into().ok()?;
    let (head_len, len) = match u64::from(number(bytes, 0)?) {
        1 => (16, wide(bytes, 8)?),
        0 => (8, u64::MAX),
        len => (8, len),
    };
    (len >= head_len).then_some((kind, head_len, len))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}

fn wide(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

/// The boxes in `bytes`, as kind and content.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (kind, head_len, len) = box_head(bytes)?;
        let end = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
        let content = bytes.get(head_len as usize..end)?;
        bytes = &bytes[end..];
        Some((kind, content))
    })
}

fn inside<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(k, _)| k == kind).map(|(_, b)| b)
}

fn lead_in(description: &[u8], track: u32) -> Option<f64> {
    // Times are wide in boxes of version 1.
    let version = |bytes: &[u8]| bytes.first().copied();
    let content = boxes(description)
        .filter(|(kind, _)| kind == b"trak")
        .map(|(_, content)| content)
        .find(|content| {
            let head = inside(content, b"tkhd").unwrap_or(&[]);
            number(head, if version(head) == Some(1) { 20 } else { 12 }) == Some(track)
        })?;
    let head = inside(inside(content, b"mdia")?, b"mdhd")?;
    let ticks_per_sec = number(head, if version(head)? == 1 { 20 } else { 12 })?;
    let edits = inside(inside(content, b"edts")?, b"elst")?;
    let (entry_len, time_at) = if version(edits)? == 1 {
        (20, 8)
    } else {
        (12, 4)
    };
    // A time of −1 is a pause and has no media.
    let start = edits.get(8..)?.chunks_exact(entry_len).find_map(|entry| {
        let ticks = if time_at == 8 {
            wide(entry, 8)?.cast_signed()
        } else {
            i64::from(number(entry, 4)?.cast_signed())
        };
        (ticks >= 0).then_some(ticks)
    })?;
    (ticks_per_sec > 0).then(|| start as f64 / f64::from(ticks_per_sec))
}

#[cfg(test)]
mod tests {
    use super::lead_in_secs;
    use std::io::Cursor;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let mut out = (8 + content.len() as u32).to_be_bytes().to_vec();
        out.extend(kind);
        out.extend(content);
        out
    }

    fn words(words: &[i32]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_be_bytes()).collect()
    }

    /// A file with one track, number 2, whose edits are given as duration, time and rate.
    fn file(edits: &[i32]) -> Vec<u8> {
        let mut list = words(&[0, edits.len() as i32 / 3]);
        list.extend(words(edits));
        let track = [
            boxed(b"tkhd", &words(&[0, 0, 0, 2, 0])),
            boxed(b"edts", &boxed(b"elst", &list)),
            boxed(b"mdia", &boxed(b"mdhd", &words(&[0, 0, 0, 48_000, 0]))),
        ];
        let mut all = boxed(b"ftyp", b"M4A ");
        all.extend(boxed(b"mdat", &[0; 40]));
        all.extend(boxed(b"moov", &boxed(b"trak", &track.concat())));
        all
    }

    #[test]
    fn the_first_edit_with_media_says_where_the_sound_begins() {
        let one = 0x1_0000;
        for (edits, want) in [
            (&[900, 1024, one][..], 1024.0 / 48_000.0),
            (&[50, -1, one, 900, 2112, one], 2112.0 / 48_000.0),
            (&[900, 0, one], 0.0),
            (&[], 0.0),
        ] {
            let got = lead_in_secs(&mut Cursor::new(file(edits)), 2).unwrap();
            assert!((got - want).abs() < 1e-12, "{edits:?}: {got}");
        }
        let other = lead_in_secs(&mut Cursor::new(file(&[900, 1024, one])), 1).unwrap();
        assert_eq!(other, 0.0, "another track");
    }

    #[test]
    fn files_that_break_off_say_nothing() {
        let whole = file(&[900, 1024, 0x1_0000]);
        for len in 0..whole.len() {
            let got = lead_in_secs(&mut Cursor::new(&whole[..len]), 2).unwrap();
            assert!(got == 0.0 || len > whole.len() - 40, "{len}: {got}");
        }
        for noise in [
            b"RIFF\0\0\0\0WAVEfmt \0\0\0\0".to_vec(),
            vec![0; 64],
            vec![0xff; 64],
        ] {
            assert_eq!(lead_in_secs(&mut Cursor::new(noise), 1).unwrap(), 0.0);
        }
    }
}
