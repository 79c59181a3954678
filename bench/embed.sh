#!/usr/bin/env bash
# Embeddings trained on LFW without the tested folds' identities, one loss after the other for the same epochs, as they are shipped; against Fisherfaces and a frozen
# ImageNet network, by one judge (embed_rival.py): verification accuracy over the tested folds, differences with intervals.
#   bench/embed.sh BIN_DIR WORK [DATA [FOLDS [EPOCHS [LOSSES]]]]
#   bench/embed.sh build/release/bin /var/tmp/embed ../shared/data/face_lfw112 1,2,3,4,5 16 "softmax cosface deepid2"
#   bench/embed.sh build/release/bin /var/tmp/embed ../shared/data/face_lfw112 protocol ONNX     only: an imported embedder by the whole protocol of ten folds
# CORES=1 where others work on the machine: two threads that wait for each other get less done there than one. A killed run goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; data="$(realpath "${3:-../shared/data/face_lfw112}")"
folds="${4:-1,2,3,4,5}"; epochs="${5:-16}"; losses="${6:-softmax cosface deepid2}"; cores="${CORES:-0}"
mkdir -p "$work"
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
if [ "$folds" = protocol ]; then
  exec "$bin/sightline" eval "${5:-../shared/data/onnx/mobilefacenet_y1_112.onnx}" "$data/images" --task embed --pairs "$data/pairs.txt"
fi

judged=()
for loss in $losses; do
  cat >"$work/$loss.yaml" <<YAML
name: $loss
task: embed
data: {path: "$data/images", pairs: "$data/pairs.txt"}
split: {test_folds: [$folds]}
recipe: {loss: $loss}
budget: {epochs: $epochs}
limits: {cores: $cores}
seed: 7
YAML
  code=0
  /usr/bin/time -f "$loss: %e s, %U s of CPU time, from files to a release" "$bin/sightline" build "$work/$loss.yaml" --workspace "$work/workspace" --quiet || code=$?
  [ "$code" = 0 ] || [ "$code" = 8 ]  # 8: a target was missed
  [ -f "$work/$loss.npz" ] || { "$bin/sightline" predict "$loss" "$data/images" --workspace "$work/workspace" --jsonl >"$work/$loss.jsonl"
    /usr/bin/python3 bench/embed_rival.py from-predict "$work/$loss.jsonl" "$work/$loss.npz"; }
  judged+=("$loss=$work/$loss.npz")
done
frozen=../shared/data/onnx/mobilenetv1_100_224_features_qat.onnx
if [ -f "$frozen" ] && [ ! -f "$work/frozen.npz" ]; then
  "$bin/sightline" predict "$frozen" "$data/images" --task embed --jsonl >"$work/frozen.jsonl"
  /usr/bin/python3 bench/embed_rival.py from-predict "$work/frozen.jsonl" "$work/frozen.npz"
fi
[ -f "$work/fisherfaces.npz" ] || /usr/bin/python3 bench/embed_rival.py fisherfaces "$data" "$folds" "$work/fisherfaces.npz"
rivals=("fisherfaces=$work/fisherfaces.npz"); [ -f "$work/frozen.npz" ] && rivals+=("frozen=$work/frozen.npz")
for one in "${judged[@]}"; do /usr/bin/python3 bench/embed_rival.py judge "$data" "$folds" "$one" "${rivals[@]}"; done
/usr/bin/python3 bench/embed_rival.py judge "$data" "$folds" "${judged[@]}"
