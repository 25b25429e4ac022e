// SPDX-License-Identifier: LGPL-2.1-or-later
/* The files of proc(5), read and parsed. The target controls a part of their contents. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/context.h"
#include "lib/kernel/proc.h"
#include "lib/util.h"

/* Parse a number up to one of the stop characters, and skip that. */
static int field(char **at, unsigned int base, const char *stops, uint64_t *ret)
{
	size_t len = strcspn(*at, stops);
	char *end = *at + len;
	int r;

	if (!*end)
		return -EINVAL;
	if (base == 16) {
		r = parse_hex(*at, len, ret);
	} else {
		char dec[24];

		if (len >= sizeof(dec))
			return -EINVAL;
		memcpy(dec, *at, len);
		dec[len] = '\0';
		r = len && dec[len - 1] >= '0' && dec[len - 1] <= '9' ? uffdctl_size_parse(dec, ret) : -EINVAL;
	}
	*at = end + 1;
	return r < 0 ? -EINVAL : 0;
}

int maps_line_parse(char *line, struct maps_line *ret)
{
	struct maps_line l = {};
	uint64_t major, minor;
	char *at = line;

	line[strcspn(line, "\n")] = '\0';
	if (field(&at, 16, "- ", &l.range.start) < 0 || at[-1] != '-' || field(&at, 16, " ", &l.range.end) < 0 ||
	    l.range.start >= l.range.end)
		return -EINVAL;
	if (strcspn(at, " ") != 4 || at[4] != ' ')
		return -EINVAL;
	memcpy(l.perms, at, 4);
	at += 5;
	if (field(&at, 16, " ", &l.offset) < 0 || field(&at, 16, ":", &major) < 0 || field(&at, 16, " ", &minor) < 0 ||
	    major > UINT32_MAX || minor > UINT32_MAX)
		return -EINVAL;
	l.dev_major = major;
	l.dev_minor = minor;
	/* Linux puts a space behind the inode even where no name follows. */
	if (field(&at, 10, " ", &l.inode) < 0)
		return -EINVAL;
	l.name = at + strspn(at, " ");
	*ret = l;
	return 0;
}

int proc_each_mapping(int fd, int (*fn)(const struct maps_line *l, void *arg), void *arg)
{
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	_cleanup_free_ char *line = NULL;
	struct maps_line l;
	size_t size = 0;
	int r = 0;

	if (fd < 0)
		return fd;
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (errno = 0, getline(&line, &size, f) > 0))
		r = maps_line_parse(line, &l) < 0 ? -EPROTO : fn(&l, arg);
	return r ? r : -errno;
}

/* Order of proc_pid_smaps(5). */
static const char *const smaps_keys[] = {
	"Rss",
	"Pss",
	"Pss_Dirty",
	"Shared_Clean",
	"Shared_Dirty",
	"Private_Clean",
	"Private_Dirty",
	"Referenced",
	"Anonymous",
	"AnonHugePages",
	"ShmemPmdMapped",
	"FilePmdMapped",
	"Shared_Hugetlb",
	"Private_Hugetlb",
	"Swap",
	"SwapPss",
	"Locked",
	[SMAPS_KERNEL_PAGE_SIZE] = "KernelPageSize",
};

_Static_assert(ARRAY_SIZE(smaps_keys) == SMAPS_NR_SIZES + 1, "a key for each size");

UFFDCTL_EXPORT const char *uffdctl_smaps_key(unsigned int i)
{
	return i < SMAPS_NR_SIZES ? smaps_keys[i] : NULL;
}

int smaps_size_parse(const char *line, uint64_t *ret)
{
	size_t len = strcspn(line, ":");
	char *end;
	uint64_t kb;

	for (size_t i = 0; i < ARRAY_SIZE(smaps_keys); i++) {
		if (strncmp(line, smaps_keys[i], len) || smaps_keys[i][len])
			continue;
		if (line[len] != ':')
			return -1;
		errno = 0;
		kb = strtoull(line + len + 1, &end, 10);
		if (errno || end == line + len + 1 || strcmp(end, " kB\n") || kb > UINT64_MAX / 1024)
			return -1;
		*ret = kb * 1024;
		return i;
	}
	return -1;
}

char *smaps_flags_parse(char *line)
{
	static const char key[] = "VmFlags:";
	char *end;

	if (strncmp(line, key, sizeof(key) - 1))
		return NULL;
	line += sizeof(key) - 1;
	line += strspn(line, " ");
	end = line + strcspn(line, "\n");
	while (end > line && end[-1] == ' ')
		end--;
	*end = '\0';
	return line;
}

/* fs/userfaultfd.c: set by the handshake, which may ask for no feature at all. */
#define UFFD_FEATURE_INITIALIZED 0x80000000u

