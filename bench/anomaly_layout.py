"""Sets at hand in MVTec's layout (links, no copies), for bench/anomaly.sh. Half of the pictures that are not good are for looking at while something is chosen (`tune`),
the other half is looked at once (`report`); the good ones to learn from are the same, those of the test are halved as well.
   /usr/bin/python3 bench/anomaly_layout.py tiles ../shared/data/seg_cls_anom_magnetic_tile OUT
   /usr/bin/python3 bench/anomaly_layout.py boards ../shared/data/det_anom_deeppcb OUT
Writes OUT/tune and OUT/report. tiles: MT_Free is good, masks beside the pictures. boards: templates are good, the other picture of each pair is not; masks are the boxes
of its annotations, filled. A pair's template is never learned from when its other picture is tested."""
import os
import pathlib
import random
import re
import sys

from PIL import Image, ImageDraw


def link(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.symlink(os.path.abspath(source), target)


def tiles(data, out):
    good = sorted((data / "MT_Free").glob("*.jpg"))
    random.Random(1).shuffle(good)
    tested = good[700:]
    for part in range(2):
        root = out / ("tune", "report")[part]
        for file in good[:700]:
            link(file, root / "train/good" / file.name)
        for file in tested[part::2]:
            link(file, root / "test/good" / file.name)
        for kind in ("Blowhole", "Break", "Crack", "Fray", "Uneven"):
            for file in sorted((data / f"MT_{kind}").glob("*.jpg"))[part::2]:
                link(file, root / "test" / kind.lower() / file.name)
                link(file.with_suffix(".png"), root / "ground_truth" / kind.lower() / f"{file.stem}_mask.png")


def boards(data, out):
    pairs = sorted(data.glob("*/*_template.png"))
    random.Random(1).shuffle(pairs)
    tested = pairs[400:]
    for part in range(2):
        root = out / ("tune", "report")[part]
        for file in pairs[:400]:
            link(file, root / "train/good" / file.name)
        for file in tested[part::2]:
            name = file.name.replace("_template", "")
            link(file, root / "test/good" / file.name)
            link(file.with_name(name), root / "test/fault" / name)
            mask = root / "ground_truth/fault" / f"{name[:-4]}_mask.png"
            if mask.exists():
                continue
            mask.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.new("L", Image.open(file).size, 0)
            boxes = re.findall(r"<xmin>(\d+)</xmin><ymin>(\d+)</ymin><xmax>(\d+)</xmax><ymax>(\d+)</ymax>", file.with_name(name[:-4] + ".xml").read_text())
            for box in boxes:
                ImageDraw.Draw(picture).rectangle([int(v) for v in box], fill=255)
            picture.save(mask)


if __name__ == "__main__":
    {"tiles": tiles, "boards": boards}[sys.argv[1]](pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
