# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels of our own: Debian's source of a version, with kernel-patches/ or without, by the small configuration.

A name is VERSION-patched (all series of the version), VERSION-plain (none) or VERSION-SERIES (that one alone), and
+FRAGMENT adds the file kernel/FRAGMENT to the configuration: 7.3-patched, 7.3-plain, 7.3-move, 7.3-patched+kasan.
What is built is kept in the cache, by a hash of all that it is made from: bzImage, config, and selftests/, the
kernel's own tests of what is patched.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

import debian

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
# The series of a version, in the order in which they are applied.
SERIES = ("tracepoints", "move", "guest_memfd")
NAME = re.compile(rf"(\d+\.\d+)-(patched|plain|{'|'.join(SERIES)})(?:\+(\w+))?")
NEEDS = ["flex", "bison", "bc", "pahole", "patch", "gcc", "make"]  # programs, packages alike
HINT = "libelf-dev and libssl-dev are needed too; make check-vm installs all of it"
# In tools/testing/selftests: the folder, the program.
SELFTESTS = [("kvm", "guest_memfd_test"), ("mm", "uffd-unit-tests")]


def is_built(name):
    return NAME.fullmatch(name)


def names():
    """What kernel-patches/ has series for, and the same kernels plain."""
    versions = sorted({p.split("/")[-3] for p in glob.glob(f"{TREE}/kernel-patches/[0-9]*/*/0001-*.patch")})
    return [f"{v}-{kind}" for v in versions for kind in ("patched", "plain")]


def _say(name, text):
    print(f"vm.py: {name}: {text}", file=sys.stderr, flush=True)


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def _patches(version, kind):
    """Those of a kind, in order, without the cover letters."""
    series = {"patched": SERIES, "plain": ()}.get(kind, (kind,))
    found = [p for s in series for p in sorted(glob.glob(f"{TREE}/kernel-patches/{version}/{s}/*.patch"))]
    return [p for p in found if not os.path.basename(p).startswith("0000")]


def _ingredients(name):
    """What a kernel is made from, but for its source: patches, configuration."""
    version, kind, fragment = NAME.fullmatch(name).groups()
    configs = [os.path.join(HERE, "kernel", c) for c in ("config", fragment) if c]
    for c in configs:
        if not os.path.exists(c):
            raise SystemExit(f"vm.py: {name}: there is no {os.path.relpath(c)}")
    patches = _patches(version, kind)
    if kind != "plain" and not patches:
        raise SystemExit(f"vm.py: {name}: kernel-patches/ has no such series for {version}")
    return version, patches, configs


def _folder(name, source, patches, configs):
    made_from = [_read(p) for p in [os.path.abspath(__file__), *configs, *patches]]
    digest = hashlib.sha256(b"\0".join([os.path.basename(source).encode(), *made_from])).hexdigest()[:16]
    return os.path.join(debian.CACHE, f"built-{name}-{digest}")


def cached(name):
    """The cached kernel's folder name, or nothing: another source, patch or configuration is another kernel."""
    version, patches, configs = _ingredients(name)
    sources = [f for v, f in debian.cached("source").items() if v.startswith(version + ".")]
    folder = sources and _folder(name, sources[0], patches, configs)
    return os.path.basename(folder) if folder and os.path.isdir(folder) else ""


# ---- building ----

class _Builder:
    """One work folder; each step's output goes to a log beside it, which a failure shows the end of."""

    def __init__(self, name, source, work):
        self.name, self.work, self.log = name, work, work + ".log"
        shutil.rmtree(work, ignore_errors=True)
        # Links: what patch and make change they write anew. Nothing is appended to.
        debian.call("cp", "-al", source, work)
        open(self.log, "w").close()

    def step(self, what, *command, **env):
        began = time.monotonic()
        with open(self.log, "a") as log:
            p = subprocess.Popen(command, cwd=self.work, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 env={**{k: v for k, v in os.environ.items() if k not in ("O", "MAKEFLAGS", "MFLAGS")},
                                      **env})
            while True:
                try:
                    status = p.wait(timeout=30)
                    break
                except subprocess.TimeoutExpired:
                    _say(self.name, f"{what}: {time.monotonic() - began:.0f} s, {_read(self.log).count(10)} lines")
        if status:
            end = _read(self.log)[-3000:].decode(errors="replace")
            raise SystemExit(f"{end}\nvm.py: {self.name}: {what} failed ({HINT}); all of its output: {self.log}")
        _say(self.name, f"{what}: {time.monotonic() - began:.0f} s")

    def make(self, what, *args, **env):
        # Beside guests, whose tests depend on time; and gone when we are.
        self.step(what, "setpriv", "--pdeathsig", "TERM", "nice", "make", f"-j{os.cpu_count()}", *args, **env)

    def patch(self, patches):
        for p in patches:
            self.step(os.path.basename(p), "patch", "-p1", "-F0", "--batch", "--no-backup-if-mismatch", "-i", p)

    def configure(self, configs):
        wanted = b"".join(map(_read, configs))
        with open(f"{self.work}/.wanted", "wb") as f:
            f.write(wanted)
        self.make("configuration", "allnoconfig", KCONFIG_ALLCONFIG=".wanted")
        got = _read(f"{self.work}/.config").split(b"\n")
        lost = [line.decode() for line in wanted.split(b"\n") if line.endswith(b"=y") and line not in got]
        if lost:
            _say(self.name, f"this version has no {', '.join(lost)}")

    def selftests(self, folder):
        """Those of the kernel that it has; they need no installed headers but the kernel's own."""
        os.mkdir(folder)
        self.make("headers", "headers")
        for group, program in SELFTESTS:
            path = f"{self.work}/tools/testing/selftests/{group}"
            if not os.path.isfile(f"{path}/{program}.c"):
                continue
            self.make(f"selftest {program}", "-C", path, f"OUTPUT={path}", f"{path}/{program}")
            shutil.copy(f"{path}/{program}", folder)


def _build(name, source, patches, configs, folder):
    missing = [program for program in NEEDS if not shutil.which(program)]
    if missing:
        raise SystemExit(f"vm.py: {name}: to build it, install {' '.join(missing)}; {HINT}")
    keep = os.environ.get("UFFDCTL_VM_KEEP")
    b = _Builder(name, source, folder.replace("built-", "work-"))
    b.patch(patches)
    b.configure(configs)
    b.make("kernel", "bzImage")
    new = folder + ".new"
    shutil.rmtree(new, ignore_errors=True)
    os.mkdir(new)
    shutil.copy(f"{b.work}/arch/x86/boot/bzImage", f"{new}/vmlinuz")
    shutil.copy(f"{b.work}/.config", f"{new}/config")
    b.selftests(f"{new}/selftests")
    if keep:
        _say(name, f"kept: {b.work}")
    else:
        shutil.rmtree(b.work)
        os.unlink(b.log)
    os.rename(new, folder)


def kernel(name, update=False):
    """The folder of a kernel; built when it is not there, in some minutes (UFFDCTL_VM_KEEP=1 keeps the tree)."""
    version, patches, configs = _ingredients(name)
    source = debian.source(version, update)
    folder = _folder(name, source, patches, configs)
    with debian.locked("build"):
        if not os.path.isdir(folder):
            _build(name, source, patches, configs, folder)
    return folder
