//! All integration tests in one binary: one link, one start.

mod architecture;
mod bend;
mod bend_opencv;
#[cfg(feature = "jack")]
mod midi;
mod record;
mod shader_validation;
mod support;
mod uniform_layout;
