#!/usr/bin/env bash
# What `make test` and CI run. One feature set throughout, so that nothing is built twice.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

FEATURES=jack,metric-learning,link

step "set-up" scripts/setup.sh test
step "format" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --features "$FEATURES" -- -D warnings
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --features "$FEATURES" --quiet
step "build" cargo test --workspace --features "$FEATURES" --no-run
step "tests" cargo test --workspace --features "$FEATURES"
times
say "all passed"
