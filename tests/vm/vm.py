# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command of the build machine inside another kernel, in QEMU.

    python3 tests/vm/vm.py --list                          which kernels
    python3 tests/vm/vm.py 6.12 -- build/uffdctl list      its output, its exit status
    python3 tests/vm/vm.py 6.12 --shell
    python3 tests/vm/vm.py 7.3-patched -- ls /sys/kernel/tracing/events/userfaultfd
    python3 tests/vm/vm.py path/to/linux -- uname -a       a kernel that was built there, without modules
    python3 tests/vm/vm.py 6.12-arm64 -- build/arm64/uffdctl list     on another processor

The guest's root is the build machine's own, read-only, with an empty /tmp and /run; the command sees its folder and
the tree under the names that they have outside, and of the environment what PASSED matches. Exit status 125: the
guest died; 126: the command ended with 0, but the kernel warned of a bug in itself. Kernels are Debian's packages
(debian.py), or built from their source (build.py), in a cache folder; nothing is installed, and apt's configuration
stays as it is.
"""
import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import build
import debian

TREE = os.path.dirname(os.path.dirname(HERE))
# One host thread for all CPUs: with several, QEMU may run an instruction that the kernel has patched meanwhile (int3).
ACCEL = os.environ.get("UFFDCTL_VM_ACCEL", "tcg,thread=single")
# Without these modules no root and no file system on it; a kernel that has one built in needs it not.
MODULES = ["virtio_pci", "9pnet_virtio", "9p"]
PROGRAMS = {"busybox": "busybox-static", "xz": "xz-utils"}


class Machine:
    """An emulated machine: root is what it has for the build machine's, if that is of another kind."""

    def __init__(self, qemu, package, options, image, consoles, cmdline="", root=None):
        self.qemu, self.package, self.options, self.image, self.cmdline = qemu, package, options, image, cmdline
        self.console, self.output, self.root = *consoles, root


MACHINES = {
    "amd64": Machine("qemu-system-x86_64", "qemu-system-x86", ["-serial", "stdio"], "arch/x86/boot/bzImage",
                     ("ttyS0", "ttyS1"), "no_timer_check mitigations=off"),
    "arm64": Machine("qemu-system-aarch64", "qemu-system-arm",
                     ["-machine", "virt", "-chardev", "stdio,id=out", "-device", "pci-serial,chardev=out"],
                     "arch/arm64/boot/Image", ("ttyAMA0", "ttyS0"), root=debian.root),
}
# With KASAN: each report, not only the first. And none of the boot's own: with 5-level page tables the kernel doubts its
# own addresses while it finds out what the CPU can do (kernel-patches/README.md).
KASAN = "kasan_multi_shot no5lvl"
PASSED = re.compile(r"O|PATH|LANG|TARGET|(UFFDCTL|TAP)(_.*)?")


def machine_of(kernel):
    """The machine that runs it, and the architecture."""
    arch = debian.arch_of(kernel)[1]
    return MACHINES[arch], arch


class Died(Exception):
    """The guest ended, or was ended, without an exit status of the command."""


def _read(path):
    with open(path, "rb") as f:
        return f.read()


def kernel_folder(kernel, update=False):
    """The folder of a kernel: Debian's newest of a version ("6.12"), one that is built ("7.3-patched"), or a folder
    as it is."""
    if os.path.isdir(kernel):
        return os.path.abspath(kernel)
    return build.kernel(kernel, update) if build.is_built(kernel) else debian.kernel(kernel, update)


# ---- what the guest starts from ----

def _find(folder, pattern):
    for path, _, files in os.walk(folder):
        for name in files:
            if re.fullmatch(pattern, name):
                return os.path.join(path, name)
    return None


def _modules(folder, names):
    """The modules and what they depend on, in the order of loading: {name: contents}."""
    loaded = {}
    roots = [p for p in (os.path.join(folder, d, "lib/modules") for d in ("", "usr")) if os.path.isdir(p)]

    def load(name):
        pattern = re.sub("[_-]", "[_-]", name) + r"\.ko(\.xz)?"
        path = next(filter(None, (_find(r, pattern) for r in roots)), None)
        if not path or name in loaded:
            return  # built in, or done
        data = debian.call("xz", "-dc", path, text=False) if path.endswith(".xz") else _read(path)
        for dep in filter(None, re.search(rb"\0depends=([^\0]*)\0", data)[1].decode().split(",")):
            load(dep.replace("-", "_"))
        loaded[name] = data

    for n in names:
        load(n.replace("-", "_"))
    return loaded


