# Sourced: the model and the track of the demo, made when they are missing or out of date.
# shellcheck shell=bash disable=SC2034 # its variables are for the scripts that source it

# True when $1 is missing or older than a file under the other paths.
stale() {
    local made=$1 path
    shift
    [[ -e $made ]] || return 0
    for path in "$@"; do
        [[ -n $(find "$path" -newer "$made" -type f -print -quit) ]] && return 0
    done
    return 1
}

# Sets MODEL_DIR and MODEL_NOTE. The repository's own checkpoint, else random weights.
make_model() {
    local checkpoint name
    if [[ -f models/default/checkpoint.pt ]]; then
        checkpoint=models/default/checkpoint.pt name=default
        MODEL_NOTE="the bundled model"
    else
        checkpoint=build/random.pt name=random
        MODEL_NOTE="a network with RANDOM weights (no trained model is bundled: expect textures, no things)"
        if stale "$checkpoint" xtask/src; then
            "$XTASK" random-checkpoint --out "$checkpoint"
        fi
    fi
    MODEL_DIR=build/models/$name
    if stale "$MODEL_DIR/model.yaml" "$checkpoint" src/import src/generator; then
        "$BENDWAVE" import "$checkpoint" --out "$MODEL_DIR"
    fi
}

# Sets TRACK.
make_track() {
    TRACK=build/demo.wav
    if stale "$TRACK" xtask/src; then
        "$XTASK" demo-track --out "$TRACK.new.wav"
        mv "$TRACK.new.wav" "$TRACK"
    fi
}
