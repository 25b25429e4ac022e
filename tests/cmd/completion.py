# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion in bash and zsh: typed in a real terminal; what it offers is what --help and the parsers have."""
import contextlib
import os
import re
import shutil
import sys

sys.path[0] += "/.."
from harness import PAGE, ROOT, UFFDCTL, Target, contains, eq, main, ok, run, skip, target, test, wait_until
from harness.screen import Screen

BREAKS = " \t\n\"'@><=;|&(:"  # bash's COMP_WORDBREAKS
# Values that are neither words nor names: there is nothing to offer.
FREE = {"ADDRESS:]PORT", "BYTES", "N", "TIME", "SIZE", "FROM-TO", "THREAD", "COLUMNSxROWS"}
SHELLS = ("bash", "zsh")
HOSTILE = ["ends'", 'ends"', "two  words", "it's", 'dou"ble', "$(touch CANARY)", "`touch CANARY`", "new\nline", "tab\there", "esc\033[31mred",
           "a;touch CANARY;", "back\\slash", "st*r?[x]", "bang!!", "{a,b}", "~root", "#hash", "&& touch CANARY", "\udcff\udcfe",
           "ümläut", "\u202eright", "a=b:c@d", "-rf", "%20", "<in>out", "$HOME", "*", "'\"$(touch CANARY)\"'"]


def lines(*args):
    """[(KIND, VALUE, TEXT)]"""
    return [(*line.split("\t"), "", "")[:3] for line in run("complete", *args, check=0).out.splitlines()]


def offered(typed):
    """What fits behind this in bash, whole words of a line without quotes."""
    return [value for _, value, _ in lines("bash", "--", typed, BREAKS)]


def commands():
    return re.findall(r"^  ([a-z]+) ", run("--help", check=0).out.split("Commands:\n")[1], re.M)


def options(*args):
    """{long option: its value in --help, or None}"""
    found = re.findall(r"^ +(?:-.(?:=\S+)?, )?--([a-z-]+)(\[?=\S+)?", run(*args, "--help", check=0).out, re.M)
    return {name: value or None for name, value in found}


# ---- it agrees with the parsers ----

@test
def completion_commands():
    eq(offered("uffdctl "), [*commands(), "help"], "commands")
    eq(offered("uffdctl -J -o PID help "), commands(), "help, behind options")
    eq(offered("uffdctl help list "), [], "behind help COMMAND")
    ok("complete" not in commands(), "the command that completes is not listed")


@test
def completion_options():
    """Those of --help; with = behind them where a value must follow, or may."""
    for c in ([], *([c] for c in commands())):
        have = options(*c)
        want = {f"--{name}" for name, value in have.items() if not value or value.startswith("[")}
        want |= {f"--{name}=" for name, value in have.items() if value}
        eq(set(offered(" ".join(["uffdctl", *c, "--"]))), want, f"{c}")
    eq(offered("uffdctl list -- --"), [], "behind --, there are none")


@test
def completion_columns():
    for c in commands():
        r = run(c, "--list-columns")
        if r.rc == 0:
            eq(offered(f"uffdctl {c} -o "), [line.split()[0] for line in r.out.splitlines() if line], c)
    eq(offered("uffdctl list -o pid,tar"), ["pid,target_pid"], "in lower case, the second")
    eq(offered("uffdctl list -o+feat"), ["-o+features"], "added to the default ones")
    eq(offered("uffdctl list --output=PID,TAR"), ["PID,TARGET_PID"], "in the same word: what is behind =")


def words_of(command, option, value):
    """The words that the parser says are allowed; [] where a value is something else."""
    if "FILE" in value:
        return []  # which may have any name
    said = re.search(r": write (.*)", run(command, f"--{option}=\x01").err)
    words = re.split(r", | or ", said[1].split(", or several")[0]) if said else []
    return words if len(words) > 1 and all(re.fullmatch(r"[\w-]+", w) for w in words) else []


