#!/usr/bin/env bash
# What each rung of escalation (docs/escalation.md) brings and costs on the sets of bench/time_to_model.sh: three builds of each set, from a clean workspace each.
#   head     freeze: backbone
#   default  nothing said: no target, no budget
#   target   a target that is hardly ever met, with MINUTES for the rungs above the heads
#   bench/escalation.sh BIN_DIR WORK MINUTES SET...
#   bench/escalation.sh build/release/bin /var/tmp/escalation 10 signs grocery tiles
# Seconds are from files to a release, its evaluation on the test pictures included; CPU seconds are all processes'. WORK keeps pictures and reports.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; minutes="$3"; shift 3
onnx="$(realpath ../shared/data/onnx/mobilenetv2_100_224_ptq.onnx)"
[ -f "$work/sets.json" ] || "$bin/sightline-whole-sets" "$work" >/dev/null
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
build() { # SET NAME BACKBONE_KEYS MORE
  local folder="$work/rungs/$1-$2"
  rm -rf "$folder"; mkdir -p "$folder"
  cat >"$folder/demand.yaml" <<YAML
name: $1
task: classify
data: {path: "$work/pool/$1", labels: "$work/tables/$1.csv"}
seed: 7
backbone: {onnx: "$onnx", mean: [127.5], scale: [127.5]$3}
$4
YAML
  local code=0
  /usr/bin/time -f '%e %U %S' -o "$folder/time" "$bin/sightline" build "$folder/demand.yaml" --workspace "$folder/workspace" --quiet --json \
    >"$folder/outcome.json" 2>"$folder/log" || code=$?
  [ "$code" = 0 ] || [ "$code" = 8 ] || { cat "$folder/log" "$folder/outcome.json" >&2; exit 1; }
  /usr/bin/python3 - "$folder" "$1" "$2" <<'PYTHON'
import json, sys
folder, name, way = sys.argv[1:]
outcome = json.load(open(folder + "/outcome.json"))
steps = {step["step"]: step for step in outcome["steps"]}
elapsed, user, system = map(float, open(folder + "/time").read().split()[-3:])
print(f"{name} {way}: test top1 {steps['evaluate']['figures']['top1']:.4f}, {elapsed:.1f} s ({user + system:.1f} s of CPU time)")
for sentence in steps["release"]["figures"].get("choice", []):
    print("    " + sentence)
PYTHON
  cp "$folder/workspace/reports/$1.html" "$folder/report.html"
  rm -rf "$folder/workspace"
}
for set in "$@"; do
  build "$set" head ", freeze: backbone" ""
  build "$set" default "" ""
  build "$set" target "" "target: {at_least: 0.999}
budget: {minutes: $minutes}"
done
