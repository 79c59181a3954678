"""Training throughput, the rival: the same net, batch, type, threads, loss, optimiser and flips as sightline-train, written as a good PyTorch programmer writes it
for data that fit into memory (whole-batch indexing and flipping, no DataLoader). Debian's python3-torch.
   bench/train_rival.py prepare WORK_DIR             writes Fashion-MNIST as a packed set (all 60,000 pictures for training) and the specification's parts
   bench/train_rival.py run WORK_DIR BACKBONE EPOCHS THREADS LAYOUT PARAMETERS
                                                     LAYOUT: contiguous or channels_last; PARAMETERS: how many our net has, refused when the
                                                     rival's has another number. Prints images per second, set-up not counted"""
import gzip
import json
import struct
import sys
import time

side, classes, batch = 28, 10, 128
folder = "/usr/share/datasets/fashion-mnist"


def prepare(work):
    with gzip.open(f"{folder}/train-images-idx3-ubyte.gz") as file:
        pixels = file.read()[16:]
    with gzip.open(f"{folder}/train-labels-idx1-ubyte.gz") as file:
        labels = file.read()[8:]
    count = len(labels)
    header = json.dumps({"count": count, "height": side, "width": side, "channels": 1, "classes": [str(k) for k in range(classes)]}).encode()
    header += b" " * (-(16 + len(header)) % 64)
    content = b"SLPACK01" + struct.pack("<Q", len(header)) + header + struct.pack(f"<{count}i", *labels) + bytes(count)
    content += bytes(-len(content) % 64) + pixels
    with open(f"{work}/set.pack", "wb") as file:
        file.write(content)


def run(work, backbone, epochs, threads, layout, parameters):
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(7)

    # The nets of src/modules/resnet.cpp and plain.cpp, line by line.
    def norm(inputs, outputs, pool=False):
        pooled = [nn.MaxPool2d(2)] if pool else []
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), *pooled, nn.ReLU(inplace=True))

    class Residual(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.branch = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(x + self.branch(x))

    pool = nn.MaxPool2d(2)
    bodies = {
        "resnet-s": lambda: [norm(1, 16, pool=True), norm(16, 32, pool=True), norm(32, 64), Residual(64)],
        "resnet-m": lambda: [norm(1, 32), Residual(32), pool, norm(32, 64), Residual(64), pool, norm(64, 96), Residual(96)],
        "plain-s": lambda: [norm(1, 16, pool=True), norm(16, 32, pool=True), norm(32, 64), norm(64, 64)],
    }
    width = {"resnet-s": 64, "resnet-m": 96, "plain-s": 64}[backbone]
    net = nn.Sequential(*bodies[backbone](), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
    count = sum(p.numel() for p in net.parameters()) + sum(b.numel() for b in net.buffers() if b.dim() > 0)  # running statistics count
    if count != parameters:
        sys.exit(f"the rival's {backbone} has {count} parameters, ours {parameters}: they are not the same net any more")
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    net = net.to(memory_format=memory_format).train()

    with open(f"{work}/set.pack", "rb") as file:
        content = file.read()
    length = struct.unpack("<Q", content[8:16])[0]
    count = json.loads(content[16 : 16 + length])["count"]
    labels = torch.tensor(struct.unpack_from(f"<{count}i", content, 16 + length))
    pixels = torch.frombuffer(bytearray(content[-count * side * side :]), dtype=torch.uint8).view(count, 1, side, side)

    weights = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    steps = epochs * -(-count // batch)
    optimizer = torch.optim.SGD([{"params": weights, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0}], lr=0.2, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, total_steps=steps, pct_start=0.15, cycle_momentum=False)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)

    begin = time.perf_counter()
    for _ in range(epochs):
        correct, total = 0, 0.0
        for chosen in torch.randperm(count).split(batch):
            x = pixels[chosen]
            flip = torch.rand(len(chosen)) < 0.5
            x = torch.where(flip.view(-1, 1, 1, 1), x.flip(3), x)
            x = ((x.float() - 72.9) / 90.0).contiguous(memory_format=memory_format)
            y = labels[chosen]
            logits = net(x)
            loss = criterion(logits, y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            correct += (logits.argmax(1) == y).sum().item()
            total += loss.item()
    seconds = time.perf_counter() - begin
    print(f"{epochs * count / seconds:.0f}")
    print(f"loss {total * batch / count:.4f} top1 {correct / count:.4f}", file=sys.stderr)


if sys.argv[1] == "prepare":
    prepare(sys.argv[2])
else:
    run(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), sys.argv[6], int(sys.argv[7]))
