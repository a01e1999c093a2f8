//! Live sound: from a ring to a WAV file beside the video.
//!
//! A file, not a second pipe: ffmpeg reads two live inputs in turn, so that a stall of one would
//! stall the other; and a file works on every system.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::rt;

/// Bytes before the samples: RIFF, a place for `ds64`, `fmt `, the head of `data`.
const HEAD_BYTES: u64 = 12 + 36 + 24 + 8;

/// A 32-bit float WAV that grows; past 4 GiB it becomes RF64 (EBU Tech 3306).
#[derive(Debug)]
pub(super) struct WavWriter {
    file: BufWriter<File>,
    sample_rate: u32,
    channels: u16,
    data_bytes: u64,
}

impl WavWriter {
    pub(super) fn new(file: File, sample_rate: u32, channels: u16) -> io::Result<Self> {
        let mut writer = Self {
            file: BufWriter::with_capacity(1 << 16, file),
            sample_rate,
            channels,
            data_bytes: 0,
        };
        writer.write_head()?;
        Ok(writer)
    }

    pub(super) fn write(&mut self, samples: &[f32]) -> io::Result<()> {
        for sample in samples {
            self.file.write_all(&sample.to_le_bytes())?;
        }
        self.data_bytes += size_of_val(samples) as u64;
        Ok(())
    }

    /// Writes the head anew with the true length and hands all to the system: what is there now
    /// survives a crash of this process.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.write_head()?;
        self.file.seek(SeekFrom::End(0))?;
        self.file.flush()
    }

    fn write_head(&mut self) -> io::Result<()> {
        let frame_bytes = self.channels * 4;
        let riff_bytes = self.data_bytes + HEAD_BYTES - 8;
        let mut head = Vec::with_capacity(HEAD_BYTES as usize);
        if let (Ok(riff), Ok(data)) = (u32::try_from(riff_bytes), u32::try_from(self.data_bytes)) {
            head.extend(b"RIFF");
            head.extend(riff.to_le_bytes());
            head.extend(b"WAVEJUNK");
            head.extend(28_u32.to_le_bytes());
            head.extend([0; 28]);
            self.extend_format(&mut head, frame_bytes);
            head.extend(data.to_le_bytes());
        } else {
            head.extend(b"RF64");
            head.extend(u32::MAX.to_le_bytes());
            head.extend(b"WAVEds64");
            head.extend(28_u32.to_le_bytes());
            head.extend(riff_bytes.to_le_bytes());
            head.extend(self.data_bytes.to_le_bytes());
            head.extend((self.data_bytes / u64::from(frame_bytes)).to_le_bytes());
            head.extend([0; 4]);
            self.extend_format(&mut head, frame_bytes);
            head.extend(u32::MAX.to_le_bytes());
        }
        debug_assert_eq!(head.len() as u64, HEAD_BYTES);
        self.file.write_all(&head)
    }

    fn extend_format(&self, head: &mut Vec<u8>, frame_bytes: u16) {
        head.extend(b"fmt ");
        head.extend(16_u32.to_le_bytes());
        head.extend(3_u16.to_le_bytes()); // IEEE float
        head.extend(self.channels.to_le_bytes());
        head.extend(self.sample_rate.to_le_bytes());
        head.extend((self.sample_rate * u32::from(frame_bytes)).to_le_bytes());
        head.extend(frame_bytes.to_le_bytes());
        head.extend(32_u16.to_le_bytes());
        head.extend(b"data");
    }
}

/// The thread that empties the ring.
#[derive(Debug)]
pub(super) struct SoundTap {
    pub(super) path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<u64>>,
}

impl SoundTap {
    /// Starts writing `samples` (interleaved) to `file`, which is at `path`.
    pub(super) fn start(
        path: PathBuf,
        file: File,
        samples: rtrb::Consumer<f32>,
        sample_rate: u32,
        channels: u16,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = rt::thread::spawn("record-sound", move || {
            let mut wav = WavWriter::new(file, sample_rate, channels)?;
            drain(samples, &mut wav, &stopped)?;
            wav.settle()?;
            Ok(wav.data_bytes / u64::from(channels) / 4)
        })?;
        Ok(Self { path, stop, thread })
    }

    /// Takes what the ring still holds, closes the file; gives the sample frames written.
    pub(super) fn finish(self) -> (PathBuf, io::Result<u64>) {
        self.stop.store(true, Ordering::Release);
        let written = self
            .thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread of the sound panicked")));
        (self.path, written)
    }
}

fn drain(
    mut samples: rtrb::Consumer<f32>,
    wav: &mut WavWriter,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut settled = Instant::now();
    loop {
        // Read before emptying, so that what came before the stop is kept.
        let last = stop.load(Ordering::Acquire) || samples.is_abandoned();
        let ready = samples.slots();
        if let Ok(chunk) = samples.read_chunk(ready) {
            let (first, second) = chunk.as_slices();
            wav.write(first)?;
            wav.write(second)?;
            chunk.commit_all();
        }
        if last {
            return Ok(());
        }
        if settled.elapsed() > Duration::from_secs(1) {
            wav.settle()?;
            settled = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES, WavWriter};

    #[test]
    fn another_reader_finds_the_same_samples() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let mut wav = WavWriter::new(std::fs::File::create(&path).unwrap(), 44_100, 2).unwrap();
        let samples: Vec<f32> = (0..1000).map(|n| (n as f32 * 0.1).sin()).collect();
        wav.write(&samples[..600]).unwrap();
        wav.settle().unwrap();
        assert_eq!(
            hound::WavReader::open(&path).unwrap().duration(),
            300,
            "what is settled is readable while recording"
        );
        wav.write(&samples[600..]).unwrap();
        wav.settle().unwrap();
        let mut reader = hound::WavReader::open(&path).unwrap();
        assert_eq!(reader.spec().sample_rate, 44_100);
        let read: Vec<f32> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(read, samples);
    }

    #[test]
    fn past_four_gigabytes_the_head_is_rf64() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        let mut wav = WavWriter::new(std::fs::File::create(&path).unwrap(), 48_000, 2).unwrap();
        wav.data_bytes = 5 << 30;
        wav.settle().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, HEAD_BYTES);
        assert_eq!(&bytes[..16], b"RF64\xff\xff\xff\xffWAVEds64");
        assert_eq!(bytes[28..36], (5_u64 << 30).to_le_bytes());
        assert_eq!(bytes[36..44], (5_u64 << 27).to_le_bytes());
    }
}
