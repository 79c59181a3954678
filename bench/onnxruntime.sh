#!/usr/bin/env bash
# Every net of bench/nets.h, and the ONNX files of ../shared/data/onnx where they are, against ONNX Runtime in the same run, by turns.
# A row per net and batch size, then the geometric mean of the ratios (> 1: we are faster).
#   bench/onnxruntime.sh BIN_DIR [RUNS [NAME...]]     RUNS: timed ones per batch size and engine (default 60)
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; shift
runs="${1:-60}"; [ $# -eq 0 ] || shift
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

[ -f build/rivals/node_modules/onnxruntime-node/package.json ] || scripts/install-deps rival
[ -n "${SIGHTLINE_RIVALS:-}" ] || export SIGHTLINE_RIVALS="$PWD/build/rivals"
nets="$work/nets"
"$bin/sightline-nets" "$nets" "$@" >"$work/nets.log" || cat "$work/nets.log" >&2
files=("$nets"/*.onnx)
if [ $# -eq 0 ]; then
  for file in ../shared/data/onnx/*.onnx; do [ -f "$file" ] && files+=("$file"); done
fi
row="%-36s %5s %10s %10s %7s %7s %7s %9s %9s %9s %8s %8s\n"
printf "$row" net batch "ours ms" "theirs ms" ratio lowest highest differ "load ms" theirs "peak MB" theirs
for file in "${files[@]}"; do
  name="$(basename "$file" .onnx)"
  # A process per batch size: memory and time to load are those of that batch.
  for batch in 1 8; do
    if "$bin/sightline" bench "$file" --rival --runs "$runs" --batch "$batch" --json >"$work/$name-$batch.json" 2>"$work/error"; then
      /usr/bin/python3 - "$work/$name-$batch.json" "$name" "$row" <<'PYTHON'
import json, sys
figures = json.load(open(sys.argv[1]))
rival, batch = figures["rival"], figures["batches"][0]
differ = "-" if batch["difference"] is None else f"{batch['difference']:.1e}"
row = sys.argv[3].replace("\\n", "\n")
print(row % (sys.argv[2], batch["batch"], f"{batch['p50_ms']:.2f}", f"{batch['rival']['p50_ms']:.2f}", f"{batch['ratio']:.2f}",
             f"{batch['lowest_ratio']:.2f}", f"{batch['highest_ratio']:.2f}", differ, f"{figures['load_ms']:.0f}", f"{rival['load_ms']:.0f}",
             f"{figures['memory']['growth'] / 1e6:.0f}", f"{rival['memory']['growth'] / 1e6:.0f}"), end="")
PYTHON
    else
      printf "%-36s %5s %s\n" "$name" "$batch" "$(/usr/bin/python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["error"]["message"])' "$work/$name-$batch.json" 2>/dev/null || head -c 200 "$work/error")"
    fi
  done
done
/usr/bin/python3 - "$nets" "$work" <<'PYTHON'
import glob, json, math, os, sys
names = sorted(os.path.basename(file)[:-5] for file in glob.glob(sys.argv[1] + "/*.onnx"))
for batch in (1, 8):
    ratios = []
    for name in names:
        try:
            ratios.append(json.load(open(f"{sys.argv[2]}/{name}-{batch}.json"))["batches"][0]["ratio"])
        except (OSError, ValueError, KeyError):
            pass
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"geometric mean of {len(ratios)} nets at batch {batch}: {mean:.2f} (least {min(ratios):.2f})")
PYTHON
