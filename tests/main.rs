//! All integration tests in one binary: one link, one start.

mod architecture;
mod audio;
mod audio_live;
mod support;

/// Lets a test forbid allocation; elsewhere it only counts a depth.
#[global_allocator]
static ALLOCATOR: assert_no_alloc::AllocDisabler = assert_no_alloc::AllocDisabler;