@test
def completion_values():
    """A new option whose value is a word has a line in cmd/complete/options.c; another kind is named in FREE here."""
    nr = 0
    for c in commands():
        for option, value in options(c).items():
            if not value:
                continue
            got, words, kind = offered(f"uffdctl {c} --{option}="), words_of(c, option, value), value.strip("[]=")
            nr += len(words)
            if words:
                eq(sorted(got), sorted(words), f"{c} --{option}={value}")
            elif not re.match(r"FILE|SOCKET|RANGE|PID|COMMAND|COLS|PID:\]FD", kind):
                ok(kind in FREE, f"{c} --{option}={value}: nothing is offered: {got}")
    ok(nr > 30, f"words are found: {nr}")
    eq(offered("uffdctl watch -k minor,mi"), ["minor,missing"], "a list, without what it has")
    eq(offered("uffdctl watch --back=f"), ["fentry"], "a shortened option")
    eq(lines("bash", "--", "uffdctl continue --from ", BREAKS), [("file", "", "")], "files")


@test
def completion_values_are_accepted():
    with target(seed=1, mode="minor") as (t, m):
        for c in commands():
            for option, value in options(c).items():
                for word in offered(f"uffdctl {c} --{option}=") if value and words_of(c, option, value) else []:
                    r = run(c, f"--{option}={word}", "--help")
                    eq((r.rc, r.err), (0, ""), f"{c} --{option}={word}")
        eq(run("smaps", "-o", ",".join(offered("uffdctl smaps -o ")), t.pid).rc, 0, "all columns")


# ---- processes ----

@test
def completion_processes():
    with target(seed=1, mode="minor") as (t, m):
        t.comm(name="guest vmm")
        pid = str(t.pid)
        for c in ("list", "smaps", "register", "watch", "pending -J", "continue --from-zero"):
            ok(("word", pid, "guest vmm") in lines("bash", "--", f"uffdctl {c} ", BREAKS), f"{c}: {pid}")
        eq([x for x in offered("uffdctl smaps %gue")], ["%guest\\ vmm"], "by name")
        ok(pid in offered("uffdctl smaps 1 2 "), "one more PID")
        for typed in (f"uffdctl register {pid} ", f"uffdctl register '%guest vmm' 1000+4K ", f"uffdctl watch {pid} --range "):
            got = offered(typed)
            eq([x for x in got if "all" == x or "memfd" in x], ["all", "@/memfd:guest"], typed)
            ok(f"{m['start']:x}-{m['start'] + m['size']:x}" in got, f"{typed}: addresses of {m}: {got}")
        eq(offered(f"uffdctl register {pid} -f "), [str(t.u)], "--fd")
        eq(offered("uffdctl register 999999999 "), ["all"], "no such process")


@test
def completion_takes_any_line():
    """Whatever is typed, it neither fails nor prints what is no candidate."""
    for typed in ("", "uffdctl", "uffdctl  ", "uffdctl -", "uffdctl --=", "uffdctl -o", "uffdctl list -o", "uffdctl list '",
                  "uffdctl list \"$(", "uffdctl list \\", "uffdctl nosuch --", "uffdctl list --nosuch=", "uffdctl list -oPID -",
                  "uffdctl smaps \x01\udcff @", "uffdctl smaps " + "9" * 40 + " ", "uffdctl help help help ", "uffdctl -- list -- "):
        r = run("complete", "bash", "--", typed, BREAKS, check=0)
        eq(r.err, "", typed)
        eq([x for x in r.out.splitlines() if not re.match(r"(word|part)\t|file$", x)], [], typed)
    eq(run("complete", "fish", "--", "x").rc, 2, "another shell")


# ---- in a terminal ----

class Shell(Screen):
    """bash without bash-completion, or zsh; CANARY is what no completion may make."""

    def __init__(self, name):
        if not shutil.which(name):
            skip(f"{name} is not installed; make deps runs this")
        super().__init__(size=(120, 50), start=False)
        bin_ = os.path.join(self.folder, "bin")
        os.mkdir(bin_)
        os.symlink(UFFDCTL, os.path.join(bin_, "uffdctl"))
        self.run(f"PATH={bin_}:$PATH")
        show = "show() { printf '%s\\0' \"$@\" >shown.new; mv shown.new shown; }"
        if name == "bash":
            self.run(f". {ROOT}/dist/uffdctl.bash; {show}")
        else:
            self.run("exec zsh -f")
            self.wait(r"^\S+[%#] ?$")
            self.run(f"PS1='shell> ' fpath=({ROOT}/dist $fpath); bindkey -e; autoload -Uz compinit; compinit -u -D; {show}")
        self.run("clear; echo READY")
        self.wait("^READY$")

    def path(self, name):
        return os.path.join(self.folder, name)

    def wait(self, part, timeout=30, gone=False):
        return super().wait(re.compile(part, re.M).search if isinstance(part, str) else part, timeout, gone)

    def argv(self, typed):
        """The words that a line has after Tab, as its command would get them."""
        self.text(typed)
        self.keys("Tab", "C-a")
        self.text("show ")
        self.keys("Enter")
        wait_until(lambda: os.path.exists(self.path("shown")), f"the line of {typed!r}: {self.screen()}", 30)
        with open(self.path("shown"), encoding="utf-8", errors="surrogateescape") as f:
            words = f.read().split("\0")[:-1]
        os.unlink(self.path("shown"))
        return words

    def clean(self):
        ok(not os.path.exists(self.path("CANARY")), f"something of a name was run:\n{self.history()}")


