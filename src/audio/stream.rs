//! Streams of the sound system. Their callbacks copy samples and count; they never allocate, lock,
//! log or block.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Device, ErrorKind, FromSample, HostId, Sample, SampleFormat, SizedSample, Stream,
    StreamConfig, SupportedStreamConfig,
};

use super::channels::Channels;
use super::decode::check_format;
use super::device;
use super::error::AudioError;
use super::player::Player;

/// Length of a device buffer in seconds: 256 frames at 48 kHz.
const BUFFER_SECS: f64 = 256.0 / 48_000.0;

/// What a ring holds, in seconds: the longest that the analysis thread may be held up.
const RING_SECS: usize = 1;

/// How long the sound system may take to make a stream. Not every one keeps to it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);

/// What callbacks tell about a stream.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Calls of the data callback.
    pub(super) beats: AtomicU64,
    /// Samples that found no room.
    pub(super) overrun_samples: AtomicU64,
    /// Frames of the longest buffer.
    pub(super) buffer_frames: AtomicU64,
    /// How old a buffer's newest frame is when it comes, in microseconds: an average.
    pub(super) device_micros: AtomicU64,
    /// The stream is of no more use.
    pub(super) failed: AtomicBool,
}

impl Health {
    /// Counts an input's buffer. `since_first` is the age of its first frame.
    fn note_buffer(&self, frames: usize, sample_rate: u32, since_first: Duration) {
        self.beats.fetch_add(1, Relaxed);
        self.buffer_frames.fetch_max(frames as u64, Relaxed);
        let length_micros = frames as u64 * 1_000_000 / u64::from(sample_rate.max(1));
        let newest = (since_first.as_micros() as u64).saturating_sub(length_micros);
        let before = self.device_micros.load(Relaxed);
        let mean = if before == 0 {
            newest
        } else {
            before - before / 32 + newest / 32
        };
        self.device_micros.store(mean, Relaxed);
    }

    /// What an error callback does: some systems call it a million times in a second.
    fn note(&self, kind: ErrorKind) {
        let passing = matches!(
            kind,
            ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged
        );
        if !passing {
            self.failed.store(true, Relaxed);
        }
    }
}

/// A running stream and what it is.
pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) health: Arc<Health>,
    /// Device and sound system, for people.
    pub(super) name: String,
    /// The sound system.
    pub(super) host: HostId,
}

/// An input with the ring that it fills: interleaved, every sample counts, overruns are counted.
pub(super) struct Input {
    pub(super) opened: Opened,
    pub(super) samples: rtrb::Consumer<f32>,
    pub(super) sample_rate: u32,
    /// Channels in the ring.
    pub(super) channels: usize,
    /// Channels of the device.
    pub(super) device_channels: usize,
}

fn told(what: &str) -> impl Fn(cpal::Error) -> AudioError + '_ {
    move |e| AudioError::Device {
        what: what.to_owned(),
        reason: e.to_string(),
    }
}

fn unsupported(what: &str, format: SampleFormat) -> AudioError {
    AudioError::Device {
        what: what.to_owned(),
        reason: format!("its sample format {format} is not known here"),
    }
}

/// Short buffers where the device can: defaults of sound servers are long.
fn config_of(supported: &SupportedStreamConfig) -> StreamConfig {
    let frames = (f64::from(supported.sample_rate()) * BUFFER_SECS).round() as u32;
    let mut config = supported.config();
    if let cpal::SupportedBufferSize::Range { min, max } = supported.buffer_size() {
        config.buffer_size = BufferSize::Fixed(frames.clamp(*min, *max));
    }
    config
}

/// Tries a short buffer, then the device's own choice.
fn with_either_buffer(
    config: StreamConfig,
    mut build: impl FnMut(StreamConfig) -> Result<Stream, cpal::Error>,
) -> Result<Stream, cpal::Error> {
    match build(config) {
        Err(e) if e.kind() == ErrorKind::UnsupportedConfig => build(StreamConfig {
            buffer_size: BufferSize::Default,
            ..config
        }),
        result => result,
    }
}

/// What a stream that comes back shall be like: sound system, rate in Hz, channels.
pub(super) type Keep = (HostId, u32, usize);

