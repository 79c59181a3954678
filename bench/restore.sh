#!/usr/bin/env bash
# A restorer that `sightline build` made, as it is shipped, against (noise) a DnCNN of at least its operations that learns for as many minutes from the same pictures
# (restore_rival.py), and (blur) Wiener's filter with the true kernel, tuned on validation pictures. The same pictures, split (seed 7) and degraded test pictures, which are
# looked at once; the difference comes with its interval.
#   bench/restore.sh BIN_DIR WORK noise|blur|scale [DATA [MINUTES [STRENGTH]]]
#   bench/restore.sh build/release/bin /var/tmp/noise noise ../shared/data/restore_sharp_train 10 25     # standard deviation of the noise
#   bench/restore.sh build/release/bin /var/tmp/blur blur ../shared/data/restore_sharp_train 10 9        # length of the shake, width of the defocus
#   bench/restore.sh build/release/bin /var/tmp/scale scale ../shared/data/restore_sharp_train 10 2      # against bicubic interpolation
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; what="$3"; data="$(realpath "${4:-../shared/data/restore_sharp_train}")"
minutes="${5:-10}"; strength="${6:-25}"
case "$what" in
  noise) restore="{kind: denoise, noise: $strength}"; keys="noise=$strength"; rival="dncnn" ;;
  blur) restore="{kind: deblur, blur: $strength, noise: 2}"; keys="blur=$strength noise=2"; rival="wiener" ;;
  scale) restore="{kind: super_resolve, scale: $strength}"; keys="scale=$strength"; rival="bicubic" ;;
  *) echo "$what is none of noise, blur, scale" >&2; exit 2 ;;
esac
mkdir -p "$work"
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
# shellcheck disable=SC2086
[ -d "$work/sharp" ] || "$bin/sightline-restore-bench" prepare "$data" "$work" $keys
cat >"$work/ours.yaml" <<YAML
name: ours
task: restore
restore: $restore
data: {path: "$data"}
budget: {minutes: $minutes}
seed: 7
YAML
code=0
/usr/bin/time -f 'ours: %e s, %U s of CPU time, from files to a release' "$bin/sightline" build "$work/ours.yaml" --workspace "$work/workspace" --quiet || code=$?
[ "$code" = 0 ] || [ "$code" = 8 ]  # 8: a target was missed
"$bin/sightline" predict ours "$work"/bad/*.png --workspace "$work/workspace" --drawn "$work/ours" --json >"$work/ours.json"
[ -d "$work/$rival" ] || /usr/bin/python3 bench/restore_rival.py "$rival" "$work" --minutes "$minutes" --strength "$strength"
"$bin/sightline-restore-bench" score "$work" "ours=$work/ours" "$rival=$work/$rival"
