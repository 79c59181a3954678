#!/usr/bin/env bash
# What fine-tuning a foreign network brings over a linear probe on its frozen features: builds a demand with backbone.onnx and prints the
# figures of probe, choose and evaluate.
#   bench/finetune.sh BIN_DIR NET.onnx IMAGES [EPOCHS] [MEAN SCALE] [FREEZE]      IMAGES: class folders; MEAN SCALE: as backbone.mean and scale
#   bench/finetune.sh build/release/bin ../shared/data/onnx/mobilenetv1_025_128_qat.onnx ../shared/data/cls_trashnet_waste 3 127.5 127.5
set -euo pipefail
bin="$(realpath "$1")"; net="$(realpath "$2")"; images="$(realpath "$3")"
epochs="${4:-3}"; mean="${5:-127.5}"; scale="${6:-127.5}"; freeze="${7:-none}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cat >"$work/finetune.yaml" <<YAML
name: finetune
task: classify
data: {path: "$images"}
budget: {epochs: $epochs}
seed: 0
backbone: {onnx: "$net", mean: [$mean], scale: [$scale], freeze: $freeze}
YAML
"$bin/sightline" build "$work/finetune.yaml" --json >"$work/outcome.json" || { cat "$work/outcome.json"; exit 1; }
/usr/bin/python3 - "$work/outcome.json" <<'PYTHON'
import json, sys
steps = {step["step"]: step for step in json.load(open(sys.argv[1]))["steps"]}
for name in ("probe", "train", "choose", "evaluate"):
    if name in steps:
        figures = {key: value for key, value in steps[name]["figures"].items() if key != "reasons"}
        print(f"{name:9} {steps[name]['seconds']:7.1f} s  {figures}")
for reason in steps.get("choose", {"figures": {}})["figures"].get("reasons", []):
    print(reason)
PYTHON
