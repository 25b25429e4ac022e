// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A lock that keeps two processes from changing the memory of one target at the same time.
 *
 * The lock is a record lock (fcntl(2), F_SETLK) on the userfaultfd itself: since Linux 5.12
 * (anon_inode_getfd_secure()) each userfaultfd has an inode of its own, which all duplicates made with pidfd_getfd(2)
 * share. Therefore the lock works across PID and mount namespaces, ends with its holder, and can be taken only by a
 * process that may take the descriptor. The target's own reads and ioctls do not notice it.
 *
 * A userfaultfd is open for reading only, and read locks do not exclude each other. But F_GETLK shows the read locks
 * of others: a process that wants the lock claims it first, then looks for another process's claim, and gives its own
 * up if there is one. So two processes never have it. The process that has got the lock also locks a second byte, so
 * that others can tell it from a process that tries at the same moment.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>

#include "lib/drive/lock.h"
#include "lib/kernel/iter.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/record_lock.h"
#include "lib/kernel/target.h"
#include "lib/log.h"
#include "lib/util.h"

enum {
	BYTE_CLAIM,
	BYTE_HELD,
	/* The same for who reads the messages. */
	BYTE_CLAIM_MESSAGES,
	BYTE_HELD_MESSAGES,
};

/* While nobody holds the lock, colliding claims end after a few of these delays. */
#define MAX_COLLISIONS 200
#define POLL_NS 20000000

/* @byte: BYTE_CLAIM or BYTE_CLAIM_MESSAGES; the one behind it shows that it is held */
static void unset(int fd, off_t byte)
{
	record_lock_unset(fd, byte + 1);
	record_lock_unset(fd, byte);
}

/* -EBUSY: another process holds it; -EAGAIN: another tries too. */
static int claim(int fd, off_t byte, pid_t *ret_pid)
{
	int r = record_lock_find(fd, byte + 1, ret_pid);

	if (r)
		return r < 0 ? r : -EBUSY;
	r = record_lock_set(fd, byte);
	if (r >= 0)
		r = record_lock_find(fd, byte, ret_pid);
	if (r == 0)
		r = record_lock_set(fd, byte + 1);
	if (r == 0)
		return 0;
	unset(fd, byte);
	return r < 0 ? r : -EAGAIN;
}

static int claim_all(struct uffdctl_handle *h, pid_t *ret_pid)
{
	int r = claim(h->uffd, BYTE_CLAIM, ret_pid);

	for (size_t i = 0; r >= 0 && i < h->lock.nr_others; i++)
		r = claim(h->lock.others[i], BYTE_CLAIM, ret_pid);
	if (r < 0)
		lock_release(h);
	return r;
}

void lock_release(struct uffdctl_handle *h)
{
	unset(h->uffd, BYTE_CLAIM);
	for (size_t i = 0; i < h->lock.nr_others; i++)
		unset(h->lock.others[i], BYTE_CLAIM);
}

/* ---- the other userfaultfds of the same memory ---- */

static bool is_known(const struct uffdctl_handle *h, size_t nr, uint64_t id)
{
	bool known = id == h->uffd_id;

	for (size_t i = 0; i < nr && !known; i++)
		known = h->list->ids[i] == id;
	return known;
}

/*
 * If we may not take a userfaultfd, others with the same rights can't lock it either: skip it. A lack of descriptors
 * is an error.
 */
