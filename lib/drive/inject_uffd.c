// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Makes a userfaultfd inside a target that has none. It is the target that must make it, since a userfaultfd governs the
 * memory of its maker; all else is done from here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/drive/inject.h"
#include "lib/drive/inject_uffd.h"
#include "lib/kernel/confine.h"
#include "lib/kernel/donor.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"

/* Whoever serves it may poll it, for which it must not block. */
#define UFFD_FLAGS (O_CLOEXEC | O_NONBLOCK)

/* Events would stop the target in fork(2) or munmap(2) until somebody reads them; all else has its use. */
#define FEATURES                                                                                        \
	(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_HUGETLBFS | UFFD_FEATURE_MISSING_SHMEM | \
	 UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_MINOR_HUGETLBFS | UFFD_FEATURE_MINOR_SHMEM |             \
	 UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_RWP)

#define CALL(...) ((const uint64_t[6]){ __VA_ARGS__ })

struct making {
	struct uffdctl_handle *h;
	bool own;	  /* the target does not keep it */
	const char *step; /* what has failed in the target */
	int64_t uffd;	  /* its number there, or a negative errno */
};

/* Where that can't be found out, none: nothing that can be registered depends on them but marks of empty pages. */
static uint64_t features(void)
{
	uint64_t has = uffd_kernel_features();

	return has == UINT64_MAX ? 0 : has & FEATURES;
}

static void close_there(struct inject *in, int64_t fd)
{
	int64_t ignored;

	inject_call(in, SYS_close, CALL((uint64_t)fd), &ignored);
}

/* Through the device that the target takes from a process of ours; what it gets in between is closed again. */
static int make_by_device(struct inject *in, struct making *m, const struct donor *donor)
{
	int64_t pidfd, dev = -EPERM;
	int r = inject_call(in, SYS_pidfd_open, CALL((uint64_t)donor->pid), &pidfd);

	m->step = "pidfd_open";
	m->uffd = pidfd;
	if (r < 0 || pidfd < 0)
		return r;
	r = inject_call(in, SYS_pidfd_getfd, CALL((uint64_t)pidfd, (uint64_t)donor->fd), &dev);
	m->step = "pidfd_getfd";
	m->uffd = dev;
	if (r >= 0 && dev >= 0) {
		m->step = "USERFAULTFD_IOC_NEW";
		r = inject_call(in, SYS_ioctl, CALL((uint64_t)dev, USERFAULTFD_IOC_NEW, UFFD_FLAGS), &m->uffd);
		close_there(in, dev);
	}
	close_there(in, pidfd);
	return r;
}

static int fail_donor(struct making *m, int err)
{
	struct uffdctl_target *t = m->h->t;
	struct confinement theirs;

	if (err == -EXDEV)
		return fail(t->u, err,
			    "%d: it may not call userfaultfd(2) itself, and it is in another user namespace, where it can't be given /dev/userfaultfd: run uffdctl in that namespace (nsenter -U -t %d)",
			    t->pid, t->pid);
	confine_process(t->procfd, &theirs);
	if (err == -EACCES)
		return fail(t->u, err,
			    "%d: it may not call userfaultfd(2) itself, and its user may not open /dev/userfaultfd (setfacl -m u:%u:rw /dev/userfaultfd, or run as root)",
			    t->pid, theirs.uid);
	return fail(t->u, err,
		    "%d: it may not call userfaultfd(2) itself, and /dev/userfaultfd can't be opened for it as its user: %s (run as root; before Linux 6.1 there is no such device: sysctl vm.unprivileged_userfaultfd=1)",
		    t->pid, strerror(-err));
}

static int make(struct inject *in, struct making *m)
{
	struct donor donor;
	int r = inject_call(in, SYS_userfaultfd, CALL(UFFD_FLAGS), &m->uffd);

	m->step = "userfaultfd";
	if (r < 0 || m->uffd != -EPERM)
		return r;
	r = donor_start(m->h->t, &donor);
	if (r < 0)
		return fail_donor(m, r);
	r = make_by_device(in, m, &donor);
	donor_end(&donor);
	return r;
}

