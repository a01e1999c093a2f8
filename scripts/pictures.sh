#!/usr/bin/env bash
# Makes the pictures in docs/ that show the bundled model: `make pictures`, after a new model.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=scripts/model.sh
source scripts/model.sh

# One video's frames on a sheet: FROM and LENGTH in seconds, columns x rows.
sheet() {
    local video=$1 from=$2 secs=$3 columns=$4 rows=$5 cell=$6 out=$7
    ffmpeg -v error -y -ss "$from" -t "$secs" -i "$video" -frames:v 1 -q:v 3 \
        -vf "fps=$((columns * rows))/$secs,scale=$cell:$cell:flags=lanczos,tile=${columns}x$rows" "$out"
}

# Twelve frames around the drop, half a second apart.
demo() {
    "$BENDWAVE" render --model "$MODEL_DIR" --audio "$TRACK" --scene assets/scenes/demo.yaml \
        --size 480x480 --fps 30 --out build/pictures-demo.mp4
    sheet build/pictures-demo.mp4 40 6 6 2 200 docs/demo.jpg
}

# Each of the other scenes in eight frames, a row each.
scenes() {
    local name rows=()
    ffmpeg -v error -y -ss 52 -t 10 -i "$TRACK" build/pictures-part.wav
    for name in drift garden neon; do
        "$BENDWAVE" render --model "$MODEL_DIR" --audio build/pictures-part.wav \
            --scene "assets/scenes/$name.yaml" --size 480x480 --fps 30 --out "build/pictures-$name.mp4"
        sheet "build/pictures-$name.mp4" 2 8 8 1 150 "build/pictures-$name.png"
        rows+=(-i "build/pictures-$name.png")
    done
    ffmpeg -v error -y "${rows[@]}" -filter_complex vstack=3 -frames:v 1 -q:v 3 docs/scenes.jpg
}

# Latents from one favourite to the next, without a bend.
walk() {
    printf 'latent: {seeds: [%s], speed: 1}\ntruncation: 0.9\ntransforms: []\n' "$SEEDS" > build/pictures-walk.yaml
    "$BENDWAVE" render --model "$MODEL_DIR" --scene build/pictures-walk.yaml --duration 6 \
        --size 256x256 --fps 30 --out docs/walk.mp4
    sheet docs/walk.mp4 0 6 12 4 96 docs/walk.jpg
}

# A row for each layer of the bundled cluster file, its strongest three clusters: removed, times 5, dilated.
clusters() {
    local layer cluster tiles rows=()
    rm -rf build/pictures-report
    "$BENDWAVE" cluster --model "$MODEL_DIR" --samples 400 --effects 12 --out build/pictures-clusters.yaml \
        --report build/pictures-report
    for layer in build/pictures-report/layer-*-cluster-0.png; do
        tiles=()
        for cluster in 0 1 2; do tiles+=(-i "${layer%0.png}$cluster.png"); done
        ffmpeg -v error -y "${tiles[@]}" -filter_complex hstack=3 "build/pictures-row${#rows[@]}.png"
        rows+=(-i "build/pictures-row${#rows[@]}.png")
    done
    ffmpeg -v error -y "${rows[@]}" -filter_complex "vstack=$((${#rows[@]} / 2)),scale=720:-2" -frames:v 1 -q:v 6 docs/clusters.jpg
}

SEEDS=$(sed -n 's/^Favourite seeds: \([0-9, ]*\)\.$/\1/p' models/default/README.md | cut -d, -f1-7)
[[ -n $SEEDS ]] || die "models/default/README.md has no line 'Favourite seeds: …'"

step "set-up" scripts/setup.sh demo
step "build" cargo build --release --workspace
step "model" make_model
step "track" make_track
step "demo" demo
step "scenes" scenes
step "walk" walk
step "clusters" clusters
step "bends" "$BENDWAVE" bends --model "$MODEL_DIR" --out docs/bends.png
times
say "made the pictures in docs/ with $MODEL_NOTE"
