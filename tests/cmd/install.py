# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed: the library's exports, a program that uses it, and nothing left by uninstall."""
import atexit
import errno
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import BUILD, PAGE, ROOT, Target, contains, eq, fdinfo, main, ok, skip, target, test, wait_until

SO = os.path.join(BUILD, "libuffdctl.so.0")
CC = os.environ.get("CC", "cc").split()

SAMPLE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <uffdctl.h>

static void on_log(void *data, int level, const char *msg)
{
	(void)data;
	fprintf(stderr, "%d %s\n", level, msg);
}

int main(int argc, char **argv)
{
	pid_t pid = argc > 1 ? atoi(argv[1]) : 0;
	struct uffdctl_find_opts opts = { .size = sizeof(opts), .pids = &pid, .nr_pids = 1 };
	struct uffdctl_list *list;
	struct uffdctl *u;

	opts.source = UFFDCTL_SOURCE_PROC;

	if (uffdctl_new(&u) < 0)
		return 1;
	uffdctl_set_log(u, UFFDCTL_LOG_NOTICE, on_log, NULL);
	if (uffdctl_list(u, &opts, &list) < 0)
		return 1;
	for (size_t i = 0; i < uffdctl_list_count(list); i++)
		printf("%s %d\n", uffdctl_version(), uffdctl_list_get(list, i)->fd);
	uffdctl_list_free(list);
	uffdctl_free(u);
	return 0;
}
"""


def call(*args, **env):
    """stdout of a command that must succeed."""
    done = subprocess.run(args, capture_output=True, text=True, env={**os.environ, **env}, cwd=ROOT, check=False)
    eq(done.returncode, 0, f"exit status of {' '.join(args)}: {done.stderr}")
    return done.stdout


def source(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def scratch():
    """A folder that is gone at the end, however that comes."""
    path = tempfile.mkdtemp(prefix="uffdctl-install.")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def make(target, dest, prefix="/usr/local", **variables):
    """From here to a make of its own: nothing of the one that may have started this."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL")}
    done = subprocess.run(["make", "-s", "-C", ROOT, target, f"O={BUILD}", f"DESTDIR={dest}",
                           f"prefix={prefix}", *(f"{name}={value}" for name, value in variables.items())],
                          capture_output=True, text=True, env=env, check=False)
    eq(done.returncode, 0, f"exit status of make {target}: {done.stdout}{done.stderr}")


def files(dest):
    return {os.path.relpath(os.path.join(folder, name), dest)
            for folder, _, names in os.walk(dest) for name in names}


def not_sanitized():
    if "__asan_init" in call("nm", "-D", SO):
        skip("a program would need the sanitizers too; make check runs this")


# ---- exports ----

@test
def install_exports():
    """The header, the version script and the library have the same functions."""
    header = re.sub(r"/\*.*?\*/", "", source("lib/uffdctl.h"), flags=re.S)
    declared = set(re.findall(r"\b(uffdctl_\w+)\(", header))
    mapped = set(re.findall(r"^\t(\w+);$", source("lib/libuffdctl.map").split("local:")[0], re.M))
    lines = call("nm", "-D", "--defined-only", "--with-symbol-versions", SO).splitlines()
    versioned = [name for name in (line.split()[-1] for line in lines) if not name.startswith("LIBUFFDCTL_")]
    exported = {name.split("@")[0] for name in versioned}
    ok(len(declared) > 30, "functions are found in the header")
    eq(sorted(declared - mapped), [], "declared, but not in the map")
    eq(sorted(mapped - declared), [], "in the map, but not declared")
    eq(sorted(n for n in versioned if "@@LIBUFFDCTL_0." not in n), [], "exported without a version")
    eq(sorted(exported - mapped), [], "exported, but not in the map")
    eq(sorted(mapped - exported), [], "in the map, but not exported")


@test
def install_map_sorted():
    for node in re.findall(r"global:\n(.*?)(?:local:|\})", source("lib/libuffdctl.map"), re.S):
        names = re.findall(r"^\t(\w+);$", node, re.M)
        eq(names, sorted(names), "the version script's order")


@test
def install_versions():
    """One version everywhere."""
    version = re.search(r"^VERSION := (.+)$", source("Makefile"), re.M)[1]
    eq(re.search(r'UFFDCTL_VERSION "(.+)"', source("lib/uffdctl.h"))[1], version, "uffdctl.h")
    eq(call(f"{BUILD}/uffdctl", "--version"), f"uffdctl {version}\n", "--version")
    contains(source(os.path.join(BUILD, "libuffdctl.pc")), f"Version: {version}\n")
    contains(call("readelf", "-d", SO), "soname: [libuffdctl.so.0]")


