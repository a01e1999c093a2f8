#!/usr/bin/env bash
# One borrowed GPU, ten minutes at a time: training/gpu.sh CALL OUT
#
#   CALL 1   times 256x256 with and without compiled networks, then trains 64x64 and 128x128
#   CALL 2   trains 256x256
#   CALL 3   trains 256x256 and lets the learning rates fall
#
# Between calls the run stays in RUN (/tmp/bendwave-run); if it is lost, the next call starts from
# RESUME, the small state that the call before wrote to OUT, else from training/state/resume.pt.
# To try it on a CPU: DEVICE=cpu SCALE=0.02 PROBES='none 1'.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
call=$1 out=$2
run=${RUN:-/tmp/bendwave-run} python=${PYTHON:-python3} scale=${SCALE:-1} device=${DEVICE:-cuda}
resume=${RESUME:-training/state/resume.pt}
export PYTHONUNBUFFERED=1
mkdir -p "$run" "$out"
minutes() { awk "BEGIN { print $1 * $scale }"; }
train() { $python training/train.py --run "$run" --state "$resume" --recipe training/recipe-gpu.json \
	--device "$device" --save-every 120 "$@"; }
fastest() { cat "$run/compile" 2>/dev/null || echo draw; }

nvidia-smi || true
$python -c 'import torch; print(torch.__version__, torch.cuda.is_available() and torch.cuda.get_device_name())'
size=256
case $call in
1)
	best=0
	while read -r how long; do
		rm -rf "$run-probe"
		$python training/train.py --run "$run-probe" --state "$resume" --recipe training/recipe-gpu.json \
			--device "$device" --size 256 --minutes "$(minutes "$long")" --compile "$how" || continue
		speed=$(tail -1 "$run-probe/log.jsonl" 2>/dev/null | sed -n 's/.*"per_second": \([0-9]*\).*/\1/p')
		echo "256x256, compiled: $how: ${speed:-0} pictures a second"
		if [ "${speed:-0}" -ge "$best" ]; then best=${speed:-0}; echo "$how" > "$run/compile"; fi
	done <<< "${PROBES-$'draw 0.8\nall 1.8'}"
	train --size 64 --minutes "$(minutes 2.5)" --compile "$(fastest)"
	train --size 128 --minutes "$(minutes 3)" --compile "$(fastest)"
	size=128
	;;
2) train --size 256 --minutes "$(minutes 9)" --compile "$(fastest)" ;;
3) train --size 256 --minutes "$(minutes 8.5)" --anneal 0.5 --compile "$(fastest)" ;;
*) echo "CALL is 1, 2 or 3" >&2; exit 2 ;;
esac
$python training/export.py --state "$run/state.pt" --size $size --out "$out/checkpoint.pt" --resume-state "$out/resume.pt"
cp "$run/twins.png" "$run/log.jsonl" "$out/"
tail -3 "$run/log.jsonl"
