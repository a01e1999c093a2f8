//! Video files: frames and sound to ffmpeg.
//!
//! [`Recorder`] owns a thread that feeds an ffmpeg process. While recording, the picture goes to
//! `NAME.part.ts` beside the target (and live sound to `NAME.part.wav`); [`Recorder::finish`] joins
//! them without encoding the picture again and only then takes the target's name. Whatever ends in
//! between, a power cut included, the parts play up to that moment.
//!
//! Two kinds of recording, [`Pace::EveryFrame`] for offline rendering and [`Pace::Live`].

mod error;
mod ffmpeg;
mod fit;
mod pacer;
mod sound;
mod target;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};

pub use error::{Kept, Log, RecordError};
pub use fit::Scaler;

use crate::frame::SharedFrame;
use crate::rt;
use ffmpeg::{Ffmpeg, file_argument};
use pacer::Pacer;
use sound::SoundTap;
use target::Target;

/// Memory that frames waiting for the encoder may take.
const QUEUE_BYTES: usize = 64 << 20;
/// A live encoder that takes no frame for this long while we wait for its end is given up.
const STALL_LIMIT: Duration = Duration::from_secs(15);
/// How often a live recording is forced to the disk.
const SYNC_EVERY: Duration = Duration::from_secs(10);

/// When frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Frame n is frame n of the video; times are ignored, none is lost. For [`Recorder::push`].
    EveryFrame,
    /// A frame stands in the video at its [`at_micros`](crate::frame::Frame::at_micros): frames
    /// are repeated and left out so that the rate is constant and the picture stays within 0.75
    /// of a frame of the sound. The clock must not run backwards. For [`Recorder::try_push`].
    Live {
        /// The sound clock's time at the start of the video and of its sound.
        start_micros: u64,
    },
}

/// Where the sound comes from.
#[derive(Debug)]
pub enum AudioTrack {
    /// A silent video.
    None,
    /// A sound file from its start, cut at the end of the picture.
    File(PathBuf),
    /// Live samples. Every sample counts: the writer of the ring counts what it could not place.
    /// A ring of two seconds is ample, for a thread does nothing but empty it.
    Live {
        /// Interleaved, 1 is full scale.
        samples: rtrb::Consumer<f32>,
        /// Hz.
        sample_rate: u32,
        /// Interleaved channels.
        channels: u16,
    },
}

/// What to record.
#[derive(Debug)]
pub struct RecordSettings {
    /// The finished video: `.mp4`, `.mov` or `.mkv`. An existing one is replaced at the end.
    pub path: PathBuf,
    /// Columns of the frames that will come.
    pub width: u32,
    /// Rows of the frames that will come.
    pub height: u32,
    /// The video's size where it differs, both even: the picture keeps its shape, with black bars.
    pub size: Option<(u32, u32)>,
    /// How the picture is enlarged to `size`.
    pub scaler: Scaler,
    /// Frames per second, 1 to 240.
    pub fps: u32,
    /// When frames are written.
    pub pace: Pace,
    /// The sound.
    pub audio: AudioTrack,
    /// The encoder; without, `ffmpeg` from the PATH.
    pub ffmpeg: Option<PathBuf>,
}

impl RecordSettings {
    /// Offline: every frame, best quality, no sound yet.
    pub fn offline(path: impl Into<PathBuf>, width: u32, height: u32, fps: u32) -> Self {
        Self {
            path: path.into(),
            width,
            height,
            size: None,
            scaler: Scaler::default(),
            fps,
            pace: Pace::EveryFrame,
            audio: AudioTrack::None,
            ffmpeg: None,
        }
    }

    /// Live from the sound clock's `start_micros`: never waits, light on the processor.
    pub fn live(
        path: impl Into<PathBuf>,
        width: u32,
        height: u32,
        fps: u32,
        start_micros: u64,
    ) -> Self {
        Self {
            pace: Pace::Live { start_micros },
            ..Self::offline(path, width, height, fps)
        }
    }

    fn check(&self) -> Result<(), RecordError> {
        let setting = |what, value: String, want| Err(RecordError::Setting { what, value, want });
        let size = |(w, h): (u32, u32)| format!("{w}x{h}");
        let possible = |n: u32| (1..=16_384).contains(&n);
        if !possible(self.width) || !possible(self.height) {
            let value = size((self.width, self.height));
            return setting("frame size", value, "each side must be 1 to 16384");
        }
        if let Some((w, h)) = self.size
            && !(possible(w) && possible(h) && w % 2 == 0 && h % 2 == 0)
        {
            let want = "each side must be even and 2 to 16384, as in 1920x1080";
            return setting("size", size((w, h)), want);
        }
        if !(1..=240).contains(&self.fps) {
            return setting("fps", self.fps.to_string(), "it must be 1 to 240");
        }
        match &self.audio {
            AudioTrack::None => Ok(()),
            AudioTrack::File(path) => match File::open(path) {
                Ok(_) => Ok(()),
                Err(source) => Err(RecordError::Audio {
                    path: path.clone(),
                    source,
                }),
            },
            AudioTrack::Live {
                sample_rate,
                channels,
                ..
            } => {
                if (8_000..=384_000).contains(sample_rate) && (1..=64).contains(channels) {
                    Ok(())
                } else {
                    let value = format!("of {channels} channels at {sample_rate} Hz");
                    setting("sound", value, "8 to 384 kHz and 1 to 64 channels are")
                }
            }
        }
    }

