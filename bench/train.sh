#!/usr/bin/env bash
# Training throughput of sightline-train against Debian's python3-torch: the same net, batch, type and threads, Fashion-MNIST, data loading and flips counted on
# both sides, alternately, median of the turns; the rival runs in both of its memory layouts, and the faster one counts.
#   bench/train.sh BIN_DIR [BACKBONE] [EPOCHS] [TURNS]
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"
backbone="${2:-resnet-s}" epochs="${3:-1}" turns="${4:-3}"
threads="$(nproc)"
/usr/bin/python3 -c 'import torch' 2>/dev/null || { echo "bench: the rival needs python3-torch (apt-get install --no-install-recommends python3-torch)" >&2; exit 4; }
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
/usr/bin/python3 bench/train_rival.py prepare "$work"
"$bin/sightline-train" --initial "$backbone" 28 1 10 "$work/graph.onnx"

parameters=$("$bin/sightline" modules --side 28 --channels 1 --classes 10 --json |
  /usr/bin/python3 -c 'import json,sys; print([b["parameters"] for b in json.load(sys.stdin)["backbones"] if b["name"] == sys.argv[1]][0])' "$backbone")

ours() {
  rm -rf "$work/out" "$work/checkpoint"
  cat > "$work/spec.json" <<SPEC
{"graph": "$work/graph.onnx", "data": "$work/set.pack", "output": "$work/out", "checkpoint": "$work/checkpoint", "seed": 7, "threads": $threads,
 "recipe": {"backbone": "$backbone", "side": 28, "channels": 1, "epochs": $epochs}}
SPEC
  # Seconds from the start of set-up to the written model.
  "$bin/sightline-train" "$work/spec.json" |
    /usr/bin/python3 -c "import json,sys; print(round([e for e in map(json.loads, sys.stdin) if e['event'] == 'done'][0]['seconds'] ** -1 * $epochs * 60000))"
}
rival() { /usr/bin/python3 bench/train_rival.py run "$work" "$backbone" "$epochs" "$threads" "$1" "$parameters"; }

for ((turn = 0; turn < turns; ++turn)); do
  ours >> "$work/ours"
  rival contiguous >> "$work/contiguous"
  rival channels_last >> "$work/channels_last"
done
/usr/bin/python3 - "$work" "$backbone" "$threads" <<'PYTHON'
import statistics, sys
work, backbone, threads = sys.argv[1:]
median = {name: statistics.median(map(float, open(f"{work}/{name}"))) for name in ("ours", "contiguous", "channels_last")}
best = max(("contiguous", "channels_last"), key=median.get)
print(f"{backbone}, batch 128, f32, {threads} threads: sightline-train {median['ours']:,.0f} images/s   rival (torch, {best}) {median[best]:,.0f} images/s"
      f"   ratio {median['ours'] / median[best]:.2f}   (other layout {median['contiguous' if best == 'channels_last' else 'channels_last']:,.0f})")
PYTHON
