#!/usr/bin/env python3
"""Golden numbers of restoration, computed independently in plain Python: writes restore.json beside this file.

PSNR and SSIM from their definitions (docs/restore.md): every window of 11 x 11 is weighed by a two-dimensional Gaussian and its mean,
variances and covariance are taken about the mean, with no separable filters and no sums of squares. Bicubic shrinking and enlarging by
Keys' kernel (a = -1/2), one output pixel at a time over a two-dimensional neighbourhood.
Run: python3 tests/golden/restore_golden.py
"""
import json
import math
import os

from generator import Generator

WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(a, b):
    values = [(x - y) ** 2 for row_a, row_b in zip(a, b) for x, y in zip(row_a, row_b)]
    mean = sum(values) / len(values)
    return 100.0 if mean == 0 else 10 * math.log10(255**2 / mean)


def gaussian():
    half = WINDOW // 2
    weights = {(i, j): math.exp(-(i * i + j * j) / (2 * SIGMA**2)) for i in range(-half, half + 1) for j in range(-half, half + 1)}
    total = math.fsum(weights.values())
    return {place: weight / total for place, weight in weights.items()}


def ssim(a, b):
    weights, half = gaussian(), WINDOW // 2
    height, width = len(a), len(a[0])
    values = []
    for y in range(half, height - half):
        for x in range(half, width - half):
            around = [(weight, a[y + i][x + j], b[y + i][x + j]) for (i, j), weight in weights.items()]
            mean_a = math.fsum(w * p for w, p, _ in around)
            mean_b = math.fsum(w * q for w, _, q in around)
            var_a = math.fsum(w * (p - mean_a) ** 2 for w, p, _ in around)
            var_b = math.fsum(w * (q - mean_b) ** 2 for w, _, q in around)
            both = math.fsum(w * (p - mean_a) * (q - mean_b) for w, p, q in around)
            values.append(((2 * mean_a * mean_b + C1) * (2 * both + C2)) / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2)))
    return math.fsum(values) / len(values)


def keys(x):
    x = abs(x)
    if x < 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    if x < 2:
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return 0.0


def mirrored(i, n):
    """The edge pixel stands twice."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


def resized(picture, factor):
    """factor: of the sides; below 1 the kernel is widened by its inverse."""
    height, width = len(picture), len(picture[0])
    rows, columns = round(height * factor), round(width * factor)
    wide = max(1.0, 1 / factor)
    result = []
    for y in range(rows):
        middle_y = (y + 0.5) / factor - 0.5
        line = []
        for x in range(columns):
            middle_x = (x + 0.5) / factor - 0.5
            total = value = 0.0
            for i in range(math.floor(middle_y - 2 * wide), math.ceil(middle_y + 2 * wide) + 1):
                for j in range(math.floor(middle_x - 2 * wide), math.ceil(middle_x + 2 * wide) + 1):
                    weight = keys((i - middle_y) / wide) * keys((j - middle_x) / wide)
                    total += weight
                    value += weight * picture[mirrored(i, height)][mirrored(j, width)]
            line.append(value / total)
        result.append(line)
    return result


def main():
    draw = Generator(11)
    pairs = []
    for height, width, noise in ((11, 11, 40), (16, 23, 10), (20, 14, 90), (15, 15, 0)):
        a = [[min(255, max(0, int(128 + 90 * math.sin(0.4 * x + 0.7 * y) + 20 * draw.uniform()))) for x in range(width)] for y in range(height)]
        b = [[min(255, max(0, int(p + noise * (draw.uniform() - 0.5)))) for p in row] for row in a]
        pairs.append({"a": a, "b": b, "psnr": psnr(a, b), "ssim": ssim(a, b)})
    picture = [[draw.below(256) for _ in range(16)] for _ in range(12)]
    sizes = [{"factor": f, "values": resized(picture, f)} for f in (0.5, 0.25, 2, 4)]
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "restore.json"), "w") as out:
        json.dump({"pairs": pairs, "picture": picture, "sizes": sizes}, out)
        out.write("\n")


if __name__ == "__main__":
    main()
