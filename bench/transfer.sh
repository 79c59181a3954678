#!/usr/bin/env bash
# What a backbone brings where pictures are few: test accuracy of a frozen head on it, against training from scratch and against other backbones, on seven
# sets (sightline-whole-sets) with at most MOST training pictures of a class, a fifth of them for validation.
#   bench/transfer.sh BIN_DIR WORK [CONTENDER...]
#   bench/transfer.sh build/release/bin /var/tmp/transfer                               scratch, sight-s and MobileNetV2
#   SETS=waste,signs bench/transfer.sh build/release/bin /var/tmp/transfer sight-s without-grocery=/tmp/without.safetensors
# A contender is "scratch" (our recipe without a backbone, EPOCHS passes, default 60, or MINUTES when given), the name of a backbone that comes with the
# program, or NAME=FILE (.onnx with mean and scale 127.5, or .safetensors of `sightline backbone train`). MOST: default 50. WORK keeps what was built: a
# contender that was measured with the same program and file is not built again.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; shift 2
most="${MOST:-50}" epochs="${EPOCHS:-60}"
[ $# -gt 0 ] || set -- scratch sight-s "mobilenetv2=$(realpath ../shared/data/onnx/mobilenetv2_100_224_ptq.onnx)"
if [ ! -f "$work/sets.json" ]; then
  "$bin/sightline-whole-sets" "$work" "$most"
  for table in "$work"/tables/*.csv; do  # sets without a test part of their own gave more
    awk -F, -v most="$most" 'NR == 1 || $3 == "test" {print; next}
      {limit = $3 == "train" ? most * 4 / 5 : most / 5; if (++seen[$2 "," $3] <= limit) print}' "$table" >"$table.few"
    mv "$table.few" "$table"
  done
fi
sets="${SETS:-$(/usr/bin/python3 -c 'import json,sys; print(",".join(json.load(open(sys.argv[1]))["sets"]))' "$work/sets.json")}"
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg), $most pictures of a class"

measure() { # SET NAME FILE
  local set="$1" name="$2" file="$3" folder="$work/built/$2/$1" digest block begin
  digest="$(sha256sum "$bin/sightline" "$work/tables/$set.csv" ${file:+"$file"} | sha256sum | cut -c1-12)"
  [ ! -f "$folder/$digest" ] || return 0
  rm -rf "$folder"; mkdir -p "$folder"
  case "$name,$file" in
    scratch,) block="budget: {$( [ -n "${MINUTES:-}" ] && echo "minutes: $MINUTES" || echo "epochs: $epochs")}
recipe: {backbone: resnet-s}" ;;
    *.onnx) block="backbone: {onnx: \"$file\", freeze: backbone, mean: [127.5], scale: [127.5]}" ;;
    *.safetensors)
      "$bin/sightline" backbone import "$file" --name "$name" --workspace "$folder/workspace" --quiet >/dev/null
      block="backbone: {name: $name, freeze: backbone}" ;;
    *) block="backbone: {name: $name, freeze: backbone}" ;;
  esac
  cat >"$folder/demand.yaml" <<YAML
name: $set
task: classify
data: {path: "$work/pool/$set", labels: "$work/tables/$set.csv"}
seed: 7
$block
YAML
  begin="$(date +%s.%N)"
  "$bin/sightline" build "$folder/demand.yaml" --workspace "$folder/workspace" --quiet --json >"$folder/outcome.json" ||
    { cat "$folder/outcome.json" >&2; echo "transfer: $name on $set failed" >&2; exit 1; }
  echo "$(date +%s.%N) - $begin" | bc >"$folder/seconds"
  rm -rf "$folder/workspace"
  touch "$folder/$digest"
  echo "$set: $name done in $(cut -d. -f1 <"$folder/seconds") s"
}

names=()
for contender in "$@"; do
  name="${contender%%=*}"; file=""
  [ "$name" = "$contender" ] || file="$(realpath "${contender#*=}")"
  for set in ${sets//,/ }; do measure "$set" "$name" "$file"; done
  names+=("$name")
done
/usr/bin/python3 - "$work" "$sets" "${names[@]}" <<'PYTHON'
import json, pathlib, sys
work, sets, names = pathlib.Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:]
def top1(name, set):
    steps = json.loads((work / "built" / name / set / "outcome.json").read_text())["steps"]
    return {step["step"]: step for step in steps}["evaluate"]["figures"]["top1"]
print("| set | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
columns = {name: [top1(name, set) for set in sets] for name in names}
for i, set in enumerate(sets):
    print(f"| {set} | " + " | ".join(f"{columns[name][i]:.4f}" for name in names) + " |")
print("| mean | " + " | ".join(f"{sum(columns[name]) / len(sets):.4f}" for name in names) + " |")
PYTHON
