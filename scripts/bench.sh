#!/usr/bin/env bash
# What `make bench` runs: the program's own bench with the demo's model.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/model.sh
source scripts/model.sh

step "set-up" scripts/setup.sh demo
step "build" cargo build --release --workspace
step "model" make_model
step "bench" "$BENDWAVE" bench --model "$MODEL_DIR" --json build/bench.json
times
say "made build/bench.json with $MODEL_NOTE"