# ---- files ----

def library_folder(prefix):
    """The first folder beneath a prefix in which pkg-config looks by itself."""
    folders = call("pkg-config", "--variable", "pc_path", "pkg-config").strip().split(":")
    found = [f for f in folders if re.fullmatch(f"{prefix}/lib.*/pkgconfig", f)]
    return os.path.dirname(found[0]) if found else f"{prefix}/lib"


LIB = library_folder("/usr/local").removeprefix("/")
LIBRARY = [f"{LIB}/{name}" for name in ("libuffdctl.a", "libuffdctl.so", "libuffdctl.so.0", "pkgconfig/libuffdctl.pc")]


def expected():
    man = sorted(os.listdir(os.path.join(ROOT, "man")))
    pages = [f"share/man/man{p[-1]}/{p}" for p in man if p[-2:] in (".1", ".3")]
    completion = ["share/bash-completion/completions/uffdctl", "share/zsh/site-functions/_uffdctl"]
    return [f"usr/local/{p}" for p in ["bin/uffdctl", "include/uffdctl.h", *pages, *completion]] + LIBRARY


@test(limit=120)
def install_files():
    dest = scratch()
    make("install", dest)
    root = os.path.join(dest, "usr/local")
    eq(sorted(files(dest)), sorted(expected()), "what is installed")
    eq(os.readlink(os.path.join(dest, LIB, "libuffdctl.so")), "libuffdctl.so.0", "the link for linking")
    contains(call(os.path.join(root, "bin/uffdctl"), "--version"), "uffdctl ")
    for path in files(root):
        mode = os.lstat(os.path.join(root, path)).st_mode & 0o777
        if not os.path.islink(os.path.join(root, path)):
            eq(oct(mode), oct(0o755 if path.startswith("bin/") or ".so." in path else 0o644), path)


@test(limit=120)
def install_prefix():
    """libuffdctl.pc speaks of the prefix of this install, whatever was built for before."""
    dest = scratch()
    make("install", dest, "/opt/uffdctl")
    with open(os.path.join(dest, "opt/uffdctl/lib/pkgconfig/libuffdctl.pc")) as f:
        text = f.read()
    contains(text, "prefix=/opt/uffdctl\n")
    ok("/usr/local" not in text and "@" not in text, "no other prefix, nothing left to fill in")


@test(limit=120)
def install_libdir():
    """Beneath /usr the distribution's folder, which may be lib/x86_64-linux-gnu or lib64; libdir= overrides it."""
    for prefix, variables, folder in (("/usr", {}, library_folder("/usr")), ("/usr", {"libdir": "/some/where"}, "/some/where")):
        dest = scratch()
        make("install", dest, prefix, **variables)
        ok(f"{folder}/libuffdctl.so.0".removeprefix("/") in files(dest), f"{folder} of {sorted(files(dest))}")
        with open(f"{dest}{folder}/pkgconfig/libuffdctl.pc") as f:
            contains(f.read(), f"libdir={folder}\n")


@test(limit=120)
def install_uninstall():
    dest = scratch()
    make("install", dest)
    other = os.path.join(dest, LIB, "libother.so.0")
    with open(other, "w"):
        pass
    make("uninstall", dest)
    eq(files(dest), {f"{LIB}/libother.so.0"}, "what uninstall leaves")
    make("uninstall", dest)


# ---- a program that uses it ----

def build_sample(dest, *how):
    """Compiles and links it as pkg-config says; how: arguments of pkg-config."""
    env = {"PKG_CONFIG_SYSROOT_DIR": dest, "PKG_CONFIG_PATH": os.path.join(dest, LIB, "pkgconfig")}
    path = os.path.join(dest, "sample.c")
    with open(path, "w") as f:
        f.write(SAMPLE)
    cflags = call("pkg-config", "--cflags", "libuffdctl", **env).split()
    libs = call("pkg-config", "--libs", *how, "libuffdctl", **env).split()
    if "--static" in how:
        at = libs.index("-luffdctl")
        libs[at:at + 1] = ["-Wl,-Bstatic", "-luffdctl", "-Wl,-Bdynamic"]
    program = os.path.join(dest, "sample")
    call(*CC, "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", *cflags, "-o", program, path, *libs)
    return program


def check_sample(program, needs_library, **env):
    needed = re.findall(r"NEEDED.*\[(.+)\]", call("readelf", "-d", program))
    eq("libuffdctl.so.0" in needed, needs_library, f"needs the shared library; it needs {needed}")
    with Target() as t:
        fd = t.userfaultfd()
        contains(call(program, str(t.pid), **env), f" {fd}\n")


