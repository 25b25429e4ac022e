# SPDX-License-Identifier: GPL-2.0-or-later
"""set: working sets are shown and combined; files that are none are refused."""
import contextlib
import os
import sys
import tempfile

sys.path[0] += "/.."
from harness import contains, eq, main, run, test

A = [(0x1000, 0x2000, "r", 5), (0x8000, 0x1000, "w", 10**8), (0x4000, 0x1000, "r", 2 * 10**8)]
B = [(0, 0x2000, "w", 7), (0x8000, 0x8000, "r", 9)]


def text(items, image=(1 << 20, 0xaa), version=1, end=None):
    lines = [f"uffdctl-set {version}", f"image {image[0]} {image[1]:016x}"]
    lines += [f"{offset:x} {size:x} {access} {ns}" for offset, size, access, ns in items]
    return "\n".join([*lines, end or f"end {len(items)}"]) + "\n"


@contextlib.contextmanager
def files(**named):
    """Files with these texts, as paths by name."""
    with tempfile.TemporaryDirectory(prefix="uffdctl-set.") as d:
        for name, content in named.items():
            with open(f"{d}/{name}", "w", encoding="latin-1") as f:
                f.write(content)
        yield {name: f"{d}/{name}" for name in named}


def items(out):
    head, image, *rest, end = out.splitlines()
    eq((head, image, end), ("uffdctl-set 1", f"image {1 << 20} {0xaa:016x}", f"end {len(rest)}"), "its frame")
    return [(int(o, 16), int(n, 16), access, int(ns)) for o, n, access, ns in map(str.split, rest)]


@test
def set_show():
    with files(a=text(A), b=text(B)) as f:
        rows = run("set", "show", "-J", f["a"], f["b"], check=0).json()["set"]
        eq([(r["file"], r["image"], r["size"], r["share"], r["read"], r["written"], r["runs"], r["last_ns"]) for r in rows],
           [(f["a"], 1 << 20, 0x4000, 1, 0x3000, 0x1000, 3, 2 * 10**8), (f["b"], 1 << 20, 0xa000, 3, 0x8000, 0x2000, 2, 9)], "rows")
        rows = run("set", "show", "-J", "--runs", f["a"], check=0).json()["set"]
        eq([(r["offset"], r["size"], r["access"][0], r["time_ns"]) for r in rows], A, "runs")
        rows = run("set", "show", "-J", "--runs", f["a"], f["b"], check=0).json()["set"]
        eq([(r["file"], r["offset"]) for r in rows], [(f[k], x[0]) for k, v in (("a", A), ("b", B)) for x in v], "of two files")
        eq(run("set", "show", "--runs", "-n", "-o", "file", f["b"], check=0).out, f"{f['b']}\n" * len(B), "file")


@test
def set_combine():
    with files(a=text(A), b=text(B), none=text([])) as f:
        eq(items(run("set", "union", f["a"], f["b"], check=0).out),
           [*A, (0, 0x1000, "w", 7), (0x9000, 0x7000, "r", 9)], "union")
        eq(items(run("set", "intersect", f["a"], f["b"], check=0).out), [(0x1000, 0x1000, "r", 5), (0x8000, 0x1000, "w", 10**8)],
           "intersect")
        eq(items(run("set", "diff", f["a"], f["b"], check=0).out), [(0x2000, 0x1000, "r", 5), (0x4000, 0x1000, "r", 2 * 10**8)],
           "diff")
        eq(items(run("set", "diff", f["a"], f["b"], f["a"], check=0).out), [], "of three")
        eq(items(run("set", "union", f["none"], f["b"], f["none"], check=0).out), B, "with an empty one")


@test
def set_other_image():
    with files(a=text(A), other=text(B, (1 << 20, 0xab)), size=text(B, (1 << 21, 0xaa))) as f:
        for name in ("other", "size"):
            r = run("set", "union", f["a"], f[name], check=1)
            contains(r.err, "different images")
            eq(r.out, "", "nothing is written")


@test
def set_refused():
    """What is no working set, or damaged, or of a later version: with its line, and the others are shown all the same."""
    bad = {
        "empty": "", "other": "root:x:0:0\n", "binary": "\x7fELF\x00\x01", "version": text(A, version=2), "cut": text(A)[:60],
        "without_end": "\n".join(text(A).splitlines()[:-1]) + "\n", "count": text(A, end="end 2"), "more": text(A) + "x\n",
        "outside": text([(1 << 20, 1, "r", 0)]), "overflow": text([(2**64 - 1, 2, "r", 0)]), "zero": text([(0, 0, "r", 0)]),
        "twice": text([(0, 0x2000, "r", 0), (0x1000, 0x1000, "r", 1)]), "access": text([(0, 1, "x", 0)]),
        "long": text(A).replace("1000", "1" * 200, 1), "number": text([(0, 1, "r", "9" * 25)]), "sign": text(A).replace("1000", "-1", 1),
    }
    with files(good=text(B), **bad) as f:
        for name in bad:
            r = run("set", "show", "-n", f[name], f["good"], check=1)
            contains(r.err, f[name])
            contains(r.out, f["good"])
            eq(len(r.err.splitlines()), 1, f"{name}: one message: {r.err}")
            run("set", "union", f["good"], f[name], check=1)
        contains(run("set", "show", f["version"], check=1).err, "version 2")
        run("set", "show", os.path.dirname(f["good"]), check=1)
        run("set", "show", f["good"] + "-not", check=1)


@test
def set_usage():
    with files(a=text(A)) as f:
        for args in ([], ["show"], ["frobnicate", f["a"]], ["diff", f["a"]], ["union", "--runs", f["a"], f["a"]],
                     ["union", "-n", f["a"], f["a"]], ["union", "-r", f["a"], f["a"]], ["union", "-b", f["a"], f["a"]]):
            run("set", *args, check=2)


@test
def set_output_is_columns():
    """-o names columns, as everywhere: it is no file to write a working set to."""
    with files(a=text(A), b=text(B)) as f:
        for name in ("SIZE", f"{f['a']}.new"):
            contains(run("set", "union", "-o", name, f["a"], f["b"], check=2).err, "append >FILE")
        eq(run("set", "show", "-J", "-o", "SIZE", f["a"], check=0).json()["set"], [{"size": 0x4000}], "show")
        eq(run("set", "diff", "-J", "-o", "SIZE", f["a"], f["b"], check=0).json()["set"], [{"size": 0x1000}] * 2, "diff")


@test
def set_json():
    """A combined one as show --runs has it; errors are in JSON, too, with the name of errno."""
    with files(a=text(A), b=text(B), other=text(B, (1 << 20, 0xab))) as f:
        rows = run("set", "union", "-J", f["a"], f["b"], check=0).json()["set"]
        eq([(r["offset"], r["size"], r["access"][0], r["time_ns"]) for r in rows], [*A, (0, 0x1000, "w", 7), (0x9000, 0x7000, "r", 9)],
           "union")
        for args, name in ((["intersect", f["a"], f["other"]], "EXDEV"), (["show", f["a"] + "-not"], "ENOENT"),
                           (["show", "--runs", f["a"] + "-not"], "ENOENT"), (["union", f["a"], f["a"] + "-not"], "ENOENT")):
            r = run("set", "-J", *args, check=1)
            eq(r.json()["set"], [], f"{args}: rows")
            eq([(e["pid"], e["error"], f"uffdctl: {e['message']}\n") for e in r.json()["errors"]], [(None, name, r.err)], f"{args}")


main()
