#!/usr/bin/env bash
# Readers that `sightline build` made of drawn plates, on real ones. Chinese plates against LPRNet with the weights that its authors' repository ships (read_rival.py): once
# from drawn plates alone; once from these and half of the 1,000 real ones, each half read by the reader that learned from the other (no plate's text is in both). Plates of
# three other layouts: one reader from drawn plates alone, accuracy by country.
#   bench/read.sh BIN_DIR WORK [DATA [COUNT [EPOCHS]]]
#   bench/read.sh build/release/bin /var/tmp/read ../shared/data 12000 16
# A killed run goes on where it was. Two cores: about 14 s an epoch, four times EPOCHS, and a few minutes of drawing and reading.
set -euo pipefail
cd "$(dirname "$0")/.."
bin="$(realpath "$1")"; work="$(realpath -m "$2")"; data="$(realpath "${3:-../shared/data}")"; count="${4:-12000}"; epochs="${5:-16}"
mkdir -p "$work"
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2- | xargs), $(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
[ -f "$work/cn/labels.csv" ] || "$bin/sightline" data draw "$work/cn" --layout cn --count "$count" --seed 1
[ -f "$work/latin/labels.csv" ] || "$bin/sightline" data draw "$work/latin" --layout eu --layout br --layout us --count $((count / 3)) --seed 1

# Real plates and drawn ones under one root; each half of the real plates is a test split once. Halves by text, so that no plate is in both.
ln -sfn "$data/ocr_cn_plates/images" "$work/real"
/usr/bin/python3 - "$work" "$data/ocr_cn_plates/labels.csv" <<'PYTHON'
import csv, hashlib, sys
work, labels = sys.argv[1:]
real = list(csv.DictReader(open(labels, encoding="utf-8")))
drawn = list(csv.DictReader(open(work + "/cn/labels.csv", encoding="utf-8")))
for half in (0, 1):
    with open(f"{work}/half{half}.csv", "w", encoding="utf-8") as out:
        out.write("path,text,split\n")
        for row in drawn:
            out.write(f"cn/{row['path']},{row['text']},train\n")
        for row in real:
            place = hashlib.sha256(row["text"].encode()).digest()
            if place[0] % 2 == half:
                out.write(f"real/{row['file']},{row['text']},test\n")
            else:
                # An eighth of the rest chooses the temperature; the others are learned from as often as a quarter of the drawn ones.
                out.write(f"real/{row['file']},{row['text']},{'validation' if place[1] < 32 else 'train'}\n")
PYTHON

build() {  # name, data
  cat >"$work/$1.yaml" <<YAML
name: $1
task: read
data: $2
read: {formats: $3}
budget: {epochs: $epochs}
compress: {precision: auto}
seed: 7
YAML
  code=0
  /usr/bin/time -f "$1: %e s, %U s of CPU time, from files to a release" "$bin/sightline" build "$work/$1.yaml" --workspace "$work/workspace" --quiet || code=$?
  [ "$code" = 0 ] || [ "$code" = 8 ]  # 8: a target was missed
}
chinese='["[京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新]A*****"]'
build drawn "{path: \"$work/cn\"}" "$chinese"
for half in 0 1; do build "half$half" "{path: \"$work\", labels: \"$work/half$half.csv\", format: texts}" "$chinese"; done
build latin "{path: \"$work/latin\"}" '["*****", "******", "*******", "********"]'

[ -f "$work/lprnet.json" ] || /usr/bin/python3 bench/read_rival.py answer "$data/ocr_cn_plates" "$data/weights/lprnet_cn_94x24.safetensors" "$work/lprnet.json"
predict() { "$bin/sightline" predict "$1" "$2" --workspace "$work/workspace" --json >"$work/$1.json"; }
for model in drawn half0 half1; do predict "$model" "$data/ocr_cn_plates/images"; done
# Of each half's answers those that it was not trained on.
/usr/bin/python3 - "$work" <<'PYTHON'
import csv, json, os, sys
work = sys.argv[1]
texts = {}
for half in (0, 1):
    test = {os.path.basename(row["path"]) for row in csv.DictReader(open(f"{work}/half{half}.csv", encoding="utf-8")) if row["split"] == "test"}
    for one in json.load(open(f"{work}/half{half}.json", encoding="utf-8"))["answers"]:
        if os.path.basename(one["file"]) in test:
            texts[os.path.basename(one["file"])] = one["text"]
json.dump(texts, open(f"{work}/halves.json", "w", encoding="utf-8"), ensure_ascii=False)
PYTHON
echo "--- Chinese plates, drawn ones alone against LPRNet"
/usr/bin/python3 bench/read_rival.py score "$data/ocr_cn_plates/labels.csv" "$work/drawn.json" "$work/lprnet.json"
echo "--- Chinese plates, drawn ones and the other half against LPRNet"
/usr/bin/python3 bench/read_rival.py score "$data/ocr_cn_plates/labels.csv" "$work/halves.json" "$work/lprnet.json"
for country in eu br us; do
  echo "--- plates of $country, drawn ones alone"
  "$bin/sightline" eval latin "$data/det_ocr_openalpr_plates/$country" --labels "$data/det_ocr_openalpr_plates/$country.csv" --workspace "$work/workspace"
done
