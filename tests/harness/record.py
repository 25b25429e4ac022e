# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings, made here by lib/record/format.h alone, so that they can hold what no kernel would say."""
import struct

MAGIC, VERSION = b"uffdrec\n", 1
INFO, THREAD, SHAPE, MAPPING, CODE, FORGET, STATS, TEAM, TOTAL, RESOLVER, END, FAILURE = range(1, 13)
TEXT, NUMBER = 1, 2  # of RECORD_MAPPING and RECORD_CODE
MISSING, WP, MINOR, RWP = range(1, 5)


def crc32c(data, crc=0xffffffff):
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def number(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def signed(n):
    return number(2 * n if n >= 0 else -2 * n - 1)


def text(t):
    t = t if isinstance(t, bytes) else t.encode("utf-8", "surrogateescape")
    return number(len(t)) + t


def item(kind, *parts):
    return bytes([2 * kind]) + b"".join(number(p) if isinstance(p, int) else text(p) for p in parts)


def head(version=VERSION):
    start = MAGIC + struct.pack("<I", version)
    return start + struct.pack("<I", crc32c(start))


def block(items):
    start = struct.pack("<II", len(items), crc32c(items))
    return start + struct.pack("<I", crc32c(start)) + items


def info(selection="PID 1", recording=77, part=0, began=10**9, kernel="6.12.0"):
    return item(INFO, "0.1.0", kernel, "fentry", selection, began, 1700000000 * 10**9, recording, part)


def block_of_fault(thread=1, shape=1, resolver=0, reader=0, mapping=1, code=0, start=10**9,
                   wait=1000, queued=None, addr=0x7f0000000000):
    """A block that begins with a fault."""
    flags = 1 | (0 if wait is not None else 0x40) | (0 if queued is not None else 0x80)
    known = b"".join(number(n) for n in (wait, queued) if n is not None)
    named = b"".join(map(number, (thread, shape, resolver, reader, mapping, code)))
    return bytes([flags]) + named + signed(start) + known + signed(addr)


def write(path, *blocks, version=VERSION):
    with open(path, "wb") as f:
        f.write(head(version) + b"".join(map(block, blocks)))


def blocks(data):
    """Where the blocks of a file begin, and its end."""
    at = [16]
    while at[-1] < len(data):
        at.append(at[-1] + 12 + struct.unpack_from("<I", data, at[-1])[0])
    return at
