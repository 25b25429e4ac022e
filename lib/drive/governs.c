// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checks that a userfaultfd governs the memory of the given process, and of no other.
 *
 * A userfaultfd governs the memory of the process that created it, whoever holds it: a child may hold a userfaultfd of
 * its parent. With BPF, that memory is known when the handle is opened. Without BPF there is no way to ask. But the
 * ioctls do nothing in a memory that has nothing registered at these addresses. So if no other process has something
 * registered there, it does not matter whose memory it is: we look into all processes. Processes that may not be
 * inspected do not matter if the process can't have inherited the userfaultfd: it is close-on-exec, and the process
 * has called execve(2) since it was forked. One case remains: such a process has passed the userfaultfd over a
 * socket, and has the same addresses registered, which is unlikely, since the two layouts have nothing in common.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/drive/governs.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/kcmp.h"
#include "lib/kernel/proc.h"
#include "lib/log.h"
#include "lib/util.h"

#define INITIAL_PID_NS "pid:[4026531836]" /* PROC_PID_INIT_INO, include/linux/proc_ns.h */

struct search {
	struct uffdctl_handle *h;
	const struct segments *segs;
	pid_t other; /* a process that has something registered there */
	bool hidden; /* there are processes that may not be inspected */
};

static bool overlaps(const struct segments *segs, struct uffdctl_range r)
{
	for (size_t i = 0; i < segs->nr; i++)
		if (r.start < segs->segs[i].range.end && r.end > segs->segs[i].range.start)
			return true;
	return false;
}

static int is_overlapping(const struct maps_line *l, void *arg)
{
	return overlaps(arg, l->range);
}

/* Is anything mapped there at all? For most processes this is enough. -errno: not known. */
static int has_mapping(int procfd, const struct segments *segs)
{
	int fd = openat(procfd, "maps", O_RDONLY | O_CLOEXEC);

	return proc_each_mapping(fd < 0 ? -errno : fd, is_overlapping, (void *)segs);
}

static int has_registered(struct search *s, pid_t pid)
{
	struct uffdctl_maps *maps = NULL;
	int r = maps_of_process(s->h->t->u, pid, UFFDCTL_SOURCE_PROC, &maps);

	for (size_t i = 0; maps && i < maps->nr && r == 0; i++)
		r = overlaps(s->segs, maps->vmas[i].range);
	uffdctl_maps_free(maps);
	return r == -ESRCH ? 0 : r;
}

static int search_process(uint32_t pid, void *arg)
{
	struct search *s = arg;
	_cleanup_close_ int procfd = -1;
	int r;

	if (pid == (uint32_t)s->h->t->pid || pid == (uint32_t)getpid())
		return 0;
	r = proc_open_live(pid, &procfd, NULL);
	if (r >= 0)
		r = has_mapping(procfd, s->segs);
	/* A process made with CLONE_VM shares the memory of the target. */
	if (r > 0)
		r = kcmp_same_memory(pid, s->h->t->pid) ? 0 : has_registered(s, pid);
	if (r > 0)
		s->other = pid;
	s->hidden |= r < 0 && r != -ESRCH && r != -ENOENT;
	return s->other != 0;
}

static bool sees_all_processes(void)
{
	char ns[64] = "";

	return readlink("/proc/self/ns/pid", ns, sizeof(ns) - 1) > 0 && !strcmp(ns, INITIAL_PID_NS) &&
	       access("/proc/1", F_OK) == 0;
}

static bool has_called_exec(struct uffdctl_target *t)
{
	struct proc_stat st;
	char buf[1024];

	return proc_read(t->procfd, "stat", buf, sizeof(buf)) >= 0 && stat_parse(buf, &st) >= 0 &&
	       !(st.flags & PF_FORKNOEXEC);
}

static int is_this_one(uint32_t fd, void *arg)
{
	const struct uffdctl_handle *h = arg;

	return kcmp_same_file(h->t->pid, (int)fd, getpid(), h->uffd) == 1 ? (int)fd + 1 : 0;
}

/* The target's own descriptor of it; -1: none, or it is not known. */
static int own_descriptor(struct uffdctl_handle *h)
{
	int r = h->fd;

	if (h->pid != h->t->pid)
		r = proc_each_number(h->t->procfd, "fd", is_this_one, h) - 1;
	return r < 0 ? -1 : r;
}

/* Is the target's descriptor close-on-exec? */
static bool is_cloexec(const struct uffdctl_handle *h, int fd)
{
	char path[64], buf[1024];
	const char *flags;

	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	if (proc_read(h->t->procfd, path, buf, sizeof(buf)) < 0)
		return false;
	flags = strstr(buf, "flags:");
	return flags && strtoul(flags + strlen("flags:"), NULL, 8) & O_CLOEXEC;
}

static bool can_be_inherited(struct uffdctl_handle *h)
{
	int fd = own_descriptor(h);

	return fd < 0 || !is_cloexec(h, fd) || !has_called_exec(h->t);
}

int governs_check(struct uffdctl_handle *h, const struct segments *segs, bool by_deed)
{
	struct search s = { .h = h, .segs = segs };
	_cleanup_free_ char *fd = NULL;
	int r;

	/* One that was made inside of the target governs its memory. */
	if (h->uffd_id || h->is_new || !segs->nr)
		return 0;
	fd = handle_describe(h);
	s.hidden = !sees_all_processes();
	r = proc_each_number(AT_FDCWD, "/proc", search_process, &s);
	if (s.other)
		return fail(h->t->u, -EXDEV,
			    "%d: %s may govern the memory of process %d, which has the same addresses registered; only BPF shows which%s",
			    h->t->pid, fd, s.other, iter_remedy(h->t->u));
	if ((r < 0 || s.hidden) && !by_deed && can_be_inherited(h))
		return fail(h->t->u, -EXDEV,
			    "%d: without BPF it can't be shown that %s governs the memory of this process, and not of one that may not be inspected%s",
			    h->t->pid, fd, iter_remedy(h->t->u));
	return 0;
}
