# SPDX-License-Identifier: GPL-2.0-or-later
"""Man pages say what --help and --list-columns say, and are clean."""
import glob
import os
import re
import subprocess
import sys

sys.path[0] += "/.."
from harness import ROOT, eq, main, ok, run, test

MAN = os.path.join(ROOT, "man")
COMMON = {"json", "noheadings", "color", "verbose", "quiet", "help", "usage", "version"}
TABLE = {"output", "raw", "bytes"}  # for commands with columns, as is --list-columns
COLUMNS = TABLE | {"list-columns"}


def commands():
    text = run("--help", check=0).out.split("Commands:\n")[1]
    return re.findall(r"^  ([a-z]+) ", text, re.M)


def page(name):
    with open(os.path.join(MAN, name)) as f:
        return f.read()


def entries(text):
    """What the tagged paragraphs are about: the line behind .TP, without roff."""
    tags = re.findall(r"^\.T[PQ].*\n(.+)$", text, re.M)
    return [re.sub(r"\\f.|^\.[A-Z]+ |\"", "", t).replace("\\-", "-") for t in tags]


def long_options(tags):
    return {o for t in tags for o in re.findall(r"--([a-z-]+)", t.split("  ")[0].replace(" ", ""))}


def help_options(*args):
    return set(re.findall(r"^ +(?:-.(?:=\S+)?, )?--([a-z-]+)", run(*args, "--help", check=0).out, re.M))


@test
def docs_options():
    eq(help_options(), COMMON | TABLE, "common options")
    missing = (COMMON | COLUMNS) - long_options(entries(page("uffdctl.1")))
    eq(missing, set(), "uffdctl.1")
    for c in commands():
        have, text = help_options(c), page(f"uffdctl-{c}.1")
        common = COMMON if run(c, "--list-columns").rc else COMMON | COLUMNS
        ok(common <= have, f"{c}: has the common ones")
        eq(long_options(entries(text)) - common, have - common, f"uffdctl-{c}.1")
        named = re.search(r"^\.SH COMMON OPTIONS\n((?:.*\n)*?)are described in$", text, re.M)[1]
        named = {short.replace("\\-", "-") for short in re.findall(r"^\.BR? (\S+)", named, re.M)}
        shorts = {f"-{s}" if s else f"--{name}" for s, name in re.findall(
            r"^ +(?:-(.)(?:=\S+)?, )?--([a-z-]+)", run(c, "--help", check=0).out, re.M) if name in common}
        eq(named, (shorts - {"-h", "-V"}) | {"--help", "--version"}, f"uffdctl-{c}.1: COMMON OPTIONS")


@test
def docs_short_options():
    for c in commands():
        pairs = dict(re.findall(r"^  -(.)(?:=\S+)?, --([a-z-]+)", run(c, "--help", check=0).out, re.M))
        text = "\n".join(entries(page(f"uffdctl-{c}.1")) + entries(page("uffdctl.1")))
        for short, name in pairs.items():
            ok(re.search(rf"-{re.escape(short)}\b.*--{name}|-{re.escape(short)},? *--{name}", text),
               f"{c}: -{short} stands with --{name}")


@test
def docs_columns():
    for c in commands():
        r = run(c, "--list-columns")
        if "list-columns" not in help_options(c):
            ok(r.rc == 2 and not r.out, f"{c} has no columns")
            continue
        want = [line.split()[0] for line in r.out.splitlines() if line]
        ok(r.rc == 0 and want, f"{c}: --list-columns")
        tags = entries(page(f"uffdctl-{c}.1"))
        eq([w for w in want if w not in tags], [], f"uffdctl-{c}.1: columns")


@test
def docs_commands():
    text = page("uffdctl.1")
    for c in commands():
        ok(f"uffdctl\\-{c}" in text or f"uffdctl-{c}" in text, f"uffdctl.1 names {c}")
    eq(sorted(os.path.basename(p) for p in glob.glob(f"{MAN}/*.1")),
       sorted(["uffdctl.1"] + [f"uffdctl-{c}.1" for c in commands()]), "a page for each command")


def sources(suffix):
    return [p for d in ("lib", "cmd") for p in glob.glob(f"{ROOT}/{d}/**/*.{suffix}", recursive=True)]


TOKEN = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'(?:[^\'\\\n]|\\.)*\'|(\s+|PRI[a-zA-Z0-9]+|/\*.*?\*/|//[^\n]*)|.', re.S)


def literals(path):
    """The strings of a C file, those that stand side by side as one."""
    found, beside = [], False
    with open(path) as f:
        for m in TOKEN.finditer(f.read()):
            if m[1] is not None and beside:
                found[-1] += m[1]
            elif m[1] is not None:
                found.append(m[1])
            beside = m[1] is not None or beside and m[2] is not None
    return found


def plain(text):
    """What a man page says, without roff."""
    text = re.sub(r"\\f.|\\&", "", text.replace("\\-", "-").replace("\\~", " "))
    return re.sub(r"^\.(?:[A-Z]{1,2}) +|\"", "", text, flags=re.M)


@test
def docs_recommended_commands():
    """Each command that a message, a man page or a README names is there."""
    known = set(commands()) | {"COMMAND", "help"}
    where = [(p, s) for p in sources("[ch]") for s in literals(p)]
    where += [(p, plain(page(os.path.basename(p)))) for p in glob.glob(f"{MAN}/*.[13]")]
    for p in ("README.md", "kernel-patches/README.md"):
        with open(os.path.join(ROOT, p)) as f:
            where += [(p, line) for line in f if not line.lstrip().startswith("sudo")]
    named = [(os.path.basename(p), m[1]) for p, s in where
             for m in re.finditer(r"\buffdctl(?: -[-\w=]+)*(?: |-(?=[a-z]+ ?\(1\)))([a-z]{3,})\b", s)]
    words = {w for _, w in named}
    eq(sorted(set(commands()) - words), [], "the test finds commands")
    eq(sorted(x for x in set(named) if x[1] not in known), [], "no such command")


@test
def docs_monotonic():
    """Nothing waits by a clock that can be set: the program would stand still for as long as that was set back."""
    for p in sources("[ch]"):
        with open(p) as f:
            found = re.findall(r"CLOCK_REALTIME|pthread_cond_timedwait|sem_timedwait|pthread_mutex_timedlock", f.read())
        eq(found, [], os.path.basename(p))


@test
def docs_library():
    """Each exported function is in libuffdctl.3, and has a comment in the header."""
    with open(os.path.join(ROOT, "lib/libuffdctl.map")) as f:
        names = re.findall(r"^\t(uffdctl_\w+);", f.read(), re.M)
    text = page("libuffdctl.3").replace("\\_", "_")
    eq([n for n in names if n not in text], [], "libuffdctl.3")


@test
def docs_lint():
    for p in sorted(glob.glob(f"{MAN}/*.[13]")):
        r = subprocess.run(["mandoc", "-T", "lint", p], capture_output=True, text=True)
        eq(r.stdout, "", os.path.basename(p))


main()
