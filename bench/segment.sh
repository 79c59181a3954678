#!/usr/bin/env bash
# A segmenter that `sightline build` made, as it is shipped, against a U-Net of at least its operations (segment_rival.py): the same pictures, split, epochs, batches and
# moves; test pictures are looked at once, and the difference comes with its interval. The split is that of seed 7: a tenth of the rest for validation, a fifth for testing,
# near duplicates on one side.
#   bench/segment.sh BIN_DIR WORK [DATA [SIDE [EPOCHS [WIDTH]]]]
#   bench/segment.sh build/release/bin /var/tmp/nuclei ../shared/data/seg_nuclei_dsb2018 256 40 12
#   bench/segment.sh build/release/bin /var/tmp/tiles ../shared/data/seg_cls_anom_magnetic_tile 256 40 12      # its pictures with a defect: good ones have no mask
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; data="$(realpath "${3:-../shared/data/seg_nuclei_dsb2018}")"
side="${4:-256}"; epochs="${5:-40}"; width="${6:-12}"
mkdir -p "$work"
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
if [ -d "$data/MT_Free" ]; then
  for kind in Blowhole Break Crack Fray Uneven; do mkdir -p "$work/data/MT_$kind"; ln -sf "$data/MT_$kind"/* "$work/data/MT_$kind/"; done
  data="$work/data"
fi
[ -f "$work/set.pack" ] || "$bin/sightline-segment-bench" prepare "$data" masks "$side" "$work"
cat >"$work/ours.yaml" <<YAML
name: ours
task: segment
data: {path: "$data", format: masks}
recipe: {side: $side, batch: 8}
budget: {epochs: $epochs}
compress: {precision: auto}
seed: 7
YAML
code=0
/usr/bin/time -f 'ours: %e s, %U s of CPU time, from files to a release' "$bin/sightline" build "$work/ours.yaml" --workspace "$work/workspace" --quiet || code=$?
[ "$code" = 0 ] || [ "$code" = 8 ]  # 8: a target was missed
mapfile -t pictures < <(/usr/bin/python3 -c "
import json, sys
for line in map(json.loads, open(sys.argv[1])):
    if line.get('split') == 'test':
        print(sys.argv[2] + '/' + line['path'])" "$work/manifest.jsonl" "$data")
"$bin/sightline" predict ours "${pictures[@]}" --workspace "$work/workspace" --score 0 --drawn "$work/ours" --json >"$work/ours.json"
[ -d "$work/rival" ] || /usr/bin/python3 bench/segment_rival.py "$work" "$epochs" --width "$width"
"$bin/sightline-segment-bench" score "$work/manifest.jsonl" test "ours=$work/ours" "rival=$work/rival"
