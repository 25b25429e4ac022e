// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether a userfaultfd acts on the memory of the process that was named, and on no other.
 *
 * It acts on the memory of who created it, whoever holds it: a child may hold one of its parent's. With BPF
 * that memory is known when the handle is opened. Without, there is no way to ask. But the ioctls find
 * nothing to act on in a memory that has nothing registered at the addresses: where no other process has, it
 * does not matter whose the userfaultfd is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/syscall.h>

#include "governs.h"
#include "log.h"
#include "proc.h"
#include "util.h"

#define INITIAL_PID_NS "pid:[4026531836]" /* PROC_PID_INIT_INO, include/linux/proc_ns.h */

struct search {
	struct uffdctl_handle *h;
	const struct segments *segs;
	pid_t other;	    /* has something registered there */
	const char *hidden; /* why not all can be looked into */
};

static bool overlaps(const struct segments *segs, struct uffdctl_range r)
{
	for (size_t i = 0; i < segs->nr; i++)
		if (r.start < segs->segs[i].range.end && r.end > segs->segs[i].range.start)
			return true;
	return false;
}

/* Is anything mapped there at all? Most processes are done with this. -errno: it can't be told. */
static int has_mapping(int procfd, const struct segments *segs)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	int fd = openat(procfd, "maps", O_RDONLY | O_CLOEXEC);
	struct maps_line l;
	size_t size = 0;

	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f)
		return -errno;
	while (errno = 0, getline(&line, &size, f) > 0)
		if (maps_line_parse(line, &l) == 0 && overlaps(segs, l.range))
			return 1;
	return -errno;
}

/* A process made with CLONE_VM has the target's own memory. */
static bool shares_memory(pid_t a, pid_t b)
{
	return syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0;
}

static int has_registered(struct search *s, pid_t pid)
{
	struct uffdctl *u = s->h->t->u;
	struct uffdctl_target *t = NULL;
	struct uffdctl_maps *maps = NULL;
	int level = u->log_level, r;

	u->log_level = -1;
	r = uffdctl_target_open(u, pid, &t);
	if (r >= 0)
		r = uffdctl_maps(t, UFFDCTL_SOURCE_PROC, 0, NULL, &maps);
	u->log_level = level;
	for (size_t i = 0; maps && i < maps->nr && r == 0; i++)
		r = overlaps(s->segs, maps->vmas[i].range);
	uffdctl_maps_free(maps);
	uffdctl_target_close(t);
	return r == -ESRCH ? 0 : r;
}

static int look_into(uint32_t pid, void *arg)
{
	struct search *s = arg;
	_cleanup_close_ int procfd = -1;
	int r;

	if (pid == (uint32_t)s->h->t->pid || pid == (uint32_t)getpid())
		return 0;
	r = proc_open_dir(pid, &procfd);
	if (r >= 0)
		r = has_mapping(procfd, s->segs);
	if (r > 0)
		r = shares_memory(pid, s->h->t->pid) ? 0 : has_registered(s, pid);
	if (r > 0)
		s->other = pid;
	if (r < 0 && r != -ESRCH && r != -ENOENT)
		s->hidden = "it needs CAP_SYS_PTRACE to look into all processes";
	return s->other || s->hidden;
}

static bool sees_all_processes(void)
{
	char ns[64] = "";

	return readlink("/proc/self/ns/pid", ns, sizeof(ns) - 1) > 0 && !strcmp(ns, INITIAL_PID_NS) &&
	       access("/proc/1", F_OK) == 0;
}

int governs_check(struct uffdctl_handle *h, const struct segments *segs)
{
	struct search s = { .h = h, .segs = segs };
	_cleanup_free_ char *fd = handle_describe(h);
	int r = 0;

	if (h->ctx || !segs->nr)
		return 0;
	if (sees_all_processes())
		r = proc_each_number(AT_FDCWD, "/proc", look_into, &s);
	else
		s.hidden = "there may be processes that can't be seen from here";
	if (r < 0 && !s.hidden)
		s.hidden = strerror(-r);
	if (s.other)
		return fail(h->t->u, -EXDEV,
			    "%d: %s may govern the memory of process %d, which has the same addresses registered; only BPF can tell (needs CAP_BPF and CAP_PERFMON, or root)",
			    h->t->pid, fd, s.other);
	if (s.hidden)
		return fail(h->t->u, -EXDEV,
			    "%d: it can't be shown that %s governs this process's memory, and not another's: %s, or BPF (CAP_BPF and CAP_PERFMON: setcap cap_bpf,cap_perfmon+ep on uffdctl, or root)",
			    h->t->pid, fd, s.hidden);
	return 0;
}
