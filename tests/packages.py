# SPDX-License-Identifier: GPL-2.0-or-later
"""`make check-packages`: the source archive, Debian's packages and the RPM of the last commit.

They are built, compared with a second build, checked by lintian and rpmlint, and installed in a clean root, where the
demo runs from them.
"""
import atexit
import contextlib
import functools
import glob
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from harness import ROOT, eq, main, ok, skip, test

sys.path.append(os.path.join(ROOT, "tests/vm"))
NAMES = ("libuffdctl-dev", "libuffdctl0", "uffdctl")


def call(*command, cwd=ROOT, rc=0, **env):
    """What a command prints."""
    kept = {k: v for k, v in os.environ.items() if k not in ("O", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL")}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd,
                          errors="replace", env={**kept, "LC_ALL": "C.UTF-8", **env}, check=False)
    eq(done.returncode, rc, f"exit status of {' '.join(command)}: {done.stdout[-4000:]}")
    return done.stdout


def need(program, package):
    if not shutil.which(program):
        skip(f"{program} is not installed; Debian's package {package}, which make check-packages installs, runs this")


def scratch(parent=None):
    """A folder that is gone at the end."""
    path = tempfile.mkdtemp(prefix="uffdctl-packages.", dir=parent)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def work():
    return scratch()


def memory():
    """A folder in memory that a root of 1 GiB fits in: dpkg waits for the disk often. None: there is none."""
    path = "/dev/shm"
    with contextlib.suppress(OSError):
        flags = os.statvfs(path).f_flag
        if shutil.disk_usage(path).free > 4 << 30 and not flags & (os.ST_NODEV | os.ST_NOEXEC | os.ST_NOSUID):
            return path
    return None


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


@functools.cache
def clone(name):
    """A clone of the last commit, in a folder of this name."""
    path = os.path.join(work(), name, "uffdctl")
    call("git", "-c", "safe.directory=*", "clone", "-q", "--no-hardlinks", ROOT, path, GIT_CONFIG_COUNT="1",
         GIT_CONFIG_KEY_0="safe.directory", GIT_CONFIG_VALUE_0="*")
    return path


@functools.cache
def archive(name):
    """The source archive, made from a clone."""
    call("make", "-s", "dist", f"O={clone(name)}/..", cwd=clone(name))
    return glob.glob(f"{clone(name)}/../uffdctl-*.tar.gz")[0]


# ---- the source ----

@test(limit=120)
def packages_dist():
    """Two archives of a commit are the same bytes; nothing in them is of this machine, and nothing is missing."""
    first, second = archive("a"), archive("b")
    eq(digest(first), digest(second), "the archives")
    with open(first, "rb") as f:
        eq(f.read(10)[3:8], bytes(5), "gzip's flags and time")
    with gzip.open(first) as f:
        members = tarfile.open(fileobj=io.BytesIO(f.read())).getmembers()
    eq({(m.uid, m.gid, m.uname, m.gname) for m in members}, {(0, 0, "root", "root")}, "owners")
    eq(len({m.mtime for m in members}), 1, "times")
    listed = call("git", "ls-files", cwd=clone("a")).split("\n")[:-1]
    top = os.path.basename(first).removesuffix(".tar.gz")
    eq(sorted(m.name for m in members if not m.isdir()), sorted(f"{top}/{p}" for p in listed), "files")


@test
def packages_versions():
    """One version everywhere."""
    texts = {}
    for path in ("Makefile", "debian/changelog", "dist/uffdctl.spec"):
        with open(os.path.join(ROOT, path)) as f:
            texts[path] = f.read()
    version = re.search(r"^VERSION := (.+)$", texts["Makefile"], re.M)[1]
    eq(re.match(r"uffdctl \(([^)]+)\)", texts["debian/changelog"])[1], version, "debian/changelog")
    eq(re.search(r"^Version: +(.+)$", texts["dist/uffdctl.spec"], re.M)[1], version, "uffdctl.spec")
    so = re.search(r"^SOVERSION := (.+)$", texts["Makefile"], re.M)[1]
    ok(os.path.exists(os.path.join(ROOT, f"debian/libuffdctl{so}.install")), f"the package's name has the library's {so}")


# ---- Debian's packages ----

@functools.cache
def debs():
    """Built in a clean clone: {package: file}"""
    need("dpkg-buildpackage", "dpkg-dev")
    need("dh", "debhelper")
    folder = os.path.dirname(clone("a"))
    call("dpkg-buildpackage", "-us", "-uc", "-b", cwd=clone("a"), DEB_BUILD_OPTIONS="parallel=2")
    return {os.path.basename(p).split("_")[0]: p for p in glob.glob(f"{folder}/*.deb")}


@functools.cache
def rebuilt():
    """Built from the source archive, elsewhere, with the source package."""
    folder = os.path.join(work(), "another-and-longer", "folder")
    os.makedirs(folder)
    call("tar", "-xf", archive("b"), "-C", folder)
    tree = glob.glob(f"{folder}/*")[0]
    call("dpkg-buildpackage", "-us", "-uc", cwd=tree, DEB_BUILD_OPTIONS="parallel=1", TZ="Asia/Tokyo")
    return folder


@test(limit=400)
def packages_debs():
    found = debs()
    eq(sorted(p for p in found if not p.endswith("-dbgsym")), sorted(NAMES), "packages")
    for name in NAMES:
        contents = call("dpkg-deb", "-c", found[name])
        eq(set(re.findall(r"^\S+ (\S+)", contents, re.M)), {"root/root"}, f"{name}: owners")
        ok(f"./usr/share/doc/{name}/copyright" in contents, f"{name}: copyright")


@test(limit=400)
def packages_debs_again():
    """A build in another folder, with another time zone and number of jobs: the same bytes."""
    first = {os.path.basename(p): digest(p) for p in debs().values()}
    second = {os.path.basename(p): digest(p) for p in glob.glob(f"{rebuilt()}/*.deb")}
    ok(len(first) > len(NAMES), f"debug symbols are there too: {sorted(first)}")
    eq(sorted(p for p in first if first[p] != second.get(p)), [], "packages that differ")


@test(limit=400)
def packages_lintian():
    need("lintian", "lintian")
    debs()
    said = call("lintian", "--allow-root", "-I", "--pedantic", "--no-tag-display-limit", "--fail-on", "error,warning,info,pedantic",
                *glob.glob(f"{rebuilt()}/*.changes"))
    eq([line for line in said.splitlines() if re.match(r"[EWIP]: ", line)], [], "tags")


# ---- in a clean root ----

INSIDE = r"""
set -eu
for d in proc sys dev; do mount --rbind /$d "$1/$d"; done
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive TERM=dumb \
	sh -euc "$2"
"""


def inside(root, script):
    """Runs a script in the root, with this machine's /proc, /sys and /dev, in a mount namespace of its own."""
    return call("unshare", "--mount", "--propagation", "private", "sh", "-c", INSIDE, "sh", root, script)


@functools.cache
def clean_root():
    """A minimal Debian of this machine's release, from where this machine has its packages."""
    need("debootstrap", "debootstrap")
    if os.geteuid():
        skip("a root can be made by root only")
    import debian
    with open("/etc/os-release") as f:
        codename = re.search(r"^VERSION_CODENAME=(\w+)", f.read(), re.M)[1]
    root = os.path.join(scratch(memory()), "root")
    cache = os.path.join(debian.CACHE, "debootstrap")
    os.makedirs(cache, exist_ok=True)
    call("debootstrap", "--variant=minbase", f"--cache-dir={cache}", codename, root, debian.archive())
    shutil.copy("/etc/resolv.conf", f"{root}/etc/resolv.conf")
    return root


def left(root):
    """What is there of the packages."""
    return inside(root, "find / -xdev -path /source -prune -o -path /debs -prune -o -name '*uffdctl*' -print").split()


@test(limit=600)
def packages_installed():
    """Installed with nothing but what they depend on, used on live processes, and removed without a trace."""
    root = clean_root()
    os.makedirs(f"{root}/debs")
    for name in NAMES:
        shutil.copy(debs()[name], f"{root}/debs/")
    call("git", "clone", "-q", clone("b"), f"{root}/source")
    eq(left(root), [], "in the clean root")
    inside(root, "apt-get -q update && apt-get -qy --no-install-recommends install /debs/uffdctl_*.deb")
    ok(re.fullmatch(r"uffdctl \d\S+\n", inside(root, "uffdctl --version")), "uffdctl --version")
    inside(root, "uffdctl list -q")
    with open(f"{root}/source/debian/tests/control") as f:
        depends = re.search(r"^Depends: (.*), @$", f.read(), re.M)[1].replace(",", "")
    inside(root, f"apt-get -qy --no-install-recommends install /debs/*.deb {depends}")
    said = inside(root, "cd /source && debian/tests/smoke")
    ok("Everything was as expected." in said, f"the demo: {said[-2000:]}")
    ok(left(root), "files are there")
    inside(root, f"apt-get -qy purge {' '.join(NAMES)}")
    eq([p for p in left(root) if not p.startswith("/var/log/")], [], "after they were removed")
    ok("uffdctl" not in inside(root, "/sbin/ldconfig -p"), "the loader's cache")


# ---- the RPM ----

# What it says of every spec, or of every one of some distribution's, and why that is no fault of this one.
RPMLINT = {"no-buildroot-tag": "rpm ignores that tag since 4.6",
           "lib-package-without-%mklibname": "a macro of Mandriva",
           "invalid-url": "the source is what make dist made here, it has no address"}


@test
def packages_rpmlint():
    need("rpmlint", "rpmlint")
    done = subprocess.run(["rpmlint", "dist/uffdctl.spec"], capture_output=True, text=True, cwd=ROOT, check=False)
    tags = re.findall(r"^uffdctl\.spec:\S* [EW]: (\S+)", done.stdout, re.M)
    ok("1 specfiles checked" in done.stdout, f"{done.stdout}{done.stderr}")
    eq([t for t in tags if t not in RPMLINT], [], f"tags: {done.stdout}")


@test(limit=400)
def packages_rpm():
    """It builds here, without a look at what it depends on: these are other packages' names. All files are in it."""
    need("rpmbuild", "rpm")
    top = os.path.join(work(), "rpm")
    os.makedirs(f"{top}/SOURCES")
    shutil.copy(archive("a"), f"{top}/SOURCES/")
    call("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {top}", "--define", "debug_package %{nil}", "dist/uffdctl.spec")
    found = {re.sub(r"-\d.*", "", os.path.basename(p)) for p in glob.glob(f"{top}/RPMS/*/*.rpm")}
    eq(found, {"uffdctl", "libuffdctl", "libuffdctl-devel"}, "packages")


main()
