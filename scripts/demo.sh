#!/usr/bin/env bash
# What `make demo` runs: set-up, build, model, track, then the instrument.
# MODE=render makes the video although there is a display.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/model.sh
source scripts/model.sh

SCENE=assets/scenes/demo.yaml
VIDEO=demo.mp4

# Vulkan's Wayland layer complains on stderr when this is missing, even where there is no Wayland.
if [[ -z ${XDG_RUNTIME_DIR:-} ]]; then
    mkdir -p build/runtime && chmod 700 build/runtime
    export XDG_RUNTIME_DIR=$PWD/build/runtime
fi

# Upscaled, so that a small network's picture fills a player.
render() {
    "$BENDWAVE" render --model "$MODEL_DIR" --audio "$TRACK" --scene "$SCENE" --size 720x720 --out "$VIDEO"
}

step "set-up" scripts/setup.sh demo
# The whole workspace at once: the program and xtask share their dependencies.
step "build" cargo build --release --workspace
step "model" make_model
step "track" make_track
say "playing $MODEL_NOTE"

if [[ ${MODE:-} != render && -n ${DISPLAY:-}${WAYLAND_DISPLAY:-} ]]; then
    say "live: Escape leaves, F toggles fullscreen, H shows all keys"
    if "$BENDWAVE" perform --model "$MODEL_DIR" --audio "$TRACK" --scene "$SCENE"; then
        times
        say "that was $BENDWAVE perform --model $MODEL_DIR --audio $TRACK --scene $SCENE; make demo MODE=render makes a video"
        exit
    fi
    complain "the live performance ended with the error above; making the video instead"
fi
step "video" render
times
say "made $VIDEO with $MODEL_NOTE; open it with any video player, for example: ffplay $VIDEO"
