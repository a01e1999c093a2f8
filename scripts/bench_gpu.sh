#!/usr/bin/env bash
# bench_gpu.sh OUT: on a machine with an NVIDIA GPU and an ONNX Runtime library with CUDA (named by
# ORT_DYLIB_PATH), times the slim 256 px network and config-F at 1024 px (random weights of the true
# shapes) without bends, each segment alone and joined, and with one, three and eight bends, on the CPU
# and on the GPU; then each transform by itself against a plain copy of the same bytes. Writes JSON to the
# folder OUT. Needs a release build.

# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OUT=${1:?bench_gpu.sh OUT}
mkdir -p "$OUT" build
for shape in "slim 256 slim 128 2" "config-f 1024 config-f 512 8"; do
    read -r name size channels w_dim depth <<<"$shape"
    checkpoint=build/$name.pt
    [[ -f $checkpoint ]] || "$XTASK" random-checkpoint --size "$size" --channels "$channels" \
        --w-dim "$w_dim" --mapping-layers "$depth" --out "$checkpoint"
    "$BENDWAVE" import "$checkpoint" --out "build/models/$name"
    for provider in cuda tensorrt; do
        "$BENDWAVE" bench --model "build/models/$name" --provider "$provider" --frames 200 \
            --json "$OUT/$name-$provider.json" || say "no numbers for $name on $provider"
    done
done
# The network plays no part here: once is enough. Bends need a Vulkan driver.
"$BENDWAVE" bench --model build/models/slim --provider cpu --frames 20 --each-transform \
    --json "$OUT/transforms.json" || say "no numbers for the transforms"