/// Opens and starts an input, of which `only` some channels are heard. `keep` is what it was before,
/// when it comes back.
pub(super) fn open_input(
    asked: Option<&str>,
    only: Option<&Channels>,
    keep: Option<Keep>,
) -> Result<Input, AudioError> {
    let (host, device) = device::find_input(asked, keep.map(|k| k.0))?;
    let name = format!("{} ({})", device::name_of(&device), host.id().name());
    let usual = device::input_config(&device).map_err(told(&name))?;
    let has = usize::from(usual.channels());
    let supported = match only {
        None => usual,
        Some(only) => device::with_channels(&device, usual, only.needed()).ok_or_else(|| {
            AudioError::NoSuchChannel {
                what: name.clone(),
                channels: has,
                asked: only.to_string(),
            }
        })?,
    };
    let mut config = config_of(&supported);
    if let Some((_, sample_rate, channels)) = keep {
        config.sample_rate = sample_rate;
        config.channels = channels as u16;
    }
    let (sample_rate, device_channels) = (config.sample_rate, usize::from(config.channels));
    check_format(&name, sample_rate, device_channels)?;
    let picked: Option<Arc<[usize]>> = only.map(|only| only.as_slice().into());
    let channels = picked.as_ref().map_or(device_channels, |p| p.len());
    let health = Arc::new(Health::default());
    let ring_len = RING_SECS * sample_rate as usize * channels;
    let format = supported.sample_format();
    let mut samples = None;
    let stream = with_either_buffer(config, |config| {
        let (producer, consumer) = rtrb::RingBuffer::new(ring_len);
        samples = Some(consumer);
        let sink = Sink {
            ring: producer,
            picked: picked.clone(),
            channels: device_channels,
            sample_rate,
            health: Arc::clone(&health),
        };
        match format {
            SampleFormat::I8 => build_input::<i8>(&device, config, sink),
            SampleFormat::I16 => build_input::<i16>(&device, config, sink),
            SampleFormat::I24 => build_input::<cpal::I24>(&device, config, sink),
            SampleFormat::I32 => build_input::<i32>(&device, config, sink),
            SampleFormat::U8 => build_input::<u8>(&device, config, sink),
            SampleFormat::U16 => build_input::<u16>(&device, config, sink),
            SampleFormat::U32 => build_input::<u32>(&device, config, sink),
            SampleFormat::F64 => build_input::<f64>(&device, config, sink),
            _ => build_input::<f32>(&device, config, sink),
        }
    })
    .map_err(told(&name))?;
    stream.play().map_err(told(&name))?;
    let samples = samples.ok_or_else(|| unsupported(&name, format))?;
    Ok(Input {
        opened: Opened {
            stream,
            health,
            name,
            host: host.id(),
        },
        samples,
        sample_rate,
        channels,
        device_channels,
    })
}

/// What an input's callback owns.
struct Sink {
    ring: rtrb::Producer<f32>,
    /// Channels that are heard; all without.
    picked: Option<Arc<[usize]>>,
    /// Channels of the device.
    channels: usize,
    sample_rate: u32,
    health: Arc<Health>,
}

impl Sink {
    /// Takes a buffer in: whole frames, all or nothing, so that channels stay in their places.
    fn take<T: SizedSample>(&mut self, data: &[T], since_first: Duration)
    where
        f32: FromSample<T>,
    {
        let frames = data.len() / self.channels.max(1);
        self.health
            .note_buffer(frames, self.sample_rate, since_first);
        let data = &data[..frames * self.channels];
        let wanted = match &self.picked {
            None => data.len(),
            Some(picked) => frames * picked.len(),
        };
        let Ok(chunk) = self.ring.write_chunk_uninit(wanted) else {
            let lost = wanted as u64;
            self.health.overrun_samples.fetch_add(lost, Relaxed);
            return;
        };
        match &self.picked {
            None => chunk.fill_from_iter(data.iter().map(|x| f32::from_sample(*x))),
            Some(picked) => {
                chunk.fill_from_iter(data.chunks_exact(self.channels).flat_map(|frame| {
                    picked
                        .iter()
                        .map(|channel| f32::from_sample(frame[*channel]))
                }))
            }
        };
    }
}

fn build_input<T: SizedSample>(
    device: &Device,
    config: StreamConfig,
    mut sink: Sink,
) -> Result<Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let errors = Arc::clone(&sink.health);
    device.build_input_stream::<T, _, _>(
        config,
        move |data, info| {
            let times = info.timestamp();
            let since_first = times.callback.saturating_duration_since(times.capture);
            sink.take(data, since_first);
        },
        move |e| errors.note(e.kind()),
        Some(OPEN_TIMEOUT),
    )
}

