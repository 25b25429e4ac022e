// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of what else is read from /proc and of cgroups. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/kernel/memory.h"
#include "lib/kernel/memcg.h"
#include "lib/kernel/proc.h"
#include "tests/lib/folder.h"
#include "tests/unit.h"

/* ---- fdinfo and stat ---- */

#define FDINFO_HEAD "pos:\t0\nflags:\t02004002\nmnt_id:\t15\nino:\t1057\n"

TEST("fdinfo")
{
	struct uffd_fdinfo info;

	NUM(fdinfo_parse(FDINFO_HEAD "pending:\t3\ntotal:\t5\nAPI:\taa:80000440:16f\n", &info), 0);
	NUM(info.pending, 3);
	NUM(info.total, 5);
	OK(info.handshake);
	NUM(info.features, 0x440);
}

TEST("fdinfo-no-handshake")
{
	struct uffd_fdinfo info;

	NUM(fdinfo_parse(FDINFO_HEAD "pending:\t0\ntotal:\t0\nAPI:\taa:0:16f\n", &info), 0);
	OK(!info.handshake);
	NUM(info.features, 0);
}

TEST("fdinfo-no-features")
{
	struct uffd_fdinfo info;

	NUM(fdinfo_parse(FDINFO_HEAD "pending:\t0\ntotal:\t0\nAPI:\taa:80000000:16f\n", &info), 0);
	OK(info.handshake);
	NUM(info.features, 0);
}

TEST("fdinfo-others")
{
	static const char *const bad[] = {
		"",
		FDINFO_HEAD,
		FDINFO_HEAD "pending:\t0\n",
		FDINFO_HEAD "pending:\t0\ntotal:\t0\n",
		FDINFO_HEAD "pending:\t0\ntotal:\t0\nAPI:\n",
		FDINFO_HEAD "pending:\t0\ntotal:\t0\nAPI:\taa\n",
		FDINFO_HEAD "pending:\tx\ntotal:\t0\nAPI:\taa:0:16f\n",
		FDINFO_HEAD "pending:\t0\nsum:\t0\nAPI:\taa:0:16f\n",
		"pending:\t0\ntotal:\t0\nAPI:\taa:0:16f\n",
		FDINFO_HEAD "Pid:\t4211\nNSpid:\t4211\n",
		FDINFO_HEAD "eventfd-count:                0\neventfd-id: 1\n",
	};

	for EACH(bad) {
		struct uffd_fdinfo info = { .pending = 77 };

		check_num(__LINE__, bad[i], fdinfo_parse(bad[i], &info), -EINVAL);
		NUM(info.pending, 77);
	}
}

#define STAT_TAIL " S 1 4211 4211 0 -1 4194560 116 0 0 0 0 0 0 0 20 0 1 0 12345\n"

TEST("stat")
{
	struct proc_stat st;

	NUM(stat_parse("4211 (qemu-system-x86)" STAT_TAIL, &st), 0);
	STR(st.comm, "qemu-system-x86");
	NUM(st.state, 'S');
	NUM(st.flags, 4194560);
}

TEST("stat-comm")
{
	static const char *const comms[] = {
		"", " ", "a b", ")", "(", "()", ") S 1 2 (", "a) R 0 0", "a\nb", "((((((((((((((("
	};

	for EACH(comms) {
		struct proc_stat st = {};
		char text[256];

		snprintf(text, sizeof(text), "4211 (%s)" STAT_TAIL, comms[i]);
		check_num(__LINE__, comms[i], stat_parse(text, &st), 0);
		STR(st.comm, comms[i]);
		NUM(st.state, 'S');
		NUM(st.flags, 4194560);
	}
}

TEST("stat-long-comm")
{
	struct proc_stat st;

	/* Kernel threads of a workqueue have names of more than 15 characters there. */
	NUM(stat_parse("7 (kworker/0:1H-events_highpri) I 2 0 0 0 -1 69238880 0\n", &st), 0);
	STR(st.comm, "kworker/0:1H-ev");
	NUM(st.state, 'I');
	NUM(st.flags, 69238880);
}

