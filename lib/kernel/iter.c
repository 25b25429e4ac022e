// SPDX-License-Identifier: LGPL-2.1-or-later
/* BPF iterators over files, processes and mappings: one load serves all three. */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include <bpf/bpf.h>

/*
 * With the light skeleton, the kernel resolves CO-RE relocations: loading takes some 3 ms. libbpf would parse all of
 * the kernel's BTF first, and take 12 ms.
 */
#include "iter.lskel.h"

#include "lib/kernel/iter.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/reach.h"
#include "lib/kernel/uffd.h"
#include "lib/util.h"

struct iter {
	struct iter_bpf *skel;
	/* The link of the last look at one thread: looking there again takes two thirds of the time. */
	struct {
		int fd, prog_fd;
		pid_t tid;
	} kept;
};

/* The object of a walk: all processes, one thread, or all threads of a process. */
enum scope {
	ALL,
	THREAD,
	PROCESS,
};

static int open_link(int prog_fd, enum scope scope, pid_t pid)
{
	union bpf_iter_link_info info = {};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info));
	int link;

	if (scope == THREAD)
		info.task.tid = pid;
	else
		info.task.pid = pid;
	link = bpf_link_create(prog_fd, 0, BPF_TRACE_ITER, scope == ALL ? NULL : &opts);
	return link < 0 ? -errno : link;
}

/* Read whole records: the kernel returns several in a read, never a part of one. */
static int walk_link(int link, size_t size, iter_fn fn, void *arg)
{
	_cleanup_close_ int fd = bpf_iter_create(link);
	char buf[32768];
	int r;

	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		for (ssize_t at = 0; fn && at + (ssize_t)size <= n; at += size) {
			r = fn(buf + at, arg);
			if (r)
				return r;
		}
	}
}

static int walk(int prog_fd, enum scope scope, pid_t pid, size_t size, iter_fn fn, void *arg)
{
	_cleanup_close_ int link = open_link(prog_fd, scope, pid);

	return link < 0 ? link : walk_link(link, size, fn, arg);
}

/* A link keeps the number of the thread, not the thread: each walk looks it up. */
static int walk_thread(struct iter *it, int prog_fd, pid_t tid, size_t size, iter_fn fn, void *arg)
{
	if (it->kept.fd < 0 || it->kept.prog_fd != prog_fd || it->kept.tid != tid) {
		cleanup_close(&it->kept.fd);
		it->kept.fd = open_link(prog_fd, THREAD, tid);
		it->kept.prog_fd = prog_fd;
		it->kept.tid = tid;
	}
	return it->kept.fd < 0 ? it->kept.fd : walk_link(it->kept.fd, size, fn, arg);
}

/* The iterator puts its results into a map. */
static int visit_files(struct iter *it, iter_fn fn, void *arg)
{
	size_t nr = MIN(it->skel->bss->nr_found, (uint64_t)EV_MAX_FILES), size = nr * sizeof(struct ev_file);
	struct ev_file *found;
	int r = 0;

	if (!nr)
		return 0;
	found = mmap(NULL, size, PROT_READ, MAP_SHARED, it->skel->maps.found.map_fd, 0);
	if (found == MAP_FAILED)
		return -errno;
	for (size_t i = 0; r == 0 && i < nr; i++)
		r = fn(&found[i], arg);
	munmap(found, size);
	return r == 0 && nr < it->skel->bss->nr_found ? -E2BIG : r;
}

static int no_task(const void *ev, void *arg)
{
	(void)ev, (void)arg;
	return 0;
}

static int find_files(struct iter *it, enum scope scope, pid_t pid, iter_fn file_fn, iter_fn task_fn, void *arg)
{
	int r;

	it->skel->bss->scan_files = true;
	it->skel->bss->nr_found = 0;
	it->skel->bss->run++;
	r = walk(it->skel->progs.tasks.prog_fd, scope, pid, sizeof(struct ev_task), task_fn ?: no_task, arg);
	it->skel->bss->scan_files = false;
	return r < 0 ? r : visit_files(it, file_fn, arg);
}

int iter_files(struct iter *it, pid_t pid, iter_fn file_fn, iter_fn task_fn, void *arg)
{
	return find_files(it, pid ? PROCESS : ALL, pid, file_fn, task_fn, arg);
}

struct counting {
	iter_fn fn;
	void *arg;
	size_t nr;
};

static int count_event(const void *ev, void *arg)
{
	struct counting *c = arg;

	c->nr++;
	return c->fn(ev, c->arg);
}

/*
 * Look up a process by its first thread, however many others it has. If that thread has ended, this returns nothing;
 * then look at each of the other threads.
 */
static int walk_process(struct iter *it, int prog_fd, pid_t pid, size_t size, iter_fn fn, void *arg)
{
	struct counting c = { fn, arg, 0 };
	int r = walk_thread(it, prog_fd, pid, size, count_event, &c);

	return r || c.nr ? r : walk(prog_fd, PROCESS, pid, size, fn, arg);
}

