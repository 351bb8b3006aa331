"""Ways to spoil a file.  Every mutation is a function of (seed, number), so that one that fails can be made again."""

import copy
import json
import zlib

import numpy as np

INTERESTING = (0, 1, 9, 0x7F, 0x80, 0xFE, 0xFF, ord("0"), ord("9"), ord("-"), ord('"'))
LEAVES = (
    None, True, -1, 0, 1, 3, 10**12, 10**30, -0.0, 0.5, 1e308, float("nan"), float("inf"), "", "x", "nan", [], {}, [1],
    {"x": 1}, [[]],
)  # fmt: skip


def flip_bits(rng, content):
    for place in rng.integers(0, len(content), rng.integers(1, 9)):
        content[place] ^= 1 << rng.integers(0, 8)


def edit_header(rng, content):
    for place in rng.integers(0, min(len(content), 128), rng.integers(1, 4)):
        content[place] = rng.choice(INTERESTING)


def edit_anywhere(rng, content):
    for place in rng.integers(0, len(content), rng.integers(1, 4)):
        content[place] = rng.choice(INTERESTING)


def truncate(rng, content):
    del content[rng.integers(0, len(content)) :]


def extend(rng, content):
    size = int(rng.integers(1, 2000))
    content += [rng.bytes(size), bytes(size), bytes(content[:size])][rng.integers(0, 3)]


def huge_length(rng, content):
    """A large number where a length may stand: of 2, 4 or 8 bytes, either order of bytes, or in digits."""
    width = int(rng.choice([2, 4, 8]))
    bits = 8 * width
    number = [(1 << bits) - 1, (1 << bits - 1) - 1, 1 << bits - 1, 1 << bits - 4][rng.integers(0, 4)]
    value = number.to_bytes(width, rng.choice(["little", "big"])) if rng.integers(0, 4) else b"9" * width
    place = int(rng.integers(0, min(len(content), 256)))
    content[place : place + width] = value


def cut_out(rng, content):
    start = int(rng.integers(0, len(content)))
    del content[start : start + int(rng.integers(1, 64))]


def repeat(rng, content):
    start = int(rng.integers(0, len(content)))
    piece = content[start : start + int(rng.integers(1, 64))]
    content[start:start] = piece * int(rng.integers(1, 20))


def put_noise(rng, content):
    start = int(rng.integers(0, len(content)))
    content[start:start] = rng.bytes(int(rng.integers(1, 16)))


MUTATORS = (flip_bits, edit_header, edit_anywhere, truncate, extend, huge_length, cut_out, repeat, put_noise)


def mutated(content, seed):
    """Content with one to three faults, and a generator for what is to be chosen further."""
    rng = np.random.default_rng(seed)
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        if changed:
            MUTATORS[rng.integers(0, len(MUTATORS))](rng, changed)
    return bytes(changed)


def other_leaf(text, seed):
    """JSON with one to three of its values, at any depth, replaced or removed."""
    rng = np.random.default_rng(seed)
    value = json.loads(text)
    for _ in range(rng.integers(1, 4)):
        at = value
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not keys:
                break
            key = keys[rng.integers(0, len(keys))]
            if isinstance(at[key], (dict, list)) and rng.integers(0, 4):
                at = at[key]
                continue
            if rng.integers(0, 6):
                at[key] = copy.deepcopy(LEAVES[rng.integers(0, len(LEAVES))])
            else:
                del at[key]
            break
    return json.dumps(value)


# -- files whose checksums are put right again, so that the faults behind them are met -------------------------------


def png_again(content):
    """The chunks of a PNG with right checksums, as far as they can be told."""
    parts, place = [content[:8]], 8
    while place + 12 <= len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        if place + 12 + size > len(content):
            break
        body = content[place + 4 : place + 8 + size]
        parts += [content[place : place + 4], body, zlib.crc32(body).to_bytes(4, "big")]
        place += 12 + size
    return b"".join([*parts, content[place:]])


def tar_again(content):
    """The blocks of a tar that look like headers with right checksums."""
    changed = bytearray(content)
    for place in range(0, len(changed) - 511, 512):
        header = changed[place : place + 512]
        if header[257:262] == b"ustar" or header[:5] == b"cifar":
            header[148:156] = b" " * 8
            changed[place + 148 : place + 156] = b"%06o\0 " % sum(header)
    return bytes(changed)