int fdinfo_parse(const char *text, struct uffd_fdinfo *ret)
{
	struct uffd_fdinfo info;
	unsigned long long pending, total;
	unsigned int features;
	const char *p = strstr(text, "\npending:");

	/* userfaultfd_show_fdinfo(): the features are printed as a signed %x, the ioctls after them. */
	if (!p || sscanf(p, "\npending: %llu total: %llu API: %*x:%x:", &pending, &total, &features) != 3)
		return -EINVAL;
	info.pending = pending;
	info.total = total;
	info.handshake = features != 0;
	info.features = features & ~UFFD_FEATURE_INITIALIZED;
	*ret = info;
	return 0;
}

int stat_parse(const char *text, struct proc_stat *ret)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	struct proc_stat st = {};
	unsigned int flags;

	/* The name itself may contain parentheses and spaces; it ends at the last parenthesis. */
	if (!open || !close || close < open)
		return -EINVAL;
	memcpy(st.comm, open + 1, MIN((size_t)(close - open - 1), sizeof(st.comm) - 1));
	if (sscanf(close + 1, " %c %*d %*d %*d %*d %*d %u", &st.state, &flags) != 2)
		return -EINVAL;
	st.flags = flags;
	*ret = st;
	return 0;
}

int proc_read(int dirfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		len += n;
	}
	buf[len] = '\0';
	return 0;
}

int proc_check_namespace(void)
{
	char link[32];
	ssize_t n = readlink("/proc/self", link, sizeof(link) - 1);
	uint32_t pid;

	if (n < 0)
		return -errno;
	link[n] = '\0';
	return parse_u32(link, &pid) == 0 && (pid_t)pid == getpid() ? 0 : -EXDEV;
}

int proc_open_dir(pid_t pid, int *ret)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	*ret = fd;
	return 0;
}

pid_t proc_tgid(int procfd)
{
	char buf[4096];
	const char *p;

	if (proc_read(procfd, "status", buf, sizeof(buf)) < 0)
		return 0;
	p = strstr(buf, "\nTgid:");
	return p ? atoi(p + strlen("\nTgid:")) : 0;
}

/* A thread that has ended has no memory and no descriptors, even while it is a zombie. */
static bool lives(int dirfd, const char *stat)
{
	struct proc_stat st;
	char buf[1024];

	return proc_read(dirfd, stat, buf, sizeof(buf)) >= 0 && stat_parse(buf, &st) >= 0 && st.state != 'Z' &&
	       st.state != 'X';
}

bool proc_lives(int procfd)
{
	return lives(procfd, "stat");
}

struct live_walk {
	pid_t pid, tid;
	int procfd, found;
};

static int try_thread(uint32_t tid, void *arg)
{
	struct live_walk *w = arg;
	_cleanup_close_ int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "task/%u/stat", tid);
	/* /proc/TID works like /proc/PID, with map_files and task. The ID may have been reused meanwhile. */
	if (!lives(w->procfd, path) || proc_open_dir(tid, &fd) < 0 || proc_tgid(fd) != w->pid)
		return 0;
	w->tid = tid;
	w->found = steal_fd(fd);
	return 1;
}

int proc_open_live(pid_t pid, int *ret, pid_t *ret_tid)
{
	_cleanup_close_ int procfd = -1;
	struct live_walk w = { .pid = pid, .tid = pid, .found = -1 };
	int r = proc_open_dir(pid, &procfd);

	if (r < 0)
		return r;
	w.procfd = procfd;
	if (!proc_lives(procfd))
		proc_each_number(procfd, "task", try_thread, &w);
	*ret = w.found >= 0 ? w.found : steal_fd(procfd);
	if (ret_tid)
		*ret_tid = w.tid;
	return 0;
}

static void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

int proc_each_number(int dirfd, const char *path, int (*fn)(uint32_t n, void *arg), void *arg)
{
	_cleanup_(cleanup_closedir) DIR *dir = NULL;
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	uint32_t n;
	int r;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir)
		return -errno;
	fd = -1;
	while (errno = 0, (e = readdir(dir))) {
		if (parse_u32(e->d_name, &n) < 0)
			continue;
		r = fn(n, arg);
		if (r)
			return r;
	}
	return -errno;
}

uint64_t proc_stack_pointer(int procfd, uint32_t tid)
{
	char path[64], buf[512];
	const char *p;

	snprintf(path, sizeof(path), "task/%u/syscall", tid);
	if (proc_read(procfd, path, buf, sizeof(buf)) < 0)
		return 0;
	/* "NR ARG… SP PC", or "running" */
	p = strrchr(buf, ' ');
	for (; p > buf && p[-1] != ' '; p--)
		;
	return p > buf ? strtoull(p, NULL, 16) : 0;
}

void proc_map_file(struct uffdctl_range range, char *buf)
{
	snprintf(buf, PROC_MAP_FILE_BYTES, "map_files/%" PRIx64 "-%" PRIx64, range.start, range.end);
}

bool proc_is_uffd(int dirfd, const char *path)
{
	static const char name[] = "anon_inode:[userfaultfd]";
	char link[sizeof(name) + 1];
	ssize_t n = readlinkat(dirfd, path, link, sizeof(link));

	return n == sizeof(name) - 1 && !memcmp(link, name, n);
}
