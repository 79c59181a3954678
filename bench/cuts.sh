#!/bin/bash
# bench/cuts.sh BIN SETS WORK: what several cuts of a frozen network bring on whole sets. SETS is what sightline-whole-sets wrote. Each set is
# built from a clean workspace with the last cut alone, with all cuts together, and with the line's own choice (recipe.cut last, all, auto);
# prints test accuracy, balanced accuracy and its interval, CPU seconds of the whole build, size of the package beside the backbone.
set -euo pipefail
bin=$(realpath "$1") sets=$(realpath "$2") work=$(realpath -m "$3")
onnx=$(realpath "${ONNX:-../shared/data/onnx/mobilenetv2_100_224_ptq.onnx}")
mkdir -p "$work"
printf '| set | cut | top1 | balanced accuracy | CPU seconds | model.onnx kB | head reads |\n|---|---|---|---|---|---|---|\n'
for table in "$sets"/tables/*.csv; do
  name=$(basename "$table" .csv)
  for cut in last all auto; do
    rm -rf "$work/w"
    cat > "$work/$name-$cut.yaml" <<YAML
name: $name-$cut
task: classify
data: {path: $sets/pool/$name, labels: $table, format: csv, max_rejected: 0.05}
split: {group_by: none}
target: {metric: balanced_accuracy}
backbone: {onnx: $onnx, freeze: backbone, mean: [127.5], scale: [127.5]}
recipe: {cut: $cut}
seed: 7
YAML
    /usr/bin/env time -f '%U %S' -o "$work/time" "$bin/sightline" build "$work/$name-$cut.yaml" --workspace "$work/w" --json > "$work/out.json"
    "$bin/sightline" show "$name-$cut" --workspace "$work/w" --json > "$work/show.json"
    python3 - "$work" "$name" "$cut" <<'PYTHON'
import json, os, sys
work, name, cut = sys.argv[1:]
built = json.load(open(f"{work}/out.json"))
seconds = sum(map(float, open(f"{work}/time").read().split()[-2:]))
figures = json.load(open(f"{work}/show.json"))["evaluation_figures"]
head = next(step["figures"] for step in built["steps"] if step["step"] == "head")
interval = figures["intervals"]["balanced_accuracy"]
size = os.path.getsize(built["package_folder"] + "/1/model.onnx") / 1000
print(f"| {name} | {cut} | {figures['figures']['top1']:.4f} | {figures['figures']['balanced_accuracy']:.4f} ({interval['low']:.4f} to {interval['high']:.4f}) "
      f"| {seconds:.1f} | {size:.1f} | {head['cuts'] or cut}, {head['kind']} |", flush=True)
PYTHON
  done
done
