// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of actions, on a child process. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/drive/handle.h"
#include "lib/drive/job.h"
#include "lib/drive/lock.h"
#include "lib/drive/results.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/record_lock.h"
#include "lib/kernel/uffd.h"
#include "tests/lib/limit.h"
#include "tests/lib/logged.h"

#define NR_UFFDS 3

/* The child, and what it has. */
struct child {
	pid_t pid;
	int uffds[NR_UFFDS];
	uint64_t addr;
};

static struct child child_self;

static void close_first(int sig)
{
	(void)sig;
	close(child_self.uffds[0]);
}

static void be_child(int out, bool orphan)
{
	struct child c = {};
	char *p = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	c.addr = (uintptr_t)p;
	for
		EACH(c.uffds)
	if (uffd_create(&c.uffds[i]) < 0 || uffd_handshake(c.uffds[i], 0, NULL) < 0)
		_exit(1);
	if (orphan && fork())
		_exit(0);
	c.pid = getpid();
	child_self = c;
	signal(SIGUSR1, close_first);
	if (write(out, &c, sizeof(c)) != sizeof(c))
		_exit(1);
	for (;;)
		pause();
}

/* @orphan: a child of a process that has ended, whose userfaultfds it has */
static struct child new_child(bool orphan)
{
	struct child c;
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		abort();
	pid = fork();
	if (!pid)
		be_child(fds[1], orphan);
	close(fds[1]);
	if (orphan)
		waitpid(pid, NULL, 0);
	if (read(fds[0], &c, sizeof(c)) != sizeof(c))
		abort();
	close(fds[0]);
	return c;
}

/* A handle of its first userfaultfd, and its page as ranges. */
struct driven {
	struct child child;
	struct uffdctl *u;
	struct uffdctl_target *t;
	struct uffdctl_handle *h;
	struct uffdctl_ranges *ranges;
};

static struct uffdctl_handle *open_handle(struct driven *d, int fd)
{
	const struct uffdctl_handle_opts opts = { .size = sizeof(opts), .flags = UFFDCTL_HANDLE_FD, .fd = fd };
	struct uffdctl_handle *h;

	if (uffdctl_handle_open(d->t, &opts, &h) < 0)
		abort();
	return h;
}

static void begin(struct driven *d, bool bpf)
{
	char text[64];

	d->child = new_child(false);
	d->u = new_context();
	if (!bpf)
		d->u->iter_err = -EPERM;
	snprintf(text, sizeof(text), "%" PRIx64 "+%d", d->child.addr, getpagesize());
	if (uffdctl_target_open(d->u, d->child.pid, &d->t) < 0 || uffdctl_ranges_new(d->u, &d->ranges) < 0 ||
	    uffdctl_ranges_add(d->ranges, text) < 0)
		abort();
	d->h = open_handle(d, d->child.uffds[0]);
	nr_logged = 0;
}

static void end(struct driven *d)
{
	uffdctl_ranges_free(d->ranges);
	uffdctl_handle_close(d->h);
	uffdctl_target_close(d->t);
	uffdctl_free(d->u);
	kill(d->child.pid, SIGKILL);
	waitpid(d->child.pid, NULL, 0);
}

static uint64_t modes_now(struct driven *d)
{
	const struct uffdctl_maps_opts opts = { .size = sizeof(opts), .source = UFFDCTL_SOURCE_PROC };
	struct uffdctl_maps *maps;
	uint64_t modes = 0;

	if (uffdctl_maps(d->t, &opts, &maps) < 0)
		abort();
	for (size_t i = 0; i < uffdctl_maps_count(maps); i++)
		if (uffdctl_maps_get(maps, i)->range.start == d->child.addr)
			modes = uffdctl_maps_get(maps, i)->modes;
	uffdctl_maps_free(maps);
	return modes;
}

/* For /proc, /proc/PID, its folder of descriptors, and a file beside that: none is left out silently. */
TEST("list-lack-of-descriptors")
{
	const struct uffdctl_find_opts opts = { .size = sizeof(opts), .source = UFFDCTL_SOURCE_PROC };
	struct uffdctl_list *l;
	struct driven d;

	begin(&d, false);
	for (int nr = 0; nr < 4; nr++) {
		allow_descriptors(nr);
		NUM(uffdctl_list(d.u, &opts, &l), -EMFILE);
		allow_all_descriptors();
	}
	end(&d);
}

/* ---- register ---- */

/* The warning comes between the first look at the mappings and the ioctl. */
static void on_log_limit(void *data, int level, const char *msg)
{
	(void)data, (void)msg;
	if (level == UFFDCTL_LOG_WARNING && !nr_logged++)
		allow_descriptors(0);
}