@test(limit=120)
def install_shared():
    not_sanitized()
    dest = scratch()
    make("install", dest)
    program = build_sample(dest)
    check_sample(program, True, LD_LIBRARY_PATH=os.path.join(dest, LIB))


@test(limit=120)
def install_static():
    not_sanitized()
    dest = scratch()
    make("install", dest)
    check_sample(build_sample(dest, "--static"), False)


def example(begin):
    """A program of libuffdctl.3, compiled as it stands there."""
    not_sanitized()
    folder = scratch()
    text = re.search(rf"^\.EX\n(/\* {begin}.*?)^\.EE", source("man/libuffdctl.3"), re.M | re.S)[1]
    path, program = os.path.join(folder, "example.c"), os.path.join(folder, "example")
    with open(path, "w") as f:
        f.write(text.replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\"))
    call(*CC, "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", f"-I{ROOT}/lib", "-o", program, path, SO)
    return program


@test
def install_example():
    program = example("Map what")
    with Target() as t:
        t.userfaultfd(["minor_shmem"])
        m = t.memory("memfd", 4 * PAGE, alloc=True)
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        contains(call(program, str(t.pid), "all", LD_LIBRARY_PATH=BUILD), ": 16384 bytes mapped\n")


@test
def install_example_that_lists():
    program = example("List the userfaultfds")
    with target(seed=1, mode="minor") as (t, m):
        t.touch(id=m["id"], access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        out = call(program, LD_LIBRARY_PATH=BUILD)
        number = re.search(rf"userfaultfd (\d+): held as {t.pid}:{t.u}, governs the memory of {t.pid}, nobody reads\n", out)
        ok(number, f"the userfaultfd: {out}")
        contains(out, f" waits on userfaultfd {number[1]}: minor fault, queued, at {m['start']:x}\n")


# ---- a program that was built with another header ----

def sized(header):
    """The structs of the header that begin with their size: (name, members)."""
    return re.findall(r"^(struct uffdctl_\w+) \{\n\tsize_t size;\n(.*?)^\};", header, re.M | re.S)


def without_last(header):
    """As the header was, so to speak, before each struct got its last member."""
    for name, members in sized(header):
        kept = re.sub(r"/\*.*?\*/", "", members, flags=re.S)
        kept = re.match(r"(.*;)[^;]+;\s*$", kept, re.S)[1]
        header = header.replace(f"{name} {{\n\tsize_t size;\n{members}}};",
                                f"{name} {{\n\tsize_t size;\n{kept}\n}};")
    return header


def with_another(header):
    """As the header may be one day."""
    for name, members in sized(header):
        header = header.replace(f"{name} {{\n\tsize_t size;\n{members}}};",
                                f"{name} {{\n\tsize_t size;\n{members}\tuint64_t another;\n}};")
    return "#define HAS_ANOTHER\n" + header


def other_sizes(header):
    """What the program prints that is built with such a header, but runs with the library there is."""
    not_sanitized()
    folder = scratch()
    with open(os.path.join(folder, "uffdctl.h"), "w") as f:
        f.write(header)
    program = os.path.join(folder, "sizes")
    call(*CC, "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{folder}", "-o", program,
         os.path.join(ROOT, "tests/helpers/sizes.c"), SO)
    with Target() as t:
        t.userfaultfd(["minor_shmem"])
        m = t.memory("memfd", 4 * PAGE, alloc=True)
        printed = call(program, str(t.pid), m["addr"], LD_LIBRARY_PATH=BUILD)
        return printed.replace(str(t.pid), "PID").replace(m["addr"].removeprefix("0x"), "ADDR")


@test
def install_sizes():
    """Structs may get members: older and newer programs find what they know."""
    header = source("lib/uffdctl.h")
    ok(len(sized(header)) >= 7, f"structs with a size: {[name for name, _ in sized(header)]}")
    now = other_sizes(header)
    contains(now, "mapped 8192")
    eq(other_sizes(without_last(header)), now, "built with a header whose structs lack their last member")
    newer = other_sizes(with_another(header))
    eq(re.sub(r"another .*\n", "", newer), now, "built with a header whose structs have one more member")
    contains(newer, "another -1\n")
    contains(newer, f"another {-errno.E2BIG}: an option is set that libuffdctl")


@test
def install_header():
    """The header stands by itself, in C and in C++."""
    header = os.path.join(ROOT, "lib/uffdctl.h")
    call(*CC, "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-x", "c", header)
    if not shutil.which("clang"):
        skip("no C++ compiler; clang runs the rest of this")
    call("clang", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fsyntax-only", "-x", "c++", header)


main()
