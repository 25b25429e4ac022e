# SPDX-License-Identifier: GPL-2.0-or-later
"""How the code is laid out (README): includes go one way, libraries stand behind one folder, functions are short."""
import collections
import glob
import os
import re
import sys

sys.path[0] += "/.."
from harness import ROOT, eq, main, ok, test

# From the bottom up. What is in one folder of a layer includes nothing of another one.
LAYERS = [["bpf"], ["bpf/watch"], ["lib"], ["lib/kernel"], ["lib/symbols"], ["lib/inspect"],
          ["lib/drive", "lib/watch", "lib/record", "lib/set"], ["cmd"], ["cmd/watch"], ["cmd/watch/view", "cmd/report"],
          ["cmd/complete"]]
LEVEL = {folder: level for level, folders in enumerate(LAYERS) for folder in folders}
SHARED = "bpf/event.h"  # all that the two sides of BPF share
# Who uses libbpf and loads no program: for its messages; for what the programs of a backend are told, and write.
LIBBPF = ("lib/kernel/bpf_print.c", "lib/watch/")
LONGEST = 50


def files():
    """{path from the top of the tree: text}"""
    found = {}
    for path in sorted(p for top in ("bpf", "lib", "cmd") for p in glob.glob(f"{ROOT}/{top}/**/*.[ch]", recursive=True)):
        with open(path) as f:
            found[os.path.relpath(path, ROOT)] = f.read()
    return found


def folder(path):
    return os.path.dirname(path)


def unit(path):
    """A .c with its .h."""
    return re.sub(r"(\.bpf)?\.[ch]$", "", path)


def includes():
    """(file, what it includes) of the tree's own, named from its top, or in bpf/ from there."""
    tree = files()
    for path, text in tree.items():
        for name in re.findall(r'^#\s*include "(.+)"', text, re.M):
            beside = os.path.join(folder(path), name)
            if name in tree or beside in tree:
                yield path, name if name in tree else beside
            else:
                ok(re.search(r"\.l?skel\.h$|^syscalls\.h$", name), f"{path} includes {name}: there is no such file")


def users(pattern):
    """The files that include a header whose name matches."""
    return [path for path, text in files().items() if re.search(rf'^#\s*include [<"](?:{pattern})', text, re.M)]


def circles(graph):
    """Sets of units each of which leads to each other of its set (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(v):
        index[v] = low[v] = len(index)
        stack.append(v)
        for w in graph[v]:
            if w not in index:
                visit(w)
                low[v] = min(low[v], low[w])
            elif w in stack:
                low[v] = min(low[v], index[w])
        if low[v] == index[v]:
            at = stack.index(v)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for v in list(graph):
        if v not in index:
            visit(v)
    return found


@test
def house_layers():
    """No file includes what is above its folder, or beside it; of bpf/, the library includes one file."""
    eq(sorted({folder(p) for p in files()} - set(LEVEL)), [], "folders without a layer")
    eq([f"{path} includes {name}" for path, name in includes()
        if folder(path) != folder(name) and LEVEL[folder(path)] <= LEVEL[folder(name)]], [], "steps up")
    eq([f"{path} includes {name}" for path, name in includes()
        if not path.startswith("bpf/") and name.startswith("bpf/") and name != SHARED], [], "more of bpf/")
    eq([f"{path} includes {name}" for path, name in includes()
        if path.startswith("cmd/") and folder(name) in LEVEL and folder(name).startswith("lib/")], [],
       "the command's, of the library's inside")


@test
def house_circles():
    graph = collections.defaultdict(set)
    for path, name in includes():
        if unit(path) != unit(name):
            graph[unit(path)].add(unit(name))
    ok(len(graph) > 50, "includes are found")
    eq(circles(graph), [], "files that include each other")


@test
def house_libraries():
    """libbpf is used where programs are loaded or talked to, elfutils for symbols, ncurses for the view."""
    loads = set(users(r".*\.l?skel\.h"))
    eq([p for p in users(r"bpf/(?!event\.h)") if p not in loads and not p.startswith(("bpf/", *LIBBPF))], [], "libbpf")
    eq([p for p in users(r"(?:elfutils/|libelf|gelf|elf\.h|libdw|dwarf)") if folder(p) != "lib/symbols"], [], "elfutils")
    eq([p for p in users(r"(?:n?cursesw?|panel|term)[./]") if folder(p) != "cmd/watch/view"], [], "ncurses")
    ok(loads and users("gelf") and users("curses"), "users are found")


@test
def house_functions():
    """A function fits a screen."""
    found, lengths = [], []
    for path, text in files().items():
        for m in re.finditer(r"^(\w[^;{}=#]*?)\n\{\n(.*?)\n\}", text, re.M | re.S):
            lengths.append(m[2].count("\n") + 3)
            if lengths[-1] > LONGEST:
                name = re.findall(r"\w+", m[1].split("(")[0])[-1]
                found.append(f"{path}: {name}: {lengths[-1]} lines")
    ok(len(lengths) > 1000, f"{len(lengths)} functions are found")
    eq(found, [], f"functions of more than {LONGEST} lines")


main()
