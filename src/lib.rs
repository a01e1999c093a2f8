//! **bendwave** plays a generative network to music.
//!
//! A StyleGAN2 generator, cut at each layer into ONNX segments, runs through ONNX Runtime.
//! Between the segments sit the deterministic transforms of *network bending* (Broad, Leymarie,
//! Grierson 2021), as WGSL compute shaders with CPU twins. Sound, MIDI and time drive their
//! parameters; frames go to a fullscreen window and to a video file.
//!
//! # Data flow
//!
//! ```text
//! sound ─► audio (analysis thread) ─► signal::Snapshot ─┐  newest value wins
//! MIDI  ─► midi (callback) ─► ring of events ───────────┤  every value counts
//! OSC   ─► osc (its thread) ─► ring of events ──────────┤  every value counts
//! taps, MIDI clock, Link, tracker ─► clock::Clock ─► beat ┤  of the moment the frame will be seen
//!                                                       ▼
//! scene file ─► scene::Scene ─► engine (render thread): evaluate every driven number once,
//!               latent ─► segment 0 ─► bends ─► segment 1 ─► bends ─► … ─► picture
//!                                                       │
//!                         present (newest frame wins) ◄─┴─► record (queue of frames)
//! ```
//!
//! # Module order
//!
//! A module may use those above it in this list, never those below; modules on one line never
//! use each other. `tests/architecture.rs` reads [`MODULE_ORDER`] and checks it.
//!
//! 1. [`rt`]: named threads, newest-value slots. Knows nothing of the project.
//! 2. [`tensor`], [`signal`], [`lines`]: shapes and channel sets; the signals that drive things; where
//!    in a file a key stands.
//! 3. [`param`], [`clock`]: a number that may be driven: constant, signal or modulator, shaped;
//!    which beat counts: tracker, taps, MIDI clock, Ableton Link or a fixed tempo.
//! 4. [`audio`], [`midi`], [`osc`], [`link`], [`gpu`]: the outside world. They know no network.
//! 5. [`mapping`]: controller mapping files (StyleGAN's is always `mapping_network`).
//! 6. [`bend`], [`generator`]: transforms on feature maps; the network. Neither knows sound.
//! 7. [`import`], [`scene`], [`cluster`]: checkpoints to model folders; scene files to checked
//!    scenes; which features of a network belong together.
//! 8. [`engine`]: one frame from one snapshot. Owns no thread, window or file.
//! 9. [`frame`]: finished pictures on their way out.
//! 10. [`present`], [`record`]: window; video encoder.
//! 11. [`app`]: the commands, which wire threads together.
//!
//! # Threads of a performance
//!
//! | thread | work | may block on |
//! |---|---|---|
//! | `main` | winit events, present the newest frame | its surface |
//! | cpal's callback | copy samples to a ring | nothing: no allocation, lock or log |
//! | midir's callback | timestamp, push to a ring | nothing |
//! | `osc` | decode packets, push to a ring | its socket |
//! | `analysis` | hop by hop signals, publish the newest | the ring, one hop |
//! | `render` | one frame after another | ONNX Runtime, GPU fence |
//! | `record` | feed the encoder | encoder, disk |
//! | `loader` | saved files, random features drawn anew, where bends run; drops what is old | anything |
//! | `recluster` | clusters of the picture on show, at a low priority | anything |
//! | `save` | write saved latents | disk |
//!
//! # Invariants
//!
//! - The picture never stops: after an error the last good frame stays and the performer is told.
//! - Nothing read from a file is executed.
//! - Every channel is bounded and says whether the newest value wins or every value counts.

pub mod app;
pub mod audio;
pub mod bend;
pub mod clock;
pub mod cluster;
pub mod engine;
pub mod frame;
pub mod generator;
pub mod gpu;
pub mod import;
pub mod lines;
pub mod link;
pub mod mapping;
pub mod midi;
pub mod osc;
pub mod param;
pub mod present;
pub mod record;
pub mod rt;
pub mod scene;
pub mod signal;
pub mod tensor;

/// The layers of the crate, lowest first. A module may use modules of earlier rows only.
pub const MODULE_ORDER: &[&[&str]] = &[
    &["rt"],
    &["tensor", "signal", "lines"],
    &["param", "clock"],
    &["audio", "midi", "osc", "link", "gpu"],
    &["mapping"],
    &["bend", "generator"],
    &["import", "scene", "cluster"],
    &["engine"],
    &["frame"],
    &["present", "record"],
    &["app"],
];
