# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernels and their sources, fetched through this machine's own apt sources; nothing is installed."""
import contextlib
import fcntl
import glob
import hashlib
import os
import re
import subprocess
import sys
import tempfile

CACHE = os.environ.get("UFFDCTL_VM_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "uffdctl", "vm")
# Where in the Debian archive a version is; all others come and go in OTHERS.
SUITES = {"6.1": "bookworm", "6.12": "trixie", "7": "trixie-backports"}
OTHERS = "trixie-backports"
# Of another architecture: what a guest's root has, and what programs for it are built with.
FOREIGN = ["libc6-dev", "libbpf-dev", "libelf-dev", "libdw-dev", "libjson-c-dev", "libsmartcols-dev", "libncurses-dev",
           "libmicrohttpd-dev", "libnbd-dev", "bash", "busybox-static", "coreutils", "dash", "grep", "procps", "python3", "sed",
           "strace", "util-linux"]


@contextlib.contextmanager
def locked(name):
    """Only one process at a time is within this."""
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, f".{name}.lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def numbers(text):
    return [int(n) for n in re.findall(r"\d+", text)]


def call(*command, text=True):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=text).stdout


def codename():
    """This machine's release."""
    with open("/etc/os-release") as f:
        return re.search(r"^VERSION_CODENAME=(\w+)", f.read(), re.M)[1]


def archive():
    """The address that this machine has its Debian packages from."""
    with tempfile.TemporaryDirectory() as empty:  # without lists apt names all that it would fetch
        uris = call("apt-get", "update", "--print-uris", "-o", f"Dir::State::lists={empty}")
    found = re.search(rf"'(\S+)/dists/{codename()}/InRelease'", uris)
    if not found:
        raise SystemExit(f"vm.py: no source of {codename()} in apt's configuration; Debian kernels come from there")
    return found[1]


def _apt(suite, arch="amd64"):
    """A private apt configuration for one suite, as options; its index is up to date."""
    state = os.path.join(CACHE, "apt", suite if arch == "amd64" else f"{suite}-{arch}")
    os.makedirs(os.path.join(state, "lists/partial"), exist_ok=True)
    os.makedirs(os.path.join(state, "archives/partial"), exist_ok=True)
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    with open(os.path.join(state, "debian.sources"), "w") as f:
        f.write(f"Types: deb\nURIs: {archive()}\nSuites: {suite}\nComponents: main\n"
                + (f"Signed-By: {keyring}\n" if os.path.exists(keyring) else ""))
    options = [f"-o{name}={value}" for name, value in {
        "Dir::Etc::sourcelist": f"{state}/debian.sources", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": f"{state}/lists", "Dir::Cache": state, "APT::Architecture": arch,
        "APT::Architectures": arch, "Acquire::Languages": "none", "APT::Sandbox::User": ""}.items()]
    subprocess.run(["apt-get", "-qq", *options, "update"], check=True, stdout=sys.stderr)
    return options


@contextlib.contextmanager
def _unpacked(options, packages):
    """A folder with the contents of packages, and the version of the first; it may be moved away."""
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        subprocess.run(["apt-get", "-qq", *options, "download", *packages], check=True, stdout=sys.stderr, cwd=work)
        debs = sorted(os.listdir(work))
        for deb in debs:
            call("dpkg", "-x", f"{work}/{deb}", f"{work}/root")
        yield f"{work}/root", debs[0].split("_")[1]


def _fetch_kernel(version, arch):
    suite = SUITES.get(version, OTHERS)
    options = _apt(suite, arch)
    names = call("apt-cache", *options, "pkgnames", "linux-").split()
    releases = [m[1] for m in (re.fullmatch(rf"linux-image-({re.escape(version)}\.[^-]*(-\d+)?)-{arch}", n)
                               for n in names) if m]
    if not releases:
        raise SystemExit(f"vm.py: Debian's {suite} has no kernel {version}")
    release = max(releases, key=numbers)
    # From 7.2 on, linux-image only depends on the two others.
    wanted = [f"linux-{part}-{release}-{arch}" for part in ("image", "binary", "modules")]
    with _unpacked(options, [n for n in wanted if n in names]) as (root, full):
        return _keep(root, f"{kind_of(arch)}-{full}")


def kind_of(arch):
    """How a kernel for it is called in the cache."""
    return "linux" if arch == "amd64" else f"linux@{arch}"


def _fetch_source(version):
    with _unpacked(_apt(SUITES.get(version, OTHERS)), [f"linux-source-{version}"]) as (root, full):
        call("tar", "-C", root, "-xf", f"{root}/usr/src/linux-source-{version}.tar.xz")
        return _keep(f"{root}/linux-source-{version}", "source-" + full)


def _keep(folder, name):
    kept = os.path.join(CACHE, name)
    if not os.path.isdir(kept):  # --update, and nothing is newer
        os.rename(folder, kept)
    return kept


def cached(kind):
    """The versions in the cache of a kind ("linux", "source"), newest first, each with its folder."""
    with contextlib.suppress(FileNotFoundError):
        found = [n for n in os.listdir(CACHE) if n.startswith(kind + "-")]
        return {n[len(kind) + 1:]: os.path.join(CACHE, n) for n in sorted(found, key=numbers, reverse=True)}
    return {}


def _newest(kind, version, update, fetch):
    with locked("fetch"):
        here = [] if update else [f for v, f in cached(kind).items() if v.startswith(version + ".")]
        return here[0] if here else fetch(version)


def arch_of(name):
    """The version and the architecture of a kernel: "6.12" or "6.12-arm64"."""
    return (name[:-len("-arm64")], "arm64") if name.endswith("-arm64") else (name, "amd64")


def kernel(name, update=False):
    """The folder of the newest kernel of a version: from the cache, or fetched."""
    version, arch = arch_of(name)
    return _newest(kind_of(arch), version, update, lambda v: _fetch_kernel(v, arch))


def root(arch):
    """A folder with Debian's programs and libraries for an architecture, unpacked: from the cache, or fetched."""
    kept = os.path.join(CACHE, f"root@{arch}-" + hashlib.sha256(" ".join([codename(), *FOREIGN]).encode()).hexdigest()[:16])
    with locked("root"):
        if os.path.isdir(kept):
            return kept
        options = _apt(codename(), arch)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            os.makedirs(f"{work}/archives/partial")
            with open(f"{work}/status", "w"):
                pass  # nothing is installed: all that is needed is fetched
            subprocess.run(["apt-get", "-qq", *options, f"-oDir::State::status={work}/status", f"-oDir::Cache={work}",
                            "-oDebug::NoLocking=1", "-y", "--no-install-recommends", "--download-only", "install", *FOREIGN],
                           check=True, stdout=sys.stderr)
            for deb in sorted(glob.glob(f"{work}/archives/*.deb")):
                call("dpkg", "-x", deb, f"{work}/root")
            os.rename(f"{work}/root", kept)
    return kept


def source(version, update=False):
    """Likewise, of the source, without patches of ours."""
    return _newest("source", version, update, _fetch_source)
