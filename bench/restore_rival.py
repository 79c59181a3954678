#!/usr/bin/env python3
"""What restorers are compared with, on the files that sightline-restore-bench prepared. Writes WORK/KIND/NAME.png.

dncnn    Zhang et al. 2017: 3x3 convolutions with batch normalisation that give the noise; as many layers and maps as cost at least what
         ours costs a pixel. Adam, cosine, averaged weights, random crops turned and mirrored, mean squared error, bf16 like ours.
wiener   Wiener's filter with the true kernel in the Fourier domain, edges tapered, the ratio of noise to signal (white, or falling with the
         squared frequency) chosen on the validation pictures.
bicubic  OpenCV's interpolation.
"""
import argparse
import copy
import math
import pathlib
import time

import cv2
import numpy

SEED = 7


def pictures(folder):
    return {path.stem: cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(folder.glob("*.png"))}


def written(folder, name, values):
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / f"{name}.png"), numpy.clip(numpy.round(values), 0, 255).astype(numpy.uint8))


def psnr(a, b):
    return 10 * math.log10(255**2 / numpy.mean((a.astype(float) - b.astype(float)) ** 2))


def wiener(picture, kernel, ratio, power):
    """picture was mirrored at its edge when it was blurred."""
    pad = 2 * (kernel.shape[0] // 2) + 8
    padded = cv2.copyMakeBorder(picture.astype(numpy.float64), pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
    height, width = padded.shape
    spread = numpy.zeros_like(padded)
    spread[: kernel.shape[0], : kernel.shape[1]] = kernel
    spread = numpy.roll(spread, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    transfer = numpy.fft.fft2(spread)
    # Edges run into their own blurred picture, so that they wrap around without a step.
    across = numpy.minimum(numpy.arange(width), numpy.arange(width)[::-1])
    down = numpy.minimum(numpy.arange(height), numpy.arange(height)[::-1])
    weight = numpy.minimum(1, numpy.minimum(across[None, :], down[:, None]) / pad)
    wrapped = numpy.real(numpy.fft.ifft2(numpy.fft.fft2(padded) * transfer))
    tapered = weight * padded + (1 - weight) * wrapped
    frequency = numpy.fft.fftfreq(height)[:, None] ** 2 + numpy.fft.fftfreq(width)[None, :] ** 2
    noise = ratio * (frequency * 100 if power else 1.0)
    mean = tapered.mean()
    restored = numpy.real(numpy.fft.ifft2(numpy.fft.fft2(tapered - mean) * numpy.conj(transfer) / (numpy.abs(transfer) ** 2 + noise + 1e-9))) + mean
    return numpy.clip(restored[pad:-pad, pad:-pad], 0, 255)


def run_wiener(work):
    kernels = lambda folder: {path.stem: numpy.loadtxt(path, ndmin=2) for path in folder.glob("*.kernel")}
    sharp, bad, of = pictures(work / "validation"), pictures(work / "validation_bad"), kernels(work / "validation_bad")
    best = max(
        ((numpy.mean([psnr(wiener(bad[n], of[n], ratio, power), sharp[n]) for n in of]), ratio, power) for power in (False, True) for ratio in 10 ** numpy.arange(-5, 0.1, 0.25))
    )
    print(f"Wiener: validation PSNR {best[0]:.2f} dB with a noise ratio of {best[1]:.2g}{' times the squared frequency' if best[2] else ''}")
    bad, of = pictures(work / "bad"), kernels(work / "bad")
    for name, picture in bad.items():
        written(work / "wiener", name, wiener(picture, of[name], best[1], best[2]))


def run_bicubic(work):
    sharp = pictures(work / "sharp")
    for name, picture in pictures(work / "bad").items():
        scale = sharp[name].shape[0] // picture.shape[0]
        written(work / "bicubic", name, cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))


def run_dncnn(work, minutes, strength, width, depth, batch, side, rate):
    import torch
    from torch import nn

    torch.set_num_threads(2)
    torch.manual_seed(SEED)
    torch.set_flush_denormal(True)
    layers = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU(True)]
    for _ in range(depth - 2):
        layers += [nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(True)]
    layers += [nn.Conv2d(width, 1, 3, padding=1)]
    net = nn.Sequential(*layers)
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(net[-1].weight)  # at first it finds no noise: with weights drawn here too it was 2.5 dB behind after two minutes
    print(f"DnCNN of {depth} layers, {width} maps: {sum(p.numel() for p in net.parameters())} parameters, {2 * (18 * width + (depth - 2) * 9 * width * width)} operations a pixel", flush=True)
    net = net.to(memory_format=torch.channels_last)
    average = copy.deepcopy(net.state_dict())
    training = list(pictures(work / "train").values())
    random = numpy.random.default_rng(SEED)
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    begin, step, seconds, total, bf16 = time.time(), 0, minutes * 60, [], True
    net.train()
    while time.time() - begin < seconds:
        progress = min((time.time() - begin) / seconds, 1)
        for group in optimiser.param_groups:
            group["lr"] = rate * (progress / 0.05 if progress < 0.05 else (1 + math.cos(math.pi * (progress - 0.05) / 0.95)) / 2)
        crops = []
        for _ in range(batch):
            picture = training[random.integers(len(training))]
            top, left = (random.integers(length - side + 1) for length in picture.shape)
            crop = numpy.rot90(picture[top : top + side, left : left + side], random.integers(4))
            crops.append(crop[:, ::-1] if random.integers(2) else crop)
        clean = numpy.stack(crops).astype(numpy.float32)
        bad = numpy.clip(numpy.round(clean + strength * random.standard_normal(clean.shape)), 0, 255).astype(numpy.float32)
        wanted = torch.from_numpy((bad - clean)[:, None] / 255)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            noise = net(torch.from_numpy(bad[:, None] / 255).contiguous(memory_format=torch.channels_last))
        loss = (noise.float() - wanted).square().mean() * 1000
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total.append(loss.item())
        decay = min(0.995, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, value in net.state_dict().items():
                average[name].lerp_(value, 1 - decay) if value.is_floating_point() else average[name].copy_(value)
        step += 1
        if step % 200 == 0:
            print(f"step {step}: {10 * math.log10(1000 / numpy.mean(total[-200:])):.2f} dB in training, {time.time() - begin:.0f} s", flush=True)
    net.load_state_dict(average)
    net.eval()
    spent = []
    with torch.no_grad():
        for name, picture in pictures(work / "bad").items():
            first = time.time()
            bad = torch.from_numpy(picture[None, None].astype(numpy.float32) / 255)
            restored = (bad - net(bad))[0, 0].numpy() * 255
            spent.append(time.time() - first)
            written(work / "dncnn", name, restored)
    print(f"{step} steps; {1000 * sorted(spent)[len(spent) // 2]:.1f} ms a picture in the median (LibTorch, f32)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["dncnn", "wiener", "bicubic"])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--strength", type=float, default=25)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.kind == "wiener":
        run_wiener(options.work)
    elif options.kind == "bicubic":
        run_bicubic(options.work)
    else:
        run_dncnn(options.work, options.minutes, options.strength, options.width, options.depth, options.batch, options.side, options.rate)


main()