static void keep_result(void *data, const struct uffdctl_result *res)
{
	*(int *)data = res->error;
}

static void check_unverified(uint64_t before, uint64_t modes, uint64_t after)
{
	struct driven d;
	int error = 0;
	const struct uffdctl_action_opts opts = { .size = sizeof(opts), .result = keep_result, .data = &error };

	begin(&d, false);
	if (before)
		NUM(uffdctl_register(d.h, d.ranges, before, &opts), 0);
	NUM(modes_now(&d), before);
	nr_logged = 0;
	uffdctl_set_log(d.u, UFFDCTL_LOG_NOTICE, on_log_limit, NULL);
	NUM(uffdctl_register(d.h, d.ranges, modes, &opts), -EIO);
	allow_all_descriptors();
	NUM(nr_logged, 1);
	NUM(error, -EPROTO);
	NUM(modes_now(&d), after);
	end(&d);
}

/* Without BPF it must be seen that the target got what was registered, or else it is undone. */
TEST("register-unverified-is-undone")
{
	check_unverified(0, UFFDCTL_MODE_MISSING, 0);
	/* Not what was there before. */
	check_unverified(UFFDCTL_MODE_WP, UFFDCTL_MODE_MISSING, UFFDCTL_MODE_WP | UFFDCTL_MODE_MISSING);
}

/* ---- the lock ---- */

TEST("lock-again-after-a-lack-of-descriptors")
{
	struct driven d;

	begin(&d, false);
	/* Too few to look for the others. */
	allow_descriptors(2);
	NUM(lock_take(d.h), -EMFILE);
	PART(logged, "ulimit -n");
	allow_all_descriptors();
	NUM(d.h->lock.nr_others, 0);
	NUM(lock_take(d.h), 0);
	NUM(d.h->lock.nr_others, NR_UFFDS - 1);
	lock_release(d.h);
	end(&d);
}

/*
 * The calling process takes it, and a child of it waits for it.
 * @wait: in the child, whether it is as it should be
 */
static bool wait_for_us(struct driven *d, bool (*wait)(struct driven *d))
{
	int status = 1;
	pid_t pid;

	record_lock_set(d->h->uffd, 0);
	record_lock_set(d->h->uffd, 1);
	pid = fork();
	if (!pid)
		_exit(!wait(d));
	waitpid(pid, &status, 0);
	record_lock_unset(d->h->uffd, 0);
	record_lock_unset(d->h->uffd, 1);
	return status == 0;
}

static int stop_third(void *data)
{
	return ++*(int *)data == 3;
}

static bool waits_for_ever(struct driven *d)
{
	int calls = 0;

	uffdctl_handle_wait_lock(d->h, UINT64_MAX, stop_third, &calls);
	return lock_take(d->h) == -EINTR && calls == 3;
}

TEST("lock-wait-for-ever")
{
	struct driven d;

	begin(&d, true);
	OK(wait_for_us(&d, waits_for_ever));
	end(&d);
}

static void find_notice(void *data, int level, const char *msg)
{
	if (level == UFFDCTL_LOG_NOTICE && strstr(msg, "waiting for a process in another PID namespace"))
		*(bool *)data = true;
}

static bool waits_for_unknown(struct driven *d)
{
	bool told = false;

	uffdctl_set_log(d->u, UFFDCTL_LOG_NOTICE, find_notice, &told);
	uffdctl_handle_wait_lock(d->h, 50000000, NULL, NULL);
	return lock_take(d->h) == -EBUSY && told;
}

TEST("lock-wait-for-another-namespace")
{
	struct driven d;
	int status = 1;
	pid_t pid;

	begin(&d, true);
	pid = fork();
	/* Its children are in another one. Only root can have that. */
	if (!pid)
		_exit(unshare(CLONE_NEWPID) == 0 && !wait_for_us(&d, waits_for_unknown));
	waitpid(pid, &status, 0);
	NUM(status, 0);
	end(&d);
}

/* ---- which userfaultfd ---- */

TEST("choose-owner-without-holder")
{
	struct driven d;
	const struct uffdctl_action_opts opts = { .size = sizeof(opts) };
	struct uffdctl_handle_opts which = { .size = sizeof(which) };
	struct uffdctl_handle *h;
	int fd;

	begin(&d, true);
	which.ranges = d.ranges;
	NUM(uffdctl_register(d.h, d.ranges, UFFDCTL_MODE_MISSING, &opts), 0);
	/* Now only we hold it. */
	kill(d.child.pid, SIGUSR1);
	while (pidfd_take_fd(d.child.pid, d.t->pidfd, d.child.uffds[0], &fd) == 0) {
		close(fd);
		usleep(1000);
	}
	if (d.h->uffd_id) {
		NUM(uffdctl_handle_open(d.t, &which, &h), -ENOENT);
		PART(logged, "a userfaultfd that no visible process holds");
	}
	end(&d);
}