    /// ffmpeg's arguments: raw pictures in, the part for the picture out.
    fn arguments(&self, target: &Target) -> Vec<OsString> {
        let fit = fit::fit(self.width, self.height, self.size, self.scaler);
        let key_frames = (self.fps * 2).to_string();
        let mut arguments: Vec<OsString> = [
            "-f",
            "rawvideo",
            "-pixel_format",
            "rgba",
            "-video_size",
            &format!("{}x{}", self.width, self.height),
            "-framerate",
            &self.fps.to_string(),
            "-i",
            "pipe:0",
            "-an",
            "-vf",
            &fit.filter(self.scaler),
            "-c:v",
            "libx264",
            "-g",
            &key_frames,
        ]
        .map(OsString::from)
        .into();
        let quality: &[&str] = match self.pace {
            // Transparent for most eyes; a gradient-heavy picture bands above 18.
            Pace::EveryFrame => &["-preset", "medium", "-crf", "16"],
            // The processor belongs to the generator: at 1024² this takes 16 ms of a core for a
            // frame, `superfast` 42 ms (for a file that is no smaller).
            Pace::Live { .. } => &["-preset", "ultrafast", "-tune", "zerolatency", "-crf", "16"],
        };
        let tail = [
            "-color_primaries",
            "bt709",
            "-color_trc",
            "bt709",
            "-colorspace",
            "bt709",
            "-color_range",
            "tv",
            "-f",
            "mpegts",
            "-muxdelay",
            "0",
            "-muxpreload",
            "0",
            "-flush_packets",
            "1",
        ];
        arguments.extend(quality.iter().chain(&tail).map(OsString::from));
        arguments.push(file_argument(&target.video));
        arguments
    }
}

/// A video that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The video.
    pub path: PathBuf,
    /// Frames in it.
    pub frames: u64,
    /// Its length.
    pub duration_secs: f64,
    /// Live: frames that were not written, because the encoder was behind or a newer one came.
    pub skipped: u64,
    /// Live: places filled by repeating a frame.
    pub repeated: u64,
    /// Whether it has sound.
    pub sound: bool,
    /// What was lost on the way, if anything, for the performer.
    pub warning: Option<String>,
}

/// A running recording.
///
/// Frames go through a bounded queue (at most 64 MiB of them, 4 to 32) to the thread `record`.
/// Dropping the recorder without [`finish`](Self::finish) closes the parts and leaves them.
#[derive(Debug)]
pub struct Recorder {
    width: u32,
    height: u32,
    fps: u32,
    live: bool,
    ffmpeg: Arc<Ffmpeg>,
    program: PathBuf,
    target: Target,
    queue: Option<Sender<SharedFrame>>,
    thread: Option<JoinHandle<Result<Counts, RecordError>>>,
    written: Arc<AtomicU64>,
    skipped: u64,
    sound_file: Option<PathBuf>,
    sound_tap: Option<SoundTap>,
}

/// What the thread did.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    frames: u64,
    repeated: u64,
    skipped: u64,
}

impl Recorder {
    /// Starts ffmpeg and the threads.
    ///
    /// # Errors
    /// No ffmpeg, a setting out of range, a sound file that does not open, a target that cannot be
    /// written. What ffmpeg itself refuses (a missing libx264, say) comes from a later call.
    pub fn start(settings: RecordSettings) -> Result<Self, RecordError> {
        settings.check()?;
        let target = Target::reserve(&settings.path)?;
        Self::start_at(settings, &target).map_err(|error| with_kept(error, &target))
    }

