#!/bin/sh
# Fuzzes the checkpoint readers for so many seconds, or minimises the kept corpus (--minimise).
set -eu
cd "$(dirname "$0")"
build=$PWD/../build/fuzz
mkdir -p "$build/corpus" "$build/artifacts"
# What cargo-fuzz passes too: coverage counters for libFuzzer.
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
 -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1" \
    cargo build --release --target-dir "$build/target" --target "$(rustc -vV | sed -n 's/^host: //p')"
fuzzer=$(ls "$build"/target/*/release/checkpoint)
if [ "${1:-}" = --minimise ]; then
    rm -rf "$build/small" && mkdir "$build/small"
    "$fuzzer" -merge=1 -max_len=16384 "$build/small" corpus "$build/corpus"
    rm -f corpus/* && cp "$build/small"/* corpus/
else
    nice -n 10 "$fuzzer" -max_total_time="${1:-600}" -max_len=32768 -timeout=5 -rss_limit_mb=1024 \
        -malloc_limit_mb=256 -dict=checkpoint.dict -artifact_prefix="$build/artifacts/" \
        -print_final_stats=1 "$build/corpus" corpus
fi