TEST("choose-memory-has-ended")
{
	struct child c = new_child(true);
	struct uffdctl *u = new_context();
	const struct uffdctl_handle_opts opts = { .size = sizeof(opts) };
	struct uffdctl_handle *h;
	struct uffdctl_target *t;

	NUM(uffdctl_target_open(u, c.pid, &t), 0);
	if (uffdctl_handle_open(t, &opts, &h) == 0)
		uffdctl_handle_close(h);
	else
		PART(logged, "the process whose memory it governs has ended");
	uffdctl_target_close(t);
	uffdctl_free(u);
	kill(c.pid, SIGKILL);
}

/* ---- wake ---- */

struct kept {
	int nr;
	struct uffdctl_result last;
};

static void keep_last(void *data, const struct uffdctl_result *res)
{
	struct kept *kept = data;

	kept->nr++;
	kept->last = *res;
}

TEST("wake-of-another-owner")
{
	struct driven d;
	struct kept kept = {};
	const struct uffdctl_action_opts opts = { .size = sizeof(opts), .result = keep_last, .data = &kept };
	struct uffdctl_handle *h;

	begin(&d, true);
	h = open_handle(&d, d.child.uffds[1]);
	NUM(uffdctl_register(d.h, d.ranges, UFFDCTL_MODE_MISSING, &opts), 0);
	if (d.h->uffd_id) {
		NUM(uffdctl_wake(h, d.ranges, &opts), -EIO);
		NUM(kept.last.error, -EBUSY);
		NUM(kept.last.mapped, UFFDCTL_UNKNOWN);
		NUM(kept.last.elsewhere, UFFDCTL_UNKNOWN);
	}
	uffdctl_handle_close(h);
	end(&d);
}

static int stop_at_once(void *data)
{
	(void)data;
	return 1;
}

TEST("wake-all-or-nothing")
{
	struct driven d;
	struct kept kept = {};
	const struct uffdctl_action_opts opts = { .size = sizeof(opts), .result = keep_last, .data = &kept };

	begin(&d, true);
	NUM(uffdctl_register(d.h, d.ranges, UFFDCTL_MODE_MISSING, &opts), 0);
	NUM(uffdctl_ranges_add(d.ranges, "all"), 0);
	NUM(uffdctl_ranges_add(d.ranges, "1000+4K"), 0);
	kept.nr = 0;
	NUM(uffdctl_wake(d.h, d.ranges, &opts), 0);
	NUM(kept.nr, 3);
	NUM(kept.last.range.start, 0x1000);
	kept.nr = 0;
	uffdctl_handle_wait_lock(d.h, 0, stop_at_once, NULL);
	NUM(uffdctl_wake(d.h, d.ranges, &opts), -EINTR);
	NUM(kept.nr, 0);
	end(&d);
}

/* ---- copy ---- */

TEST("copy-no-elsewhere")
{
	struct driven d;
	const struct uffdctl_action_opts opts = { .size = sizeof(opts),
						  .contents = UFFDCTL_CONTENTS_ZERO,
						  .elsewhere = UFFDCTL_ELSEWHERE_KEEP };

	begin(&d, true);
	NUM(uffdctl_copy(d.h, d.ranges, &opts), -EINVAL);
	PART(logged, "no use for elsewhere");
	end(&d);
}

/* ---- results ---- */

static void keep_text(void *data, const struct uffdctl_result *res)
{
	snprintf(data, 128, "%s", res->error_text ?: "");
}

TEST("result-hardware-poisoned")
{
	static const struct {
		int err;
		const char *text;
	} table[] = { { -EHWPOISON, "(EHWPOISON)" }, { -EIO, "(EIO)" } };
	const struct resolve_op op = {};
	const struct uffdctl_vma v = {};
	char text[128];
	const struct uffdctl_action_opts opts = { .result = keep_text, .data = text };

	for
		EACH(table)
		{
			struct part part = { .seg.vma = &v, .tally.err = table[i].err };
			struct job job = { .opts = &opts, .op = &op, .parts = &part, .nr_parts = 1 };

			OK(results_report(&job));
			PART(text, table[i].text);
		}
}
