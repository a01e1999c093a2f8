//! What several tests need.

#[cfg(feature = "jack")]
pub(crate) mod jack;
#[path = "../../src/rt/no_alloc.rs"]
pub(crate) mod no_alloc;
pub(crate) mod program;
pub(crate) mod pulse;
pub(crate) mod tools;
#[cfg(unix)]
pub(crate) mod xvfb;
