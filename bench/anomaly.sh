#!/usr/bin/env bash
# A model of good pictures that `sightline build` made, as it is shipped, against PaDiM on the same backbone (anomaly_rival.py): the same pictures to learn from, side and
# judge. Half of the test pictures (PART tune) were looked at while the task was written, the other half (report) is what is reported.
#   bench/anomaly.sh BIN_DIR WORK [SET [DATA [PART [SIDE]]]]
#   bench/anomaly.sh build/release/bin /var/tmp/anomaly tiles ../shared/data/seg_cls_anom_magnetic_tile report 256
#   bench/anomaly.sh build/release/bin /var/tmp/anomaly boards ../shared/data/det_anom_deeppcb report 320
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; set="${3:-tiles}"; data="$(realpath "${4:-../shared/data/seg_cls_anom_magnetic_tile}")"
part="${5:-report}"; side="${6:-256}"
mkdir -p "$work"
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
/usr/bin/python3 bench/anomaly_layout.py "$set" "$data" "$work/$set"
cat >"$work/$set-$part.yaml" <<YAML
name: $set-$part
task: anomaly
data: {path: "$work/$set/$part", format: mvtec}
split: {validation: 0.2, group_by: none}
recipe: {side: $side}
seed: 7
YAML
/usr/bin/time -f 'ours: %e s, %U s of CPU time, from files to a release' "$bin/sightline" build "$work/$set-$part.yaml" --workspace "$work/workspace" --quiet
"$bin/sightline" show "$set-$part" --workspace "$work/workspace" --json >"$work/$set-$part-figures.json"
"$bin/sightline" predict "$set-$part" "$work/$set/$part/test" --workspace "$work/workspace" --json >"$work/$set-$part-ours.json"
/usr/bin/time -f 'rival: %e s, %U s of CPU time' /usr/bin/python3 bench/anomaly_rival.py backbones/sight-s.safetensors "$work/$set/$part" "$work/$set-$part-rival.json" "$side"
"$bin/sightline-anomaly-bench" "$work/$set/$part" "$work/$set-$part-ours.json" "$work/$set-$part-rival.json"
