"""Intake: `sightline data split` (decode, hash, perceptual hash, statistics of every file) against a Python loop with Pillow that decodes and hashes in two
processes. 20,000 JPEG files of 96×96 pixels in ten class folders, warm. Alternately, median of 3.
   bench/intake.py BIN_DIR WORK_DIR"""
import hashlib
import io
import json
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import sys
import time

from PIL import Image

binary, work = sys.argv[1] + "/sightline", sys.argv[2] + "/jpegs"
count = 20000


def draw(index):
    rng = random.Random(index)
    small = Image.frombytes("RGB", (8, 8), rng.randbytes(192))
    stream = io.BytesIO()
    small.resize((96, 96), Image.BICUBIC).save(stream, "JPEG", quality=90)
    path = f"{work}/class{index % 10}/{index:06d}.jpg"
    with open(path, "wb") as file:
        file.write(stream.getvalue())
    return path


def rival(path):
    with open(path, "rb") as file:
        content = file.read()
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    small = picture.convert("L").resize((32, 32))
    return hashlib.sha256(content).hexdigest(), sum(small.getdata())


if __name__ == "__main__":
    for index in range(10):
        os.makedirs(f"{work}/class{index}", exist_ok=True)
    with multiprocessing.Pool() as pool:
        paths = pool.map(draw, range(count), 500)
        ours, theirs = [], []
        for turn in range(4):
            begin = time.perf_counter()
            subprocess.run([binary, "data", "split", work, "--group-by", "none", "--json", "--quiet"], stdout=subprocess.DEVNULL, check=True)
            if turn:
                ours.append(count / (time.perf_counter() - begin))
            begin = time.perf_counter()
            pool.map(rival, paths, 500)
            if turn:
                theirs.append(count / (time.perf_counter() - begin))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    us, them = statistics.median(ours), statistics.median(theirs)
    print(f"sightline {us:,.0f} files/s   rival (Pillow, 2 processes) {them:,.0f} files/s   ratio {us / them:.2f}   largest child {peak:.0f} MB")
