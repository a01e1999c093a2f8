//! How tests forbid allocation where real-time code runs. The integration tests include this
//! file, too: a global allocator belongs to one binary.

use assert_no_alloc::{AllocDisabler, assert_no_alloc, reset_violation_count, violation_count};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// Runs `work`. Panics after it if it allocated or freed on this thread.
///
/// The crate's other mode, aborting at the first allocation, can hang in the standard library's
/// own message about it.
pub(crate) fn without_alloc<T>(work: impl FnOnce() -> T) -> T {
    reset_violation_count();
    let result = assert_no_alloc(work);
    let count = violation_count();
    assert_eq!(count, 0, "{count} allocations or frees in real-time code");
    result
}

#[test]
#[should_panic(expected = "in real-time code")]
fn an_allocation_is_found() {
    without_alloc(|| drop(std::hint::black_box(Box::new(1))));
}