TEST("stat-malformed")
{
	static const char *const bad[] = {
		"", "4211", "4211 comm S 1", "4211 (comm", "4211 comm) S 1 1 1 1 1 1", ")(", "4211 (comm)",
		"4211 (comm) ", "4211 (comm) S", "4211 (comm) S 1 2 3 4 5", "4211 (comm) S 1 2 3 4 5 x",
	};

	for EACH(bad) {
		struct proc_stat st = { .flags = 77 };

		check_num(__LINE__, bad[i], stat_parse(bad[i], &st), -EINVAL);
		NUM(st.flags, 77);
	}
}

/* ---- files of a directory that looks like /proc/PID/fd ---- */

static void check_memcg_path(int line, const char *text, int version, const char *want)
{
	char *path = memcg_path(text, version);

	check_str(line, text, path ?: "none", want ?: "none");
	free(path);
}

static void check_mountinfo(int line, const char *text, const char *want)
{
	uint32_t dev_major, dev_minor;
	char copy[256], got[256];
	const char *type;

	snprintf(copy, sizeof(copy), "%s", text);
	if (mountinfo_parse(copy, &dev_major, &dev_minor, &type) < 0)
		strcpy(got, "EINVAL");
	else
		snprintf(got, sizeof(got), "%u:%u %s", dev_major, dev_minor, type);
	check_str(line, "mountinfo", got, want);
}

TEST("kind-mountinfo")
{
	check_mountinfo(__LINE__, "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n", "98:0 ext3");
	check_mountinfo(__LINE__, "25 1 0:23 / /dev/shm rw - tmpfs tmpfs rw,size=64k\n", "0:23 tmpfs");
	check_mountinfo(__LINE__, "25 1 0:23 / /a\\040b rw - fuse.x x\\040- rw\n", "0:23 fuse.x");
	check_mountinfo(__LINE__, "25 1 0:23 / /dev/shm rw - tmpfs", "0:23 tmpfs");
	check_mountinfo(__LINE__, "25 1 0:23 / /dev/shm rw tmpfs", "EINVAL");
	check_mountinfo(__LINE__, "25 1 x / /dev/shm rw - tmpfs", "EINVAL");
	check_mountinfo(__LINE__, "", "EINVAL");
}

TEST("memcg-path")
{
	static const char both[] = "9:name=systemd:/x\n4:cpu,memory:/user/a:b c\n2:memory2:/no\n0::/user.slice/s.scope\n";

	check_memcg_path(__LINE__, both, 1, "/user/a:b c");
	check_memcg_path(__LINE__, both, 2, "/user.slice/s.scope");
	check_memcg_path(__LINE__, "0::/", 2, "/");
	check_memcg_path(__LINE__, "0::/", 1, NULL);
	check_memcg_path(__LINE__, "1:memory:/a", 2, NULL);
	check_memcg_path(__LINE__, "0::/../outside\n", 2, "/../outside");
	check_memcg_path(__LINE__, "", 2, NULL);
	check_memcg_path(__LINE__, "0\n::\n0:", 2, NULL);
}

