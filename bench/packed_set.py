"""Reads what `sightline-…-bench prepare` packs (docs/formats/packed-set.md), for the rivals."""
import json
import struct

import numpy


class PackedSet:
    """classes, side, splits (0 training, 1 validation, 2 test), pixels N×side×side×3; the parts that the header announces follow by part()."""

    def __init__(self, path):
        self.data = numpy.memmap(path, dtype=numpy.uint8, mode="r")
        assert bytes(self.data[:8]) == b"SLPACK01", path
        (length,) = struct.unpack("<Q", bytes(self.data[8:16]))
        self.head = json.loads(bytes(self.data[16 : 16 + length]))
        self.count, self.side, self.classes = self.head["count"], self.head["height"], self.head["classes"]
        assert self.head["width"] == self.side and self.head["channels"] == 3, path
        self.at = 16 + length + 4 * self.count
        self.splits = numpy.array(self.data[self.at : self.at + self.count])
        self.at += self.count
        self.pixels = self.part(self.count * self.side**2 * 3).reshape(self.count, self.side, self.side, 3)

    def part(self, size):
        """The next bytes, from a multiple of 64 on."""
        begin = (self.at + 63) // 64 * 64
        self.at = begin + size
        return self.data[begin : self.at]
