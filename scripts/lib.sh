# Sourced by the other scripts: paths, steps with their times, sentences for people.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p build

TARGET_DIR=${CARGO_TARGET_DIR:-target}
# shellcheck disable=SC2034 # the scripts that source this use them
BENDWAVE=$TARGET_DIR/release/bendwave XTASK=$TARGET_DIR/release/xtask

STEP_NAMES=()
STEP_SECS=()

say() { printf '==> %s\n' "$*"; }
complain() { printf 'bendwave: %s\n' "$*" >&2; }
die() { complain "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

now_ms() {
    # EPOCHREALTIME needs bash 5; macOS has 3.2.
    if [[ -n ${EPOCHREALTIME:-} ]]; then
        local now=${EPOCHREALTIME/[.,]/}
        printf '%s' "${now%???}"
    else
        printf '%s000' "$(date +%s)"
    fi
}

# step NAME COMMAND...: runs a command and remembers how long it took.
step() {
    local name=$1 start
    shift
    say "$name"
    start=$(now_ms)
    "$@"
    STEP_NAMES+=("$name")
    STEP_SECS+=("$((($(now_ms) - start + 50) / 100))")
}

# What each step took. The last thing that a script prints before its closing line.
times() {
    local i total=0
    say "times"
    for i in "${!STEP_NAMES[@]}"; do
        printf '    %-34s %6d.%d s\n' "${STEP_NAMES[i]}" "$((STEP_SECS[i] / 10))" "$((STEP_SECS[i] % 10))"
        total=$((total + STEP_SECS[i]))
    done
    printf '    %-34s %6d.%d s\n' "in all" "$((total / 10))" "$((total % 10))"
}
