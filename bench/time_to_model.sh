#!/usr/bin/env bash
# Time from files to a finished model, and accuracy on the same test pictures: our default build against full fine-tuning of the same
# MobileNetV2 in PyTorch (bench/time_to_model_rival.py) on seven sets with one split each (sightline-whole-sets).
#   bench/time_to_model.sh BIN_DIR WORK [RIVAL_OPTION...]
#   bench/time_to_model.sh build/release/bin /var/tmp/ttm --minutes 30                       the rival goes on where it stopped
#   bench/time_to_model.sh build/release/bin /var/tmp/ttm --sets waste,steel --epochs 3
# WORK keeps everything; remove it to begin anew. Environment: MOST, pictures of a class on each side (trials; default all); TURNS, clean builds of ours
# per set, of which the median counts (default 3); ONLY=ours or report leaves the rest out. What is timed of ours is the whole `sightline build` from a clean
# workspace, its evaluation on the test pictures included; of the rival decoding, training and validation, not its test.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; shift 2
turns="${TURNS:-3}" only="${ONLY:-all}"
onnx="$(realpath ../shared/data/onnx/mobilenetv2_100_224_ptq.onnx)"

[ -f "$work/sets.json" ] || "$bin/sightline-whole-sets" "$work" "${MOST:-0}"
sets="$(/usr/bin/python3 -c 'import json,sys; print(" ".join(json.load(open(sys.argv[1]))["sets"]))' "$work/sets.json")"
for ((i = 1; i <= $#; ++i)); do
  case "${!i}" in
    --sets) j=$((i + 1)); sets="${!j//,/ }" ;;
    --sets=*) value="${!i}"; sets="${value#--sets=}"; sets="${sets//,/ }" ;;
  esac
done
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"

ours() { # SET
  local name="$1" digest folder="$work/ours/$1" begin
  digest="$("$bin/sightline" --version | sha256sum | cut -c1-8)-$(sha256sum "$bin/sightline" "$work/tables/$name.csv" | sha256sum | cut -c1-12)"
  [ ! -f "$folder/$digest" ] || { echo "$name: ours done before with this program"; return; }
  rm -rf "$folder"; mkdir -p "$folder"
  cat >"$folder/demand.yaml" <<YAML
name: $name
task: classify
data: {path: "$work/pool/$name", labels: "$work/tables/$name.csv"}
seed: 7
backbone: {onnx: "$onnx", mean: [127.5], scale: [127.5]}
YAML
  for ((turn = 0; turn < turns; ++turn)); do
    rm -rf "$folder/workspace"
    begin="$(date +%s.%N)"
    "$bin/sightline" build "$folder/demand.yaml" --workspace "$folder/workspace" --quiet --json >"$folder/outcome.json" ||
      { cat "$folder/outcome.json" >&2; echo "time to model: our build of $name failed" >&2; exit 1; }
    echo "$(date +%s.%N) - $begin" | bc >>"$folder/seconds"
  done
  awk -F, -v root="$work/pool/$name/" '$3 == "test" {print root $1}' "$work/tables/$name.csv" |
    xargs -d '\n' "$bin/sightline" predict "$name" --workspace "$folder/workspace" --quiet --jsonl >"$folder/answers.jsonl"
  rm -rf "$folder/workspace"
  touch "$folder/$digest"
  echo "$name: ours $(sort -n "$folder/seconds" | tr '\n' ' ')s"
}
if [ "$only" != report ]; then
  for name in $sets; do ours "$name"; done
fi
if [ "$only" = all ]; then
  [ -n "${SIGHTLINE_RIVALS:-}" ] || scripts/install-deps rival
  /usr/bin/python3 bench/time_to_model_rival.py "$work" --onnx "$onnx" "$@"
fi
/usr/bin/python3 bench/time_to_model_report.py "$work" $sets