int iter_tasks(struct iter *it, pid_t pid, iter_fn fn, void *arg)
{
	int prog_fd = it->skel->progs.tasks.prog_fd;

	return pid ? walk_process(it, prog_fd, pid, sizeof(struct ev_task), fn, arg)
		   : walk(prog_fd, ALL, 0, sizeof(struct ev_task), fn, arg);
}

struct fd_search {
	int fd;
	struct ev_file *ret;
	bool found;
};

static int keep_fd(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct fd_search *f = arg;

	if ((int)ev->fd != f->fd)
		return 0;
	*f->ret = *ev;
	f->found = true;
	return 0;
}

int iter_find_fd(struct iter *it, pid_t pid, int fd, struct ev_file *ret)
{
	struct fd_search f = { fd, ret, false };
	int r = iter_files(it, pid, keep_fd, NULL, &f);

	return r < 0 ? r : f.found ? 0 : -ENOENT;
}

static int keep_task(const void *ev, void *arg)
{
	*(struct ev_task *)arg = *(const struct ev_task *)ev;
	return 0;
}

int iter_find_task(struct iter *it, pid_t pid, struct ev_task *ret)
{
	struct ev_task task = {};
	int r = iter_tasks(it, pid, keep_task, &task);

	if (r < 0)
		return r;
	if (!task.mm)
		return -ENOENT;
	*ret = task;
	return 0;
}

struct vma_walk {
	iter_fn fn;
	void *arg;
	uint64_t end;
};

#define WALK_DONE 1

/*
 * Linux 6.18 repeats the last chunk of a process with many mappings: a mapping that lies wholly before the end of the
 * previous one is such a repetition. One that only begins before it has grown meanwhile.
 */
static int on_vma(const void *arg_ev, void *arg)
{
	struct ev_vma ev = *(const struct ev_vma *)arg_ev;
	struct vma_walk *w = arg;

	if (ev.end <= w->end)
		return WALK_DONE;
	if (ev.start < w->end)
		ev.start = w->end;
	w->end = ev.end;
	return w->fn(&ev, w->arg);
}

static bool leader_lives(pid_t pid)
{
	_cleanup_close_ int procfd = -1;

	return proc_open_dir(pid, &procfd) < 0 || proc_lives(procfd);
}

int iter_vmas(struct iter *it, pid_t pid, bool registered_only, iter_fn fn, void *arg)
{
	struct vma_walk w = { fn, arg, 0 };
	int prog_fd = it->skel->progs.vmas.prog_fd, r;

	it->skel->bss->registered_only = registered_only;
	it->skel->bss->last_file = 0;
	r = walk_thread(it, prog_fd, pid, sizeof(struct ev_vma), on_vma, &w);
	/* No mappings, or the first thread has ended: the mappings of the next thread are a repetition, too. */
	if (r == 0 && !w.end && !leader_lives(pid))
		r = walk(prog_fd, PROCESS, pid, sizeof(struct ev_vma), on_vma, &w);
	return r == WALK_DONE ? 0 : r;
}

/* All threads have the same memory: stop at the first result; the next would be -EBUSY. */
static int keep_vma_at(const void *ev, void *arg)
{
	*(struct ev_vma_at *)arg = *(const struct ev_vma_at *)ev;
	return 1;
}

/* The iterator does not wait while mappings are being changed, so retry. */
int iter_vma_at(struct iter *it, pid_t pid, uint64_t addr, struct ev_vma_at *ret)
{
	static const struct timespec pause = { .tv_nsec = 100 * 1000L };
	int r, tries = 10;

	it->skel->bss->find_addr = addr;
	it->skel->bss->last_file = 0;
	do {
		*ret = (struct ev_vma_at){ .err = -ESRCH };
		r = walk_process(it, it->skel->progs.tasks.prog_fd, pid, sizeof(*ret), keep_vma_at, ret);
	} while (r >= 0 && ret->err == -EBUSY && --tries && nanosleep(&pause, NULL) == 0);
	it->skel->bss->find_addr = 0;
	return r < 0 ? r : ret->err;
}

uint64_t iter_fops(const struct iter *it)
{
	return it->skel->bss->userfaultfd_fops;
}

unsigned int iter_level(const struct iter *it)
{
	return it->skel->bss->level;
}

uint64_t iter_pid_ns(const struct iter *it)
{
	return it->skel->bss->pid_ns;
}

int iter_run(int prog_fd)
{
	return walk(prog_fd, ALL, 0, 1, NULL, NULL);
}

struct own_fd {
	uint32_t fd;
	uint64_t f_op;
};

static int find_own_fd(const void *arg_ev, void *arg)
{
	const struct ev_file *ev = arg_ev;
	struct own_fd *own = arg;

	if (ev->fd == own->fd)
		own->f_op = ev->f_op;
	return 0;
}