    fn start_at(settings: RecordSettings, target: &Target) -> Result<Self, RecordError> {
        let arguments = settings.arguments(target);
        let program = ffmpeg::program(settings.ffmpeg);
        let (ffmpeg, stdin) = Ffmpeg::start(&program, &arguments, true)?;
        let stdin = stdin.ok_or(RecordError::Ended)?;
        let ffmpeg = Arc::new(ffmpeg);

        let (mut sound_file, mut sound_tap) = (None, None);
        match settings.audio {
            AudioTrack::None => {}
            AudioTrack::File(path) => sound_file = Some(path),
            AudioTrack::Live {
                samples,
                sample_rate,
                channels,
            } => {
                let (path, file) = target.create_sound()?;
                let tap = SoundTap::start(path, file, samples, sample_rate, channels)
                    .map_err(RecordError::Thread)?;
                sound_tap = Some(tap);
            }
        }

        let frame_bytes = settings.width as usize * settings.height as usize * 4;
        let (queue, frames) = crossbeam_channel::bounded((QUEUE_BYTES / frame_bytes).clamp(4, 32));
        let written = Arc::new(AtomicU64::new(0));
        let feeder = Feeder {
            ffmpeg: Arc::clone(&ffmpeg),
            stdin,
            video: target.video.clone(),
            pacer: match settings.pace {
                Pace::EveryFrame => None,
                Pace::Live { start_micros } => Some(Pacer::new(settings.fps, start_micros)),
            },
            written: Arc::clone(&written),
            counts: Counts::default(),
        };
        let thread = rt::thread::spawn("record", move || feeder.run(&frames))
            .map_err(RecordError::Thread)?;
        Ok(Self {
            width: settings.width,
            height: settings.height,
            fps: settings.fps,
            live: matches!(settings.pace, Pace::Live { .. }),
            ffmpeg,
            program,
            target: target.clone(),
            queue: Some(queue),
            thread: Some(thread),
            written,
            skipped: 0,
            sound_file,
            sound_tap,
        })
    }

    /// Hands over a frame and waits while the queue is full.
    ///
    /// # Errors
    /// When the encoder has failed: the first call after it says why, later ones
    /// [`RecordError::Ended`]. A frame of another size is refused; the recording goes on.
    pub fn push(&mut self, frame: SharedFrame) -> Result<(), RecordError> {
        self.check_size(&frame)?;
        let queue = self.queue.as_ref().ok_or(RecordError::Ended)?;
        match queue.send(frame) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.failure()),
        }
    }

    /// Hands over a frame unless the queue is full; false says that it was left out, because the
    /// encoder is behind. Never waits.
    ///
    /// # Errors
    /// As [`push`](Self::push). The performance goes on without a recording.
    pub fn try_push(&mut self, frame: SharedFrame) -> Result<bool, RecordError> {
        self.check_size(&frame)?;
        let queue = self.queue.as_ref().ok_or(RecordError::Ended)?;
        match queue.try_send(frame) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => {
                self.skipped += 1;
                Ok(false)
            }
            Err(TrySendError::Disconnected(_)) => Err(self.failure()),
        }
    }

    /// Frames given to the encoder so far, repeated ones included.
    pub fn frames_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Frames that the full queue refused so far.
    pub fn frames_skipped(&self) -> u64 {
        self.skipped
    }

    /// Ends the recording: encodes what waits, joins picture and sound, gives the video its name.
    /// Takes from a moment to, after hours of sound, minutes.
    ///
    /// # Errors
    /// When ffmpeg fails or the target cannot be written; the message names the parts that stay.
    pub fn finish(mut self) -> Result<Recording, RecordError> {
        if self.thread.is_none() {
            return Err(RecordError::Ended);
        }
        self.queue = None;
        self.watch();
        let counts = match self.join() {
            Ok(counts) => counts,
            Err(error) => {
                self.close_sound();
                return Err(with_kept(error, &self.target));
            }
        };
        let warning = self.close_sound();
        if counts.frames == 0 {
            self.target.discard();
            return Err(RecordError::NoFrames {
                path: self.target.path.clone(),
            });
        }
        let duration_secs = counts.frames as f64 / f64::from(self.fps);
        self.mux(duration_secs)
            .map_err(|error| with_kept(error, &self.target))?;
        self.target.complete()?;
        Ok(Recording {
            path: self.target.path.clone(),
            frames: counts.frames,
            duration_secs,
            skipped: self.skipped + counts.skipped,
            repeated: counts.repeated,
            sound: self.sound_file.is_some(),
            warning,
        })
    }

    /// Waits for the thread. A live encoder that stopped taking frames is ended, so that closing
    /// the show does not hang.
    fn watch(&self) {
        let Some(thread) = &self.thread else { return };
        let (mut seen, mut since) = (self.frames_written(), Instant::now());
        while !thread.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
            let now = self.frames_written();
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if self.live && since.elapsed() > STALL_LIMIT {
                log::warn!("ffmpeg has taken no frame for {STALL_LIMIT:?} and is ended");
                self.ffmpeg.kill();
                since = Instant::now();
            }
        }
    }

    fn check_size(&self, frame: &SharedFrame) -> Result<(), RecordError> {
        let whole = frame.width as usize * frame.height as usize * 4;
        if (frame.width, frame.height) == (self.width, self.height) && frame.rgba.len() == whole {
            return Ok(());
        }
        Err(RecordError::FrameSize {
            got_width: frame.width,
            got_height: frame.height,
            width: self.width,
            height: self.height,
        })
    }

    /// Why the thread hung up. It has ended but for its return, so that this does not wait.
    fn failure(&mut self) -> RecordError {
        self.queue = None;
        let error = self.join().err().unwrap_or(RecordError::Ended);
        self.close_sound();
        with_kept(error, &self.target)
    }

    fn join(&mut self) -> Result<Counts, RecordError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(RecordError::Thread(std::io::Error::other(
                "it ended by a panic",
            ))),
            None => Err(RecordError::Ended),
        }
    }

    /// Closes the live sound; a message if it was cut short.
    fn close_sound(&mut self) -> Option<String> {
        let (path, written) = self.sound_tap.take()?.finish();
        match written {
            // An input that gave nothing: a silent video, not a broken one.
            Ok(0) => Some("no sound arrived while recording".to_owned()),
            Ok(_) => {
                self.sound_file = Some(path);
                None
            }
            Err(error) => {
                let text = format!("the sound is cut short: {}: {error}", path.display());
                self.sound_file = Some(path);
                Some(text)
            }
        }
    }

    /// Joins picture and sound into the part that becomes the target.
    fn mux(&self, duration_secs: f64) -> Result<(), RecordError> {
        let mut arguments: Vec<OsString> = vec!["-i".into(), file_argument(&self.target.video)];
        if let Some(sound) = &self.sound_file {
            // A sound file that is really a playlist must not make ffmpeg call out.
            arguments.extend(["-protocol_whitelist", "file", "-i"].map(OsString::from));
            arguments.push(file_argument(sound));
            let sound = [
                "-map", "0:v:0", "-map", "1:a:0", "-c:a", "aac", "-b:a", "256k",
            ];
            arguments.extend(sound.map(OsString::from));
            arguments.extend(["-t".into(), format!("{duration_secs:.6}").into()]);
        }
        arguments.extend(["-c:v", "copy"].map(OsString::from));
        if self.target.is_mp4() {
            arguments.extend(["-movflags", "+faststart"].map(OsString::from));
        }
        arguments.push(file_argument(&self.target.joined()));
        let (ffmpeg, _) = Ffmpeg::start(&self.program, &arguments, false)?;
        ffmpeg.finish("joining picture and sound")
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if self.thread.is_none() {
            return;
        }
        self.queue = None;
        self.watch();
        let ended = self.join();
        self.close_sound();
        let kept = self.target.kept();
        log::warn!(
            "{}: not finished{}{kept}",
            self.target.path.display(),
            ended.err().map(|e| format!(" ({e})")).unwrap_or_default(),
        );
    }
}