def in_each_shell(fn):
    for name in SHELLS:
        def case(name=name):
            with Shell(name) as s:
                fn(s)
                s.clean()
        case.__name__ = fn.__name__.replace("completion_", f"completion_{name}_")
        case.__doc__ = fn.__doc__
        test(limit=120)(case)
    return fn


@in_each_shell
def completion_line(s):
    """Commands, options, values, columns and files, each completed by Tab."""
    for typed, want in (("uffdctl unr", "unregister"), ("uffdctl help zerop", "zeropage"), ("uffdctl list --no", "--noheadings"),
                        ("uffdctl watch --backend=tr", "--backend=tracepoint"), ("uffdctl watch --backend tr", "tracepoint"),
                        ("uffdctl watch -k minor,mis", "minor,missing"), ("uffdctl list -o CTX,TARG", "CTX,TARGET_PID"),
                        ("uffdctl list --output=CTX,TARG", "--output=CTX,TARGET_PID"), ("uffdctl list -S p", "proc")):
        eq(s.argv(typed), [*typed.split(" ")[:-1], want], typed)
    with open(s.path("image file"), "w"):
        pass
    eq(s.argv("uffdctl copy --from im"), ["uffdctl", "copy", "--from", "image file"], "a file")
    eq(s.argv("uffdctl copy --from=im"), ["uffdctl", "copy", "--from=image file"], "a file, behind =")
    eq(s.argv("uffdctl watch --summary --back"), ["uffdctl", "watch", "--summary", "--backend="], "a value follows")


@in_each_shell
def completion_pids(s):
    """Several processes are listed with their names, and one is inserted."""
    with target(seed=1, mode="minor") as (t, m), target(seed=1, mode="minor") as (other, _):
        t.comm(name="vmm \033[31m$(x)")
        other.comm(name="handler")
        s.text("uffdctl smaps ")
        s.keys("Tab", "Tab", "Tab")
        s.wait(rf"{t.pid}.*vmm \\x1b\[31m\$\(x\)")
        s.wait(rf"{other.pid}.*handler")
        # Not C-c: the terminal drops what is typed while the shell takes the signal.
        s.keys("C-e", "C-u")
        eq(s.argv(f"uffdctl smaps {t.pid}"), ["uffdctl", "smaps", str(t.pid)], "a PID")
        eq(s.argv("uffdctl smaps %hand"), ["uffdctl", "smaps", "%handler"], "by name")
        eq(s.argv(f"uffdctl register {t.pid} @/memfd:gue"), ["uffdctl", "register", str(t.pid), "@/memfd:guest"], "a range")
        eq(s.argv(f"uffdctl register {t.pid} -f "), ["uffdctl", "register", str(t.pid), "-f", str(t.u)], "--fd")


@in_each_shell
def completion_hostile_names(s):
    """However a mapping is called: its range is one word that finds it, in and without quotes, and nothing is run."""
    for number, name in enumerate(HOSTILE):
        with Target() as t:
            t.userfaultfd()
            m = t.memory(size=PAGE, name=f"{number}q{name}")
            for quote in ("", "'", '"'):
                argv = s.argv(f"uffdctl register {t.pid} {quote}@/memfd:{number}q")
                eq(len(argv), 4, f"{name!r} in {quote}: one word of {argv}")
                ok(argv[3].isprintable() or name == "\udcff\udcfe", f"{argv}")
                r = run("register", "-q", "-J", "--dry-run", *argv[2:], check=0)
                eq([int(x["start"], 16) for x in r.json()["register"]], [m["start"]], f"{name!r} as {argv[3]!r}")
            s.clean()


main()