/* userfaultfd_fops is in kallsyms of few kernels only: find it with a userfaultfd of our own. */
static int learn_fops(struct iter *it, bool *no_uffd)
{
	_cleanup_close_ int uffd = -1;
	struct own_fd own = {};
	int r;

	r = uffd_create(&uffd);
	*no_uffd = r < 0;
	if (r < 0)
		return r;
	own.fd = uffd;
	r = find_files(it, THREAD, gettid(), find_own_fd, NULL, &own);
	/* Descriptors that threads share are shown only for the first thread. */
	if (r >= 0 && !own.f_op && gettid() != getpid())
		r = find_files(it, THREAD, getpid(), find_own_fd, NULL, &own);
	if (r < 0)
		return r;
	if (!own.f_op)
		return -ENODATA;
	it->skel->bss->userfaultfd_fops = own.f_op;
	return 0;
}

static void close_iter(struct iter *it)
{
	cleanup_close(&it->kept.fd);
	if (it->skel)
		iter_bpf__destroy(it->skel);
	free(it);
}

static int open_iter(struct iter **ret, bool *no_uffd)
{
	struct iter *it = calloc(1, sizeof(*it));
	int r;

	if (!it)
		return -ENOMEM;
	it->kept.fd = -1;
	r = iter_load_skel(iter_bpf, &it->skel, it->skel->rodata->page_size = base_page_size());
	if (r >= 0)
		r = learn_fops(it, no_uffd);
	if (r < 0) {
		close_iter(it);
		return r;
	}
	*ret = it;
	return 0;
}

bool iter_is_shortage(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM;
}

int iter_get(struct uffdctl *u, struct iter **ret)
{
	if (!u->iter && (!u->iter_err || iter_is_shortage(u->iter_err)))
		u->iter_err = open_iter(&u->iter, &u->iter_no_uffd);
	if (!u->iter)
		return u->iter_err;
	u->iter_close = close_iter;
	*ret = u->iter;
	return 0;
}

/* Lockdown gets a text of its own, since the errors that it causes have other causes, too. */
static bool is_locked_down(void)
{
	_cleanup_fclose_ FILE *f = fopen("/sys/kernel/security/lockdown", "re");
	char text[128] = "";

	return f && fgets(text, sizeof(text), f) && strstr(text, "[confidentiality]");
}

_Static_assert(EV_MAX_FILES == 16384, "as the text for E2BIG says");
#define NEEDS_CAPS " (needs CAP_BPF and CAP_PERFMON: run as root, or setcap cap_bpf,cap_perfmon+ep on this program)"

/* A filter decides by the number of a call, before the kernel looks at anything. */
static bool is_filtered(enum reach_call call)
{
	return prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER && reach_try(call);
}

const char *iter_remedy(struct uffdctl *u)
{
	bool is_news = !u->remedy_said && u->iter_err == -EPERM && !u->iter_no_uffd && geteuid() &&
		       !is_filtered(REACH_BPF);

	u->remedy_said |= is_news;
	return is_news ? NEEDS_CAPS : "";
}

/* Of the ways to a userfaultfd, the last one needs no privilege. */
static const char *why_no_uffd(int err)
{
	if (iter_is_shortage(err))
		return strerror(-err);
	if (is_filtered(REACH_USERFAULTFD))
		return "a seccomp filter denies userfaultfd(2), and /dev/userfaultfd can't be used instead: those of others are not known without one of our own (allow the call in the filter's profile)";
	if (err == -ENOSYS)
		return "the kernel has no userfaultfd (CONFIG_USERFAULTFD)";
	return "userfaultfd(2) and /dev/userfaultfd are denied, as by an LSM: those of others are not known without one of our own (see uffdctl doctor)";
}

const char *iter_why(const struct uffdctl *u, int err)
{
	if (u->iter_no_uffd && err == u->iter_err)
		return why_no_uffd(err);
	if ((err == -EPERM || err == -ENOSYS) && is_filtered(REACH_BPF))
		return "a seccomp filter denies bpf(2) (allow the call in the filter's profile)";
	if ((err == -EPERM || err == -EACCES || err == -EINVAL) && is_locked_down())
		return "the kernel is locked down in confidentiality mode, so BPF may not read its memory (/sys/kernel/security/lockdown; boot with lockdown=integrity or none)";
	switch (err) {
	case -EACCES:
		return "the kernel's verifier refuses a program (please report it, with the kernel's version)";
	case -EPERM:
		return geteuid()
			       ? "BPF is not permitted" NEEDS_CAPS
			       : "BPF is not permitted (needs CAP_BPF and CAP_PERFMON, which root lacks in most containers, and no lockdown)";
	case -EINVAL:
		return "the BPF program was refused (needs CAP_PERFMON beside CAP_BPF, and the kernel's BTF)";
	case -ENOENT:
		return "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)";
	case -E2BIG:
		return "there are more than 16384 descriptors of userfaultfds";
	case -ENOSYS:
		return "the kernel has no BPF (CONFIG_BPF_SYSCALL)";
	default:
		return strerror(-err);
	}
}

_Static_assert(EV_MAX_FILES == 16384, "as the text for E2BIG says");
