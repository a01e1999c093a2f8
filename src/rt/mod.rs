//! Real-time plumbing: named threads and newest-value slots.

pub mod latest;
pub mod thread;
