#!/usr/bin/env bash
# Five points of faces: a landmarker that `sightline build` made, as it is shipped, against direct regression of the coordinates on the same backbone (landmarks_rival.py):
# the same pictures, split by identity, epochs and moves. The places are those that another network (RetinaFace) saw, not people: errors are distances from it.
#   bench/landmarks.sh BIN_DIR WORK [DATA [EPOCHS [RATES]]]
#   bench/landmarks.sh build/release/bin /var/tmp/landmarks ../shared/data/face_lfw150_folds123 30 "0.001 0.0003"
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; data="$(realpath "${3:-../shared/data/face_lfw150_folds123}")"
epochs="${4:-30}"; side=160; read -ra rates <<<"${5:-0.001 0.0003}"
mkdir -p "$work"
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
/usr/bin/python3 bench/landmarks_rival.py split "$data/landmarks5.csv" "$work/points.csv"
cat >"$work/ours.yaml" <<YAML
name: ours
task: landmarks
data: {path: "$data/images", labels: "$work/points.csv", format: landmarks}
split: {group_by: none}
recipe: {side: $side}
budget: {epochs: $epochs}
compress: {precision: auto}
seed: 7
YAML
code=0
/usr/bin/time -f 'ours: %e s, %U s of CPU time, from files to a release' "$bin/sightline" build "$work/ours.yaml" --workspace "$work/workspace" --quiet || code=$?
[ "$code" = 0 ] || [ "$code" = 8 ]  # 8: a target was missed
mapfile -t pictures < <(grep ',test,' "$work/points.csv" | cut -d, -f1 | sed "s|^|$data/images/|")
"$bin/sightline" predict ours "${pictures[@]}" --workspace "$work/workspace" --json >"$work/ours.json"
[ -f "$work/rival.json" ] || /usr/bin/time -f 'rival: %e s, %U s of CPU time, all rates' /usr/bin/python3 bench/landmarks_rival.py answer "$data/images" "$work" --epochs "$epochs" --rates "${rates[@]}" --side "$side"
/usr/bin/python3 bench/landmarks_rival.py judge "$work" "$work/ours.json"
