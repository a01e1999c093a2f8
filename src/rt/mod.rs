//! Real-time plumbing: named threads and newest-value slots.

pub mod latest;
#[cfg(test)]
pub(crate) mod no_alloc;
pub mod thread;