static int take_other(struct uffdctl_handle *h, const struct uffdctl_uffd *d)
{
	_cleanup_close_ int pidfd = -1, fd = -1;
	int *place, r = pidfd_open_process(d->pid, &pidfd);
	char path[64];

	if (r >= 0)
		r = pidfd_take_fd(d->pid, pidfd, d->fd, &fd);
	if (r < 0)
		return r == -EMFILE || r == -ENFILE ? r : 0;
	/* The descriptor may refer to another file by now. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!proc_is_uffd(AT_FDCWD, path))
		return 0;
	place = vec_add(h->lock.others, h->lock.nr_others, h->lock.others_alloc);
	if (!place)
		return -ENOMEM;
	*place = steal_fd(fd);
	return 0;
}

/* Without BPF it is not known which they are: lock all that the process holds. */
static bool is_other(const struct uffdctl_handle *h, size_t i)
{
	const struct uffdctl_uffd *d = &h->list->uffds[i];

	return h->uffd_id ? !is_known(h, i, h->list->ids[i]) : d->pid != h->pid || d->fd != h->fd;
}

static int check_owner(const void *arg_ev, void *arg)
{
	const struct ev_vma *ev = arg_ev;
	const struct uffdctl_handle *h = arg;

	return is_known(h, h->list->nr, ev->ctx) ? 0 : -EXDEV;
}

/*
 * Two commands exclude each other if they lock one userfaultfd in common: those that the target itself holds are
 * enough, so that others need not be looked for on all of the machine. They are needed if the target holds none, and
 * if it has closed one meanwhile that is in use: then something is registered on a userfaultfd that it does not hold.
 * (If nothing is registered on that one, the first command is a register on it; the kernel gives a range to one
 * userfaultfd only.)
 */
static int look(struct uffdctl_handle *h)
{
	struct iter *it;
	int r = handle_look(h, false);

	if (r < 0 || h->list_has_all || !h->uffd_id)
		return r;
	r = h->list->nr ? iter_get(h->t->u, &it) : -ENOENT;
	if (r >= 0)
		r = iter_vmas(it, h->t->pid, true, check_owner, h);
	return r < 0 ? handle_look(h, true) : 0;
}

static int take_others(struct uffdctl_handle *h)
{
	int r;

	if (h->lock.others_taken)
		return 0;
	r = look(h);
	for (size_t i = 0; r >= 0 && i < h->list->nr; i++)
		if (is_other(h, i))
			r = take_other(h, &h->list->uffds[i]);
	h->lock.others_taken = r >= 0;
	/* The next action takes them again. */
	while (r < 0 && h->lock.nr_others)
		close(h->lock.others[--h->lock.nr_others]);
	return r;
}

/* ---- waiting ---- */

static void pause_ns(uint64_t ns)
{
	nanosleep(&(struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 }, NULL);
}

/* Two processes that collide must not retry at the same intervals. */
static void pause_at_random(void)
{
	uint16_t n = 0;

	if (getrandom(&n, sizeof(n), 0) < 0)
		n = getpid();
	pause_ns(1 + n * UINT64_C(30));
}

static const char *describe(char *buf, size_t size, pid_t pid)
{
	if (!pid)
		return "a process in another PID namespace";
	snprintf(buf, size, "process %d", pid);
	return buf;
}

static int fail_busy(struct uffdctl_handle *h, pid_t pid)
{
	char buf[32];

	return fail(h->t->u, -EBUSY,
		    "%d: %s is changing this memory with uffdctl at the moment: try again when it has ended, or wait for it with --wait-lock TIME",
		    h->t->pid, describe(buf, sizeof(buf), pid));
}

bool lock_is_unwanted(struct uffdctl_handle *h)
{
	return h->lock.stop && h->lock.stop(h->lock.data);
}

int lock_take(struct uffdctl_handle *h)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC), until = now + MIN(h->lock.wait_ns, UINT64_MAX - now);
	int r, collisions = 0;
	bool told = false;
	char buf[32];
	pid_t pid = 0;

	if (lock_is_unwanted(h))
		return -EINTR;
	r = take_others(h);
	if (r < 0)
		return fail(h->t->u, r,
			    "%d: taking all userfaultfds of this memory, to lock them: %s (see ulimit -n: each needs a descriptor)",
			    h->t->pid, strerror(-r));
	for (;;) {
		r = claim_all(h, &pid);
		if (r == -EAGAIN && ++collisions < MAX_COLLISIONS) {
			pause_at_random();
			continue;
		}
		if (r != -EBUSY && r != -EAGAIN)
			break;
		if (now_ns(CLOCK_MONOTONIC) >= until)
			return fail_busy(h, pid);
		if (!told)
			log_notice(h->t->u, "%d: waiting for %s, which is changing this memory", h->t->pid,
				   describe(buf, sizeof(buf), pid));
		told = true;
		if (lock_is_unwanted(h))
			return -EINTR;
		r = target_check(h->t);
		if (r < 0)
			return r;
		pause_ns(POLL_NS);
	}
	return r < 0 ? fail(h->t->u, r, "%d: locking the userfaultfd: %s", h->t->pid, strerror(-r)) : 0;
}

/* ---- the messages ---- */

int lock_take_messages(struct uffdctl_handle *h)
{
	pid_t pid = 0;
	char buf[32];
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && i < MAX_COLLISIONS; i++) {
		r = claim(h->uffd, BYTE_CLAIM_MESSAGES, &pid);
		if (r == -EAGAIN)
			pause_at_random();
	}
	if (r == -EBUSY || r == -EAGAIN)
		return fail(h->t->u, -EBUSY, "%d: %s serves this userfaultfd with uffdctl: end it first", h->t->pid,
			    describe(buf, sizeof(buf), pid));
	return r < 0 ? fail(h->t->u, r, "%d: locking the userfaultfd: %s", h->t->pid, strerror(-r)) : 0;
}

void lock_release_messages(struct uffdctl_handle *h)
{
	unset(h->uffd, BYTE_CLAIM_MESSAGES);
}

UFFDCTL_EXPORT void uffdctl_handle_wait_lock(struct uffdctl_handle *h, uint64_t wait_ns, int (*stop)(void *data),
					     void *data)
{
	h->lock.wait_ns = wait_ns;
	h->lock.stop = stop;
	h->lock.data = data;
}