static int fail_made(const struct making *m)
{
	struct uffdctl_target *t = m->h->t;
	int err = (int)m->uffd;

	return fail(t->u, err, "%d: %s, called inside of it: %s%s", t->pid, m->step, strerror(-err),
		    err == -EMFILE ? " (its limit of descriptors: prlimit --nofile)" : "");
}

/* What nobody can use is closed again. */
static int take(struct inject *in, struct making *m)
{
	struct uffdctl_handle *h = m->h;
	struct uffdctl_target *t = h->t;
	int r = pidfd_take_fd(t->pid, t->pidfd, (int)m->uffd, &h->uffd);

	if (r >= 0)
		r = uffd_handshake(h->uffd, features(), NULL);
	h->features = features();
	if (r >= 0)
		return 0;
	cleanup_close(&h->uffd);
	h->uffd = -1;
	close_there(in, m->uffd);
	return fail(t->u, r, "%d: taking and setting up the userfaultfd made in it: %s (%s)", t->pid, strerror(-r),
		    target_why_not_taken());
}

/* All threads are stopped: who had no userfaultfd before may have got one from another uffdctl. */
static int has_one(struct uffdctl_handle *h)
{
	struct uffdctl_list *list;
	int r = list_of_memory(h->t->u, h->t->pid, h->mm, true, &list);

	if (r < 0)
		return r;
	r = list->nr != 0;
	uffdctl_list_free(list);
	return r;
}

static int make_and_take(struct inject *in, void *arg)
{
	struct making *m = arg;
	int r = has_one(m->h);

	if (r)
		return r < 0 ? r : -EEXIST;
	r = make(in, m);
	if (r >= 0 && m->uffd < 0)
		r = fail_made(m);
	if (r >= 0)
		r = take(in, m);
	if (r < 0)
		return r;
	m->h->pid = m->own ? getpid() : m->h->t->pid;
	m->h->fd = m->own ? m->h->uffd : (int)m->uffd;
	m->h->is_new = true;
	if (m->own)
		close_there(in, m->uffd);
	log_info(m->h->t->u, "%d: made a userfaultfd in it, fd %d", m->h->pid, m->h->fd);
	return 0;
}

int inject_uffd(struct uffdctl_handle *h, bool own)
{
	struct making m = { .h = h, .own = own };
	int r = inject_run(h->t, make_and_take, &m);

	/* The list is older than this userfaultfd. */
	uffdctl_list_free(h->list);
	uffdctl_list_free(h->named);
	h->list = h->named = NULL;
	h->list_has_all = false;
	return r;
}

/* As the kernel decides in userfaultfd_syscall_allowed(). */
static bool may_call(struct uffdctl_target *t)
{
	struct confinement theirs;
	struct settings settings;

	confine_process(t->procfd, &theirs);
	settings_read(&settings);
	return settings.unprivileged_userfaultfd == 1 || confine_has_cap(&theirs, CAP_SYS_PTRACE);
}

static int check_way(struct uffdctl_handle *h)
{
	struct making m = { .h = h };
	struct donor donor;
	int r;

	if (may_call(h->t))
		return 0;
	r = donor_start(h->t, &donor);
	donor_end(&donor);
	return r < 0 ? fail_donor(&m, r) : 0;
}

int inject_uffd_dry(struct uffdctl_handle *h)
{
	int r = inject_check(h->t);

	if (r >= 0)
		r = check_way(h);
	if (r < 0)
		return r;
	r = uffd_create(&h->uffd);
	if (r >= 0)
		r = uffd_handshake(h->uffd, features(), NULL);
	h->features = features();
	if (r < 0)
		return fail(h->t->u, r, "%d: a userfaultfd of our own, for a dry run: %s", h->t->pid, strerror(-r));
	h->pid = h->t->pid;
	h->fd = -1;
	return 0;
}