fn with_kept(mut error: RecordError, target: &Target) -> RecordError {
    let found = target.kept();
    if let RecordError::Encoder { kept, .. } = &mut error {
        *kept = found;
    }
    error
}

/// The thread `record`.
struct Feeder {
    ffmpeg: Arc<Ffmpeg>,
    stdin: ChildStdin,
    video: PathBuf,
    pacer: Option<Pacer>,
    written: Arc<AtomicU64>,
    counts: Counts,
}

impl Feeder {
    fn run(mut self, frames: &Receiver<SharedFrame>) -> Result<Counts, RecordError> {
        const STAGE: &str = "encoding";
        let mut last: Option<SharedFrame> = None;
        let mut synced = Instant::now();
        for frame in frames {
            if self.take(frame, &mut last).is_err() {
                return Err(self.ffmpeg.broken(STAGE));
            }
            if self.pacer.is_some() && synced.elapsed() > SYNC_EVERY {
                if let Err(error) = File::open(&self.video).and_then(|file| file.sync_data()) {
                    log::debug!("{}: cannot be synced: {error}", self.video.display());
                }
                synced = Instant::now();
            }
        }
        // The end of its input is what makes ffmpeg finish.
        drop(self.stdin);
        self.ffmpeg.finish(STAGE)?;
        Ok(self.counts)
    }

    fn take(
        &mut self,
        frame: SharedFrame,
        last: &mut Option<SharedFrame>,
    ) -> Result<(), std::io::Error> {
        if let Some(pacer) = &mut self.pacer {
            let placement = pacer.place(frame.at_micros);
            if !placement.write {
                self.counts.skipped += 1;
                return Ok(());
            }
            for _ in 0..placement.repeats {
                self.write(last.as_ref().unwrap_or(&frame))?;
                self.counts.repeated += 1;
            }
        }
        self.write(&frame)?;
        *last = Some(frame);
        Ok(())
    }

    fn write(&mut self, frame: &SharedFrame) -> Result<(), std::io::Error> {
        self.stdin.write_all(&frame.rgba)?;
        self.counts.frames += 1;
        self.written.store(self.counts.frames, Ordering::Relaxed);
        Ok(())
    }
}