static void set_number(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	OK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

TEST("memcg-room-v2")
{
	int dir = dir_make();

	NUM(memcg_room_of(dir, 2, 500), MEMCG_UNKNOWN);
	set_number(dir, "memory.max", "1000\n");
	set_number(dir, "memory.current", "700\n");
	set_number(dir, "memory.stat", "anon 5\ninactive_file 30\nactive_file 20\n");
	NUM(memcg_room_of(dir, 2, 0), 350);
	/* Without swap accounting all of it counts. */
	NUM(memcg_room_of(dir, 2, 500), 850);
	set_number(dir, "memory.swap.current", "40\n");
	set_number(dir, "memory.swap.max", "max\n");
	NUM(memcg_room_of(dir, 2, 500), 850);
	set_number(dir, "memory.swap.max", "100\n");
	NUM(memcg_room_of(dir, 2, 500), 410);
	NUM(memcg_room_of(dir, 2, 10), 360);
	set_number(dir, "memory.swap.max", "0\n");
	NUM(memcg_room_of(dir, 2, 500), 350);
	set_number(dir, "memory.max", "max\n");
	NUM(memcg_room_of(dir, 2, 500), MEMCG_UNKNOWN);
	dir_remove(dir);
}

TEST("memcg-room-v1")
{
	int dir = dir_make();

	set_number(dir, "memory.limit_in_bytes", "1000\n");
	set_number(dir, "memory.usage_in_bytes", "700\n");
	set_number(dir, "memory.stat", "total_inactive_file 30\ntotal_active_file 20\n");
	NUM(memcg_room_of(dir, 1, 500), 850);
	/* Of memory and swap together. */
	set_number(dir, "memory.memsw.usage_in_bytes", "900\n");
	set_number(dir, "memory.memsw.limit_in_bytes", "1200\n");
	NUM(memcg_room_of(dir, 1, 500), 350);
	NUM(memcg_room_of(dir, 1, 0), 350);
	set_number(dir, "memory.memsw.limit_in_bytes", "9223372036854771712\n");
	NUM(memcg_room_of(dir, 1, 500), 850);
	dir_remove(dir);
}

TEST("proc-is-uffd")
{
	int dir = dir_make();

	NUM(symlinkat("anon_inode:[userfaultfd]", dir, "3"), 0);
	NUM(symlinkat("anon_inode:[userfaultfd]x", dir, "4"), 0);
	NUM(symlinkat("anon_inode:[userfault]", dir, "5"), 0);
	NUM(symlinkat("anon_inode:[userfaultfe]", dir, "6"), 0);
	OK(proc_is_uffd(dir, "3"));
	OK(!proc_is_uffd(dir, "4"));
	OK(!proc_is_uffd(dir, "5"));
	OK(!proc_is_uffd(dir, "6"));
	OK(!proc_is_uffd(dir, "7"));
	dir_remove(dir);
}

static int sum_number(uint32_t n, void *arg)
{
	*(uint64_t *)arg += n;
	return n == 1000 ? -ECANCELED : 0;
}

TEST("proc-each-number")
{
	static const char *const names[] = { "1", "20", "300", "x1", "1x", "self", "4294967296", "-5" };
	int dir = dir_make();
	uint64_t sum = 0;

	for EACH(names)
		NUM(mkdirat(dir, names[i], 0700), 0);
	NUM(proc_each_number(dir, ".", sum_number, &sum), 0);
	NUM(sum, 321);
	NUM(mkdirat(dir, "1000", 0700), 0);
	NUM(proc_each_number(dir, ".", sum_number, &sum), -ECANCELED);
	NUM(proc_each_number(dir, "none", sum_number, &sum), -ENOENT);
	dir_remove(dir);
}

TEST("proc-read")
{
	int dir = dir_make(), fd = openat(dir, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char buf[8];

	NUM(write(fd, "0123456789", 10), 10);
	close(fd);
	memset(buf, 'x', sizeof(buf));
	NUM(proc_read(dir, "f", buf, sizeof(buf)), 0);
	STR(buf, "0123456");
	NUM(proc_read(dir, "f", buf, 1), 0);
	STR(buf, "");
	NUM(proc_read(dir, "none", buf, sizeof(buf)), -ENOENT);
	dir_remove(dir);
}

TEST("proc-open-dir")
{
	int fd = -1;

	NUM(proc_open_dir(getpid(), &fd), 0);
	OK(fd >= 0);
	close(fd);
	NUM(proc_open_dir(INT32_MAX, &fd), -ESRCH);
}