def _cpio(files):
    """A newc archive of {path: (mode, contents)}."""
    out = b""
    for number, (name, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def _initramfs(folder, command, modules, share, hugepages, shell, machine, root):
    """init, the modules and the command."""
    trees = [TREE, os.getcwd(), folder, *([os.path.abspath(os.environ["O"])] if os.environ.get("O") else [])]
    settings = f"TREES={shlex.quote(' '.join(trees))} SHARE={shlex.quote(share or '')} HUGEPAGES={hugepages} FOREIGN={root or ''}\n"
    for t in trees if root else ():
        os.makedirs(root + t, exist_ok=True)
    variables = {k: v for k, v in os.environ.items() if PASSED.fullmatch(k)}
    variables.update(UFFDCTL_VM_FOLDER=folder, UFFDCTL_TERMINAL="1" if sys.stdout.isatty() else "", HOME="/tmp",
                     PYTHONDONTWRITEBYTECODE="1", PATH=variables["PATH"] + ":/usr/sbin:/sbin")
    script = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in variables.items())
    script += f"cd {shlex.quote(os.getcwd())}\nulimit -n 65536\n"  # the kernel's own 1024 is less than any login's
    if shell:
        script += "TERM=linux PS1='vm# ' setsid -c sh -i </dev/OUT >/dev/OUT 2>&1\n".replace("OUT", machine.output)
    else:  # raw: no \r before \n
        script += f"stty raw -echo -F /dev/{machine.output}\n" \
            f"{shlex.join(command)} </dev/null >/dev/{machine.output} 2>&1\n"
    # Through the kernel's log: one line, and it is out before the machine is.
    script += 'echo "<0>vm.py: exit $?" >/dev/kmsg\n/run/busybox reboot -f\n'
    files = {d: (0o40755, b"") for d in ("bin", "dev", "modules")}
    files.update({"init": (0o100755, _read(os.path.join(HERE, "init"))), "settings": (0o100644, settings.encode()),
                  "command": (0o100644, script.encode()), "bin/busybox": (0o100755, _read((root or "") + "/bin/busybox"))})
    for number, (name, data) in enumerate(_modules(folder, [*MODULES, *modules]).items()):
        files[f"modules/{number:02}-{name}.ko"] = (0o100644, data)
    return _cpio(files)


# ---- running ----

def _has(folder, setting):
    """Whether a kernel that was built there, by build.py or by hand, has a line of configuration."""
    return any(os.path.exists(p) and setting.encode() in _read(p).split(b"\n")
               for p in (f"{folder}/config", f"{folder}/.config"))


