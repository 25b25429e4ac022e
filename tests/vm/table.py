# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of kernels in README: what rungs.py saw on each, as check.py leaves it in build/kernels.json.

    python3 tests/vm/table.py [KERNEL...]       writes it anew, with its own columns or these
"""
import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
README = os.path.join(ROOT, "README.md")
SEEN = os.path.join(os.environ.get("O") or os.path.join(ROOT, "build"), "kernels.json")
BEGIN, END = "<!-- from tests/vm/table.py -->\n", "<!-- end -->\n"
ROWS = {
    "list": "`list`, `pending`, `smaps` by",
    "watch": "`watch` by, best first",
    "mappings": "names of mappings by",
    "looks_again": "mappings looked at again by",
    "huge_pages": "state of huge pages by",
    "userfaultfd": "its own userfaultfd from",
    "second_mapping": "second mapping by",
    "missing": "missing faults on",
    "minor": "minor faults on",
    "wp": "write-protect on",
    "rwp": "read-write-protect on",
    "copy": "`copy` on",
    "zeropage": "`zeropage` on",
    "keeps_wp": "`continue` keeps write-protect marks on",
}


def _load():
    try:
        with open(SEEN) as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def _cell(key, value):
    # A backend is one that can be forced; memory is a word.
    return ", ".join(f"`{v}`" if key == "watch" else v for v in value.split()) or "none"


def table(seen):
    """The lines of the table: {kernel: {rung: value}}."""
    kernels = list(seen)
    lines = [["", *kernels], ["---"] * (len(kernels) + 1)]
    lines += [[title, *(_cell(key, seen[k][key]) for k in kernels)] for key, title in ROWS.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def columns(text):
    """A table's columns: {kernel: [cell...]}; nothing of an empty one."""
    rows = [[c.strip() for c in line.strip().strip("|").split("|")] for line in text.strip().split("\n")]
    rows = [r for r in rows if set(r) != {"---"}]
    return {c[0]: c[1:] for c in zip(*rows) if c[0]}


def check(runner, seen):
    """A test for each kernel that was run and has a column: README says what was seen."""
    good = {k: v for k, v in seen.items() if v and set(v) >= set(ROWS)}
    known = {**_load(), **good}
    with open(SEEN, "w") as f:
        json.dump(known, f, indent=1)
    with open(README) as f:
        text = f.read()
    said = columns(text[text.index(BEGIN) + len(BEGIN):text.index(END)])
    for kernel, cells in columns(table(good)).items():
        if kernel in said:
            runner.line(cells == said[kernel], f"README's table has what is seen on {kernel} (make vm-table writes it)")


def main():
    with open(README) as f:
        text = f.read()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    seen, kernels = _load(), sys.argv[1:] or list(columns(old))
    if missing := [k for k in kernels if k not in seen]:
        raise SystemExit(f"table.py: {', '.join(missing)}: nothing is known of it; make check-vm KERNELS=... first")
    with open(README, "w") as f:
        f.write(before + BEGIN + table({k: seen[k] for k in kernels}) + END + after)


if __name__ == "__main__":
    main()
