#!/usr/bin/env bash
# Search at equal budget: successive halving against random search and against always the default recipe, on the sets of bench/time_to_model.sh. Each build
# begins with a clean workspace that holds the shipped backbones and three MobileNets; test pictures are answered by the packages.
#   bench/search.sh BIN_DIR WORK MINUTES [SET...]
#   bench/search.sh build/release/bin /var/tmp/search 5
#   LIMITS="{latency_ms: 10, size_mb: 4}" bench/search.sh build/release/bin /var/tmp/search 2 waste steel
# Without SETs all seven. WORK keeps what was done (a build that ended is not repeated); bench/search_report.py prints the table with paired tests.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; minutes="$3"; shift 3
limits="${LIMITS:-}"
data="$(realpath ../shared/data/onnx)"
[ -f "$work/sets.json" ] || "$bin/sightline-whole-sets" "$work" "${MOST:-0}" >/dev/null
sets=("$@")
[ $# -gt 0 ] || mapfile -t sets < <(/usr/bin/python3 -c 'import json,sys; print("\n".join(json.load(open(sys.argv[1]))["sets"]))' "$work/sets.json")
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg); $minutes minutes, limits ${limits:-none}"

run() { # SET STRATEGY
  local folder="$work/searched/$1-$2"
  [ ! -f "$folder/done" ] || return 0
  rm -rf "$folder"; mkdir -p "$folder"
  for net in mobilenetv2_100_224_ptq mobilenetv1_050_160_qat mobilenetv1_025_128_qat; do
    "$bin/sightline" backbone import "$data/$net.onnx" --name "${net%_*}" --mean 127.5 --scale 127.5 --licence Apache-2.0 --workspace "$folder/workspace" --quiet >/dev/null
  done
  cat >"$folder/demand.yaml" <<YAML
name: $1
task: classify
data: {path: "$work/pool/$1", labels: "$work/tables/$1.csv"}
search: {minutes: $minutes, strategy: $2}
${limits:+limits: $limits}
seed: 7
YAML
  local code=0
  "$bin/sightline" build "$folder/demand.yaml" --workspace "$folder/workspace" --quiet --json >"$folder/outcome.json" 2>"$folder/log" || code=$?
  if [ "$code" = 8 ]; then  # the gate refused it: what it measured is told, and it answers nothing
    echo "$1 $2: refused at the gate"
  elif [ "$code" != 0 ]; then
    cat "$folder/log" "$folder/outcome.json" >&2; exit 1
  else
    awk -F, -v root="$work/pool/$1/" '$3 == "test" {print root $1}' "$work/tables/$1.csv" |
      xargs -d '\n' "$bin/sightline" predict "$1" --workspace "$folder/workspace" --quiet --jsonl >"$folder/answers.jsonl"
    cp "$folder/workspace/reports/$1.html" "$folder/report.html"
  fi
  rm -rf "$folder/workspace"
  cut -d' ' -f1-3 /proc/loadavg >"$folder/load"
  touch "$folder/done"
}
for set in "${sets[@]}"; do
  for strategy in default random halving; do run "$set" "$strategy"; done
done
/usr/bin/python3 bench/search_report.py "$work" "$minutes" "${sets[@]}"