def run(kernel, command, smp=2, mem="3G", icount=False, timeout=1800, share=None, modules=(), hugepages=16,
        stdout=subprocess.PIPE, shell=False):
    """Runs a command and returns its exit status and output; Died when there is no status.

    icount: one CPU whose clock counts instructions, one a nanosecond: what is measured inside, repeats.
    share: a folder that the command may write to. stdout: a file for the output, instead of returning it.
    """
    machine, arch = machine_of(kernel)
    for program, package in {**PROGRAMS, machine.qemu: machine.package}.items():
        if not shutil.which(program):
            raise SystemExit(f"vm.py: no {program}; Debian's package {package} has it (make check-vm installs it)")
    folder = kernel_folder(kernel)
    image = os.path.join(folder, machine.image)
    if not os.path.exists(image):
        image = _find(folder, r"vmlinuz(-.*)?")
    if not image:
        raise SystemExit(f"vm.py: {folder}: no {machine.image} and no vmlinuz in it")
    root = machine.root and machine.root(arch)
    cmdline = f"console={machine.console} panic=-1 {machine.cmdline}"
    if _has(folder, "CONFIG_KASAN=y"):
        cmdline += f" {KASAN}"
    if icount:
        # Nothing that is drawn at random, else each boot is another one.
        cpu = ["-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=0,align=off,sleep=off", "-seed", "1",
               "-rtc", "base=2020-01-01,clock=vm"]
        cmdline += " nokaslr norandmaps"
    else:
        cpu = ["-accel", ACCEL, "-smp", str(smp)]
    with tempfile.TemporaryDirectory() as work:
        console, initrd = f"{work}/console", f"{work}/initrd"
        with open(initrd, "wb") as f:
            f.write(_initramfs(folder, command, modules, share and os.path.abspath(share), hugepages, shell, machine, root))
        qemu = ["setpriv", "--pdeathsig", "KILL", machine.qemu, *cpu, "-cpu", "max", "-m", mem,
                "-nodefaults", "-display", "none", "-no-reboot", "-kernel", image, "-initrd", initrd,
                "-append", cmdline, "-serial", f"file:{console}", *machine.options]
        for tag, path in {"host": "/", **({"root": root} if root else {})}.items():
            qemu += ["-virtfs", f"local,path={path},mount_tag={tag},security_model=none,readonly=on,multidevs=remap"]
        if share:
            qemu += ["-virtfs", f"local,path={os.path.abspath(share)},mount_tag=share,security_model=none"]
        ended = ""
        try:
            output = subprocess.run(qemu, stdin=None if shell else subprocess.DEVNULL, stdout=stdout,
                                    timeout=timeout).stdout
        except subprocess.TimeoutExpired as e:
            output, ended = e.stdout, f" within {timeout} s"
        # None: QEMU has said why.
        log = _read(console).decode(errors="replace").replace("\r", "") if os.path.exists(console) else ""
    status = re.search(r"\] vm\.py: exit (\d+)$", log, re.M)
    for line in re.findall(r".*\b(?:BUG:|WARNING:|Oops:|lockup|stall).*", log):
        print(f"vm.py: {kernel}: {line}", file=sys.stderr)
    # A busy machine is enough for the other two, and for a self-test of a kernel that still boots.
    bug = re.search(r"\b(?:BUG|WARNING|Oops):(?!.*(?:lockup|stall))", log[max(0, log.find("Run /init")):])
    if not status:
        panic = log.find("Kernel panic")
        end = log[:panic + 100 if panic >= 0 else None][-1500:]
        raise Died(f"{kernel}: no exit status{ended}; the console's end:\n{end}")
    return int(status[1]) or (126 if bug else 0), output


def main():
    p = argparse.ArgumentParser(prog="vm.py", usage="vm.py KERNEL [OPTION...] -- COMMAND...\n       vm.py --list",
                                description=__doc__.split("\n")[0])
    p.add_argument("kernel", nargs="?", help="a version, or the folder of a kernel that was built")
    p.add_argument("--list", action="store_true", help="list the versions")
    p.add_argument("--get", action="store_true", help="only fetch or build it, and print its folder")
    p.add_argument("--root", action="store_true", help="only fetch what its root is to have, if that is not this machine's own, and print the folder")
    p.add_argument("--update", action="store_true", help="likewise, but the newest of this version")
    p.add_argument("--shell", action="store_true", help="a shell instead of a command")
    p.add_argument("--icount", action="store_true", help="one CPU whose clock counts instructions")
    p.add_argument("--smp", type=int, default=2)
    p.add_argument("--mem", default="3G")
    p.add_argument("--hugepages", type=int, default=16)
    p.add_argument("--timeout", type=int, default=1800, help="seconds; then the guest is ended")
    p.add_argument("--share", metavar="DIR", help="a folder that the command may write to")
    p.add_argument("--module", action="append", default=[], help="one more to load (kvm-amd)")
    words = sys.argv[1:]
    dashes = words.index("--") if "--" in words else len(words)
    a, command = p.parse_args(words[:dashes]), words[dashes + 1:]
    if a.list:
        for version, suite in {**debian.SUITES, "X.Y": debian.OTHERS}.items():
            here = [v for v in debian.cached("linux") if v.startswith(version + ".")]
            print(f"{version:12} {suite:17} {here[0] if here else ''}".rstrip())
        for name in build.names():
            print(f"{name:12} {'built':17} {build.cached(name)}".rstrip())
        return 0
    get = a.get or a.update
    if not a.kernel or not (command or a.shell or get or a.root):
        p.error("KERNEL -- COMMAND")
    if a.root:
        machine, arch = machine_of(a.kernel)
        print(machine.root(arch) if machine.root else "/")
        return 0
    if get:
        print(kernel_folder(a.kernel, a.update), flush=True)
    if not command and not a.shell:
        return 0
    try:
        return run(a.kernel, command, a.smp, a.mem, a.icount, a.timeout, a.share, a.module, a.hugepages,
                   stdout=None, shell=a.shell)[0]
    except Died as e:
        print(f"vm.py: {e}", file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main())