/// Opens and starts the default output, which plays from `player`. `keep` is the sound system of
/// before, when it comes back.
pub(super) fn open_output(
    player: &Arc<Player>,
    keep: Option<HostId>,
) -> Result<Opened, AudioError> {
    let host = device::host(keep)?;
    let host_name = host.id().name();
    let device = host
        .default_output_device()
        .ok_or_else(|| AudioError::Device {
            what: "no audio output device was found".to_owned(),
            reason: host_name.to_owned(),
        })?;
    let name = format!("{} ({host_name})", device::name_of(&device));
    let usual = device.default_output_config().map_err(told(&name))?;
    let supported = at_rate(&device, &usual, player.sample_rate()).unwrap_or(usual);
    let config = config_of(&supported);
    let health = Arc::new(Health::default());
    let format = supported.sample_format();
    let stream = with_either_buffer(config, |config| {
        let (player, health) = (Arc::clone(player), Arc::clone(&health));
        match format {
            SampleFormat::I8 => build_output::<i8>(&device, config, player, health),
            SampleFormat::I16 => build_output::<i16>(&device, config, player, health),
            SampleFormat::I24 => build_output::<cpal::I24>(&device, config, player, health),
            SampleFormat::I32 => build_output::<i32>(&device, config, player, health),
            SampleFormat::U8 => build_output::<u8>(&device, config, player, health),
            SampleFormat::U16 => build_output::<u16>(&device, config, player, health),
            SampleFormat::U32 => build_output::<u32>(&device, config, player, health),
            SampleFormat::F64 => build_output::<f64>(&device, config, player, health),
            _ => build_output::<f32>(&device, config, player, health),
        }
    })
    .map_err(told(&name))?;
    stream.play().map_err(told(&name))?;
    Ok(Opened {
        stream,
        health,
        name,
        host: host.id(),
    })
}

/// The device's usual format at another rate, if it can.
fn at_rate(
    device: &Device,
    usual: &SupportedStreamConfig,
    sample_rate: u32,
) -> Option<SupportedStreamConfig> {
    device
        .supported_output_configs()
        .ok()?
        .filter(|range| {
            range.channels() == usual.channels() && range.sample_format() == usual.sample_format()
        })
        .find_map(|range| range.try_with_sample_rate(sample_rate))
}

fn build_output<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: StreamConfig,
    player: Arc<Player>,
    health: Arc<Health>,
) -> Result<Stream, cpal::Error> {
    let errors = Arc::clone(&health);
    let channels = usize::from(config.channels);
    let mut voice = player.voice(config.sample_rate);
    device.build_output_stream::<T, _, _>(
        config,
        move |data, info| {
            health.beats.fetch_add(1, Relaxed);
            let times = info.timestamp();
            let delay = times.playback.saturating_duration_since(times.callback);
            voice.begin(&player, delay);
            for frame in data.chunks_exact_mut(channels) {
                for (channel, out) in frame.iter_mut().enumerate() {
                    *out = voice.sample(&player, channel, channels).to_sample();
                }
                voice.advance();
            }
            voice.end(&player);
        },
        move |e| errors.note(e.kind()),
        Some(OPEN_TIMEOUT),
    )
}

#[cfg(test)]
mod tests {
    use super::{Health, Sink};
    use std::sync::Arc;
    use std::sync::atomic::Ordering::Relaxed;
    use std::time::Duration;

    fn sink(picked: Option<&[usize]>, room: usize) -> (Sink, rtrb::Consumer<f32>) {
        let (ring, samples) = rtrb::RingBuffer::new(room);
        let sink = Sink {
            ring,
            picked: picked.map(Into::into),
            channels: 4,
            sample_rate: 48_000,
            health: Arc::new(Health::default()),
        };
        (sink, samples)
    }

    fn all(samples: &mut rtrb::Consumer<f32>) -> Vec<f32> {
        std::iter::from_fn(|| samples.pop().ok()).collect()
    }

    #[test]
    fn chosen_channels_arrive_and_others_do_not() {
        let frames: [i16; 8] = [0, 8192, 16_384, -16_384, 0, -8192, 24_576, -32_768];
        let (mut whole, mut samples) = sink(None, 64);
        let (mut some, mut picked) = sink(Some(&[1, 3]), 64);
        crate::rt::no_alloc::without_alloc(|| {
            whole.take(&frames, Duration::ZERO);
            some.take(&frames, Duration::ZERO);
        });
        assert_eq!(
            all(&mut samples),
            [0.0, 0.25, 0.5, -0.5, 0.0, -0.25, 0.75, -1.0]
        );
        assert_eq!(all(&mut picked), [0.25, -0.5, -0.25, -1.0]);
    }

    #[test]
    fn what_finds_no_room_is_counted_whole() {
        let (mut some, mut picked) = sink(Some(&[0]), 3);
        some.take(&[1.0f32; 8], Duration::from_millis(7));
        some.take(&[1.0f32; 8], Duration::from_millis(7));
        assert_eq!(all(&mut picked).len(), 2);
        assert_eq!(some.health.overrun_samples.load(Relaxed), 2);
        assert_eq!(some.health.buffer_frames.load(Relaxed), 2);
        // Seven milliseconds less the two frames that came after the first.
        assert_eq!(some.health.device_micros.load(Relaxed), 6_959);
    }
}
