#!/usr/bin/env bash
# A detector that `sightline build` made, as it is shipped, against torchvision's RetinaNet on the same backbone (detect_rival.py): the same pictures, split, epochs,
# batches and moves. The rival's rate is the best of RATES by mAP50-95 on validation; test pictures are looked at once, and the difference comes with its interval.
#   bench/detect.sh BIN_DIR WORK [DATA [FORMAT [SIDE [EPOCHS [RATES]]]]]
#   bench/detect.sh build/release/bin /var/tmp/detect ../shared/data/det_bccd_blood voc 320 40 "0.0005 0.001 0.002"
# A killed run goes on where it was. Two cores; more than an hour for 205 training pictures and 40 epochs, most of it the rival's three rates.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; data="$(realpath "${3:-../shared/data/det_bccd_blood}")"
format="${4:-voc}"; side="${5:-320}"; epochs="${6:-40}"; rates="${7:-0.0005 0.001 0.002}"
mkdir -p "$work"
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
[ -f "$work/set.pack" ] || "$bin/sightline-detect-bench" prepare "$data" "$format" "$side" "$work"

cat >"$work/ours.yaml" <<YAML
name: ours
task: detect
data: {path: "$data", format: $format}
recipe: {side: $side, batch: 8}
budget: {epochs: $epochs}
seed: 7
YAML
code=0
/usr/bin/time -f 'ours: %e s, %U s of CPU time, from files to a release' "$bin/sightline" build "$work/ours.yaml" --workspace "$work/workspace" --quiet || code=$?
[ "$code" = 0 ] || [ "$code" = 8 ]  # 8: a target was missed
"$bin/sightline" predict ours "$data" --workspace "$work/workspace" --score 0.01 --json >"$work/ours.json"

for rate in $rates; do
  /usr/bin/python3 bench/detect_rival.py "$work" "$rate" --epochs "$epochs" | tail -1
done
echo "on validation, where the rival's rate is chosen:"
rivals=(); for rate in $rates; do rivals+=("$(/usr/bin/python3 -c "print('$work/rival-%g-validation.json' % $rate)")"); done
"$bin/sightline-detect-bench" score "$work/manifest.jsonl" validation "${rivals[@]}" | grep -v ahead | tee "$work/validation.txt"
best="$(sed -E 's/^(.*)-validation\.json: .*mAP50-95 ([0-9.]+).*/\2 \1/' "$work/validation.txt" | sort -rn | head -1 | cut -d' ' -f2)"
echo "on test:"
"$bin/sightline-detect-bench" score "$work/manifest.jsonl" test "$work/ours.json" "$best-test.json"
