#!/usr/bin/env bash
# Every net of bench/nets.h, and the ONNX files of ../shared/data/onnx where they are, against ONNX Runtime in the same run, by turns, in f32,
# bf16 and int8. A row per net, precision and batch size, then the geometric means of the ratios (> 1: we are faster).
#   bench/onnxruntime.sh BIN_DIR [SECONDS [PRECISIONS [NAME...]]]
# SECONDS: timing per batch size, all engines together (default 3; everything then takes less than twelve minutes); PRECISIONS: default f32,bf16,int8
# (the files of ../shared/data: f32 only).
# In bf16 and int8 "ratio" is against ONNX Runtime in f32; in int8 "same file" is against ONNX Runtime on the same QDQ file, and
# "own QDQ" against it on one with pairs before residual sums as well, which it needs to compute those layers in integers.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; shift
seconds="${1:-3}"; [ $# -eq 0 ] || shift
precisions="${1:-f32,bf16,int8}"; [ $# -eq 0 ] || shift
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
export ROW="%-34s %-5s %5s %9s %9s %6s %6s %7s %9s %8s %9s %8s %7s %8s %7s"
printf "$ROW\n" net prec. batch "ours ms" "theirs ms" ratio lowest highest "same file" "own QDQ" differ "load ms" theirs "peak MB" theirs
for file in "${files[@]}"; do
  name="$(basename "$file" .onnx)"
  wanted="${precisions//,/ }"; [[ "$file" == "$nets"/* ]] || wanted=f32
  for precision in $wanted; do
    # In f32 a process per batch size: memory and time to load are those of that batch. In the others the file is prepared once for both.
    batches="1 8"; [ "$precision" = f32 ] || batches="1,8"
    for batch in $batches; do
      out="$work/$name-$precision-$batch.json"
      if "$bin/sightline" bench "$file" --rival --runs 90 --seconds "$seconds" --precision "$precision" --batch "$batch" --json >"$out" 2>"$work/error"; then
        /usr/bin/python3 - "$out" "$name" <<'PYTHON'
import json, os, sys
figures = json.load(open(sys.argv[1]))
real = figures.get("rival_f32", figures["rival"])
for batch in figures["batches"]:
    suffix = "_f32" if "rival_f32" in batch else ""
    differ = "-" if batch["difference"] is None else f"{batch['difference']:.1e}"
    same = f"{batch['ratio']:.2f}" if suffix else "-"
    own = f"{batch['ratio_own']:.2f}" if "ratio_own" in batch else "-"
    print(os.environ["ROW"] % (sys.argv[2], figures["precision"], batch["batch"], f"{batch['p50_ms']:.2f}", f"{batch['rival' + suffix]['p50_ms']:.2f}",
          f"{batch['ratio' + suffix]:.2f}", f"{batch['lowest_ratio' + suffix]:.2f}", f"{batch['highest_ratio' + suffix]:.2f}", same, own, differ,
          f"{figures['load_ms']:.0f}", f"{real['load_ms']:.0f}", f"{figures['memory']['growth'] / 1e6:.0f}", f"{real['memory']['growth'] / 1e6:.0f}"))
PYTHON
      else
        reason="$(/usr/bin/python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["error"]["message"])' "$out" 2>/dev/null || head -c 200 "$work/error")"
        # A file that is quantised already has nothing to show in f32 and bf16.
        [[ "$reason" == *"quantised already"* ]] || printf "%-34s %-5s %5s %s\n" "$name" "$precision" "$batch" "$reason"
      fi
    done
  done
done
/usr/bin/python3 - "$nets" "$work" <<'PYTHON'
import glob, json, math, os, sys
nets = sorted(os.path.basename(file)[:-5] for file in glob.glob(sys.argv[1] + "/*.onnx"))
ratios = {}
for name in nets:
    for file in glob.glob(f"{sys.argv[2]}/{name}-*.json"):
        if not os.path.basename(file)[len(name) + 1:].startswith(("f32-", "bf16-", "int8-")):
            continue
        try:
            figures = json.load(open(file))
            for batch in figures["batches"]:
                suffix = "_f32" if "ratio_f32" in batch else ""
                ratios.setdefault((figures["precision"], batch["batch"], "ONNX Runtime f32"), []).append(batch["ratio" + suffix])
                if "ratio_own" in batch:
                    ratios.setdefault((figures["precision"], batch["batch"], "ONNX Runtime on a QDQ file in its own style"), []).append(batch["ratio_own"])
                if suffix:
                    ratios.setdefault((figures["precision"], batch["batch"], "ONNX Runtime on the same QDQ file"), []).append(batch["ratio"])
        except (OSError, ValueError, KeyError):
            pass
for (precision, batch, rival), each in sorted(ratios.items(), key=lambda item: (["f32", "bf16", "int8"].index(item[0][0]), item[0][2], item[0][1])):
    mean = math.exp(sum(map(math.log, each)) / len(each))
    print(f"geometric mean of {len(each)} nets, {precision} at batch {batch} against {rival}: {mean:.2f} (least {min(each):.2f})")
PYTHON
