//! All integration tests in one binary: one link, one start.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a panic is how a test fails, skipped tests say so, a child process ends itself"
)]

mod analyze;
mod architecture;
mod audio;
mod audio_live;
#[cfg(feature = "jack")]
mod beat;
mod bench_command;
mod bend;
mod bend_opencv;
mod cluster;
mod devices;
mod docs;
mod import;
#[cfg(feature = "jack")]
mod knobs;
mod link;
mod listening;
mod listening_midi;
#[cfg(feature = "jack")]
mod midi;
mod no_alloc;
#[cfg(feature = "jack")]
mod perform;
mod record;
mod reload;
mod render;
mod runs;
mod scene;
mod shader_validation;
mod sheets;
mod show;
mod still;
mod support;
mod uniform_layout;
