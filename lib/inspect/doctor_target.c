// SPDX-License-Identifier: LGPL-2.1-or-later
/* Whether a command will work on a given process. Nothing is done to it: its userfaultfd is duplicated and closed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>

#include "lib/inspect/doctor_need.h"
#include "lib/inspect/doctor_target.h"
#include "lib/inspect/maps.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/names.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"

/* "4711: …" without the PID, which is known */
static const char *last_error(struct patient *p)
{
	const char *text = uffdctl_last_error(p->d->u);
	size_t digits = strspn(text, "0123456789");

	return doctor_text(p->d, "%s", digits && !strncmp(text + digits, ": ", 2) ? text + digits + 2 : text);
}

/* Add a row; what the command needs counts for the verdict: the first no, else the first unknown. */
static void add(struct patient *p, const char *name, struct finding f, bool needed)
{
	doctor_add(p->d, "process", name, &f);
	if (needed && p->verdict.ok && (!f.ok || p->verdict.ok == 1) && f.ok != 1) {
		p->verdict = f;
		p->verdict.detail = doctor_text(p->d, "%s (%s)", f.detail, name);
	}
}

/* ---- may we look, and take ---- */

static struct finding why_not_readable(struct patient *p, int err, bool read)
{
	struct uffdctl_doctor *d = p->d;
	const char *what = doctor_text(d, "process %d", d->pid);
	struct finding f;

	if (err != -EPERM && err != -EACCES)
		return found_no(UFFDCTL_LAYER_TARGET, last_error(p), NULL);
	if (p->its.known && p->its.uid != d->own.uid)
		return why_ptrace(d, ORDINARY_OTHER_USER, read, err,
				  doctor_text(d, "%s, of user %u", what, p->its.uid));
	if (!read && d->settings.yama > 0 && !confine_has_cap(&d->own, CAP_SYS_PTRACE))
		return why_ptrace(d, ORDINARY_UNRELATED, false, err, what);
	if (confine_has_cap(&d->own, CAP_SYS_PTRACE))
		return why_ptrace(d, ORDINARY_UNRELATED, read, err, what);
	f = why_cap(d, UINT64_C(1) << CAP_SYS_PTRACE, what, 0);
	f.layers |= UFFDCTL_LAYER_TARGET;
	f.detail = doctor_text(
		d,
		"%s has the same user, but it is not dumpable (as after a change of its user), or has capabilities that this process lacks; which one is not known",
		what);
	return f;
}

static int check_readable(struct patient *p)
{
	struct uffdctl_doctor *d = p->d;
	_cleanup_close_ int procfd = -1;
	int r;

	if (proc_open_dir(d->pid, &procfd) == 0)
		confine_process(procfd, &p->its);
	if (d->avoid & (1u << REACH_PIDFD_OPEN | 1u << REACH_MEMFD_CREATE | 1u << REACH_KCMP)) {
		add(p, "process-read",
		    found_unknown(UFFDCTL_LAYER_SECCOMP, "a seccomp filter kills whoever inspects a process"), true);
		return -EPERM;
	}
	r = uffdctl_target_open(d->u, d->pid, &p->t);
	add(p, "process-read",
	    r < 0 ? why_not_readable(p, r, true)
		  : found_yes(doctor_text(d, "%d (%s), of user %u", d->pid, uffdctl_target_comm(p->t), p->its.uid)),
	    true);
	return r;
}

/* The permission is checked before the number of the descriptor: this takes nothing. */
static int try_attach(struct patient *p)
{
	int taken = -1, r = pidfd_take_fd(p->t->pid, p->t->pidfd, INT32_MAX, &taken);

	cleanup_close(&taken);
	return r == -EBADF ? 0 : r;
}

/* ptrace(2) needs the same permission. @call: what is done with it; @yes: that it may be done */
static int check_attach(struct patient *p, const char *name, enum reach_call call, const char *yes)
{
	struct uffdctl_doctor *d = p->d;
	struct finding f;
	int r = -EPERM;

	if (!why_seccomp(d, call, &f) && !why_seccomp(d, REACH_PIDFD_GETFD, &f)) {
		r = try_attach(p);
		f = r == 0 ? found_yes(yes)
		    : r == -EOPNOTSUPP
			    ? found_no(UFFDCTL_LAYER_KERNEL | UFFDCTL_LAYER_TARGET,
				       "its first thread has ended, and this kernel has no pidfds of threads",
				       "use a descriptor that another process holds (--fd=PID:FD)")
		    : r == -ESRCH ? found_no(UFFDCTL_LAYER_TARGET, "it has ended", NULL)
				  : why_not_readable(p, r, false);
	}
	add(p, name, f, true);
	return r;
}

/* Its file may be opened by its owner only: for others, ptrace access is not enough. */
static void check_pagemap_of(struct patient *p, bool needed)
{
	_cleanup_close_ int fd = -1;
	int r = target_open_file(p->t, "pagemap", O_RDONLY, &fd);

	if (r == -EPERM || r == -EACCES)
		add(p, "process-pagemap",
		    why_cap(p->d, UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_DAC_READ_SEARCH, "its pagemap", 0),
		    needed);
	else
		add(p, "process-pagemap",
		    r == 0 ? found_yes("its pagemap can be read") : found_unknown(0, strerror(-r)), needed);
}

static void add_seccomp(struct patient *p)
{
	static const char *const texts[] = {
		"it has no seccomp filter",
		"it is in seccomp's strict mode: it can make no userfaultfd itself; from outside, that does not matter",
		"it has a seccomp filter: whether it can make a userfaultfd itself is not known; from outside, that does not matter",
	};
	int mode = p->its.seccomp;

	add(p, "process-seccomp",
	    mode < 0 || mode > 2 ? found_unknown(0, "its seccomp mode is not known")
	    : mode		 ? found_unknown(UFFDCTL_LAYER_SECCOMP, texts[mode])
				 : found_yes(texts[mode]),
	    false);
}

/* ---- its userfaultfd ---- */

static const struct uffdctl_uffd *find_uffd(const struct uffdctl_list *list, pid_t pid, int fd)
{
	for (size_t i = 0; list && i < uffdctl_list_count(list); i++) {
		const struct uffdctl_uffd *u = uffdctl_list_get(list, i);

		if (u->pid == pid && u->fd == fd)
			return u;
	}
	return NULL;
}

static struct finding why_no_handle(struct patient *p, int err)
{
	const char *text = last_error(p);

	switch (err) {
	case -ENOTUNIQ:
		return found_yes(text);
	case -EPROTO:
		return found_no(UFFDCTL_LAYER_TARGET, text,
				doctor_text(p->d, "uffdctl register --handshake %d RANGE", p->d->pid));
	case -EPERM:
	case -EACCES:
		return why_not_readable(p, err, false);
	default:
		return found_no(UFFDCTL_LAYER_TARGET, text, NULL);
	}
}

/* Asked of the userfaultfd itself: there may be no way to one of our own. */
static void check_ioctl(struct patient *p, pid_t holder, int number)
{
	struct uffdctl_doctor *d = p->d;
	_cleanup_close_ int pidfd = -1, fd = -1;
	const char *name = doctor_text(d, "process-%s", d->need->command);
	int r = pidfd_open_process(holder, &pidfd);

	if (r == 0)
		r = pidfd_take_fd(holder, pidfd, number, &fd);
	add(p, name,
	    r < 0				 ? found_unknown(0, strerror(-r))
	    : uffd_has_ioctl(fd, d->need->ioctl) ? found_yes("the kernel knows this ioctl")
						 : need_no_ioctl(d),
	    true);
}

/* Nothing is made: it is looked whether the process has a place for the call, and may get a userfaultfd. */
static bool check_inject(struct patient *p)
{
	const struct uffdctl_handle_opts opts = { .size = sizeof(opts), .flags = UFFDCTL_HANDLE_INJECT_DRY };
	struct uffdctl_doctor *d = p->d;
	struct uffdctl_handle *h = NULL;
	struct finding f;
	int r = -EPERM;

	if (!why_seccomp(d, REACH_PTRACE, &f)) {
		r = uffdctl_handle_open(p->t, &opts, &h);
		f = r == 0 ? found_yes("a userfaultfd can be made inside of it")
			   : found_no(UFFDCTL_LAYER_TARGET, last_error(p), d->found[CHECK_UFFD_DEVICE].remedy);
	}
	uffdctl_handle_close(h);
	add(p, "process-inject", f, false);
	return r == 0;
}

static void check_uffd(struct patient *p)
{
	struct uffdctl_doctor *d = p->d;
	const struct uffdctl_find_opts opts = { .size = sizeof(opts), .pids = &d->pid, .nr_pids = 1 };
	struct uffdctl_handle *h = NULL;
	struct finding f;
	bool injects;
	int r;

	if (uffdctl_list(d->u, &opts, &p->list) < 0)
		p->list = NULL;
	r = uffdctl_handle_open(p->t, NULL, &h);
	if (r == 0) {
		p->uffd = find_uffd(p->list, uffdctl_handle_pid(h), uffdctl_handle_fd(h));
		f = found_yes(
			doctor_text(d, "descriptor %d of process %d%s", uffdctl_handle_fd(h), uffdctl_handle_pid(h),
				    p->uffd && p->uffd->target_pid
					    ? ""
					    : "; whether it governs the memory of this process is not known without BPF"));
	} else {
		f = why_no_handle(p, r);
	}
	p->has_none = r == -ENOENT;
	injects = p->has_none && d->need->flags & NEED_INJECTS && check_inject(p);
	if (injects)
		f.remedy = doctor_text(d, "uffdctl %s --inject %d RANGE", d->need->command, d->pid);
	add(p, "process-userfaultfd", f, true);
	if (r == 0 && d->need->ioctl)
		check_ioctl(p, uffdctl_handle_pid(h), uffdctl_handle_fd(h));
	uffdctl_handle_close(h);
	if (r == -ENOTUNIQ && p->verdict.ok == 1)
		p->verdict.detail = "it works, with --fd=PID:FD: there are several userfaultfds";
}

/* ---- its mappings ---- */

static void add_mode(struct patient *p, unsigned int bit)
{
	struct uffdctl_doctor *d = p->d;
	uint64_t can = 0, bytes = 0, unknown = 0;
	struct finding f;

	for (size_t i = 0; i < d->nr_prospects; i++) {
		const struct uffdctl_prospect *pr = &d->prospects[i];

		can += pr->can >> bit & 1;
		bytes += pr->can >> bit & 1 ? range_len(pr->range) : 0;
		unknown += pr->unknown >> bit & 1;
	}
	f.detail = doctor_text(d,
			       "%" PRIu64 " of its mappings, with %" PRIu64
			       " bytes, can be registered; not known of %" PRIu64,
			       can, bytes, unknown);
	f = can	      ? found_yes(f.detail)
	    : unknown ? found_unknown(0, f.detail)
		      : found_no(UFFDCTL_LAYER_KERNEL | UFFDCTL_LAYER_TARGET, f.detail, NULL);
	add(p, doctor_text(d, "process-%s", uffdctl_mode_name(bit)), f, false);
}

static void check_registers(struct patient *p)
{
	bool some = false, unsure = false;

	prospects_add(p);
	for (unsigned int bit = 0; bit < NR_MODES; bit++)
		add_mode(p, bit);
	for (size_t i = 0; i < p->d->nr_prospects; i++) {
		some |= p->d->prospects[i].can != 0;
		unsure |= p->d->prospects[i].unknown != 0;
	}
	add(p, "process-mappings",
	    some     ? found_yes("see the list of mappings")
	    : unsure ? found_unknown(0, "it is not known whether a mapping of it can be registered")
		     : found_no(UFFDCTL_LAYER_TARGET, "none of its mappings can be registered", NULL),
	    true);
}

/* What the command works on: mappings that are registered for its modes. */
static void check_registered(struct patient *p, uint64_t modes)
{
	uint64_t bytes = 0, nr = 0, owner_unknown = 0, all_modes = 0;
	const struct uffdctl_vma *v;
	char buf[MODES_TEXT_SIZE];
	const char *kind = modes ? modes_text(modes, buf) : "any mode";

	for (size_t i = 0; i < uffdctl_maps_count(p->maps); i++) {
		v = uffdctl_maps_get(p->maps, i);
		if (!(modes ? v->modes & modes : v->modes) || patient_of_another(p, v) == 1)
			continue;
		nr++;
		bytes += range_len(v->range);
		owner_unknown += patient_of_another(p, v) < 0;
		all_modes |= v->modes;
	}
	add(p, "process-registered",
	    !nr ? found_no(UFFDCTL_LAYER_TARGET,
			   doctor_text(p->d, "nothing is registered for %s on its userfaultfd", kind),
			   doctor_text(p->d, "uffdctl register%s%s%s %d RANGE", p->has_none ? " --inject" : "",
				       modes ? " --mode=" : "", modes ? kind : "", p->d->pid))
		: found_yes(doctor_text(p->d, "%" PRIu64 " mappings, with %" PRIu64 " bytes, are registered for %s%s",
					nr, bytes, kind, owner_unknown ? "; on which userfaultfd is not known" : "")),
	    true);
	if (p->d->need->marks)
		check_pagemap_of(p, all_modes & p->d->need->marks);
}

/* For continue --from: opened as it does, and closed. */
static void check_second_mapping(struct patient *p)
{
	for (size_t i = 0; i < uffdctl_maps_count(p->maps); i++) {
		const struct uffdctl_vma *v = uffdctl_maps_get(p->maps, i);
		_cleanup_close_ int fd = -1;
		int r;

		if (!(v->modes & UFFDCTL_MODE_MINOR) || !vma_is_shared(v))
			continue;
		r = pagecache_open(p->t, v, &fd);
		if (r == 0)
			add(p, "process-second-mapping", found_yes("--from can map its files a second time"), false);
		else
			add(p, "process-second-mapping",
			    why_cap(p->d, UINT64_C(1) << CAP_CHECKPOINT_RESTORE, last_error(p), 0), false);
		return;
	}
}

static bool can_zap(const struct uffdctl_vma *v)
{
	return vma_is_shared(v) && v->memory != UFFDCTL_MEMORY_UNKNOWN && v->inode && v->vm_flags &&
	       !strstr(v->vm_flags, "lo");
}

static void check_zappable(struct patient *p)
{
	uint64_t bytes = 0, nr = 0;

	for (size_t i = 0; i < uffdctl_maps_count(p->maps); i++) {
		const struct uffdctl_vma *v = uffdctl_maps_get(p->maps, i);

		nr += can_zap(v);
		bytes += can_zap(v) ? range_len(v->range) : 0;
	}
	add(p, "process-mappings",
	    nr ? found_yes(doctor_text(p->d,
				       "%" PRIu64 " of its mappings, with %" PRIu64
				       " bytes, are of a file, shared, and not locked in memory",
				       nr, bytes))
	       : found_no(UFFDCTL_LAYER_TARGET,
			  "none of its mappings is known to be of a file, shared, and not locked in memory", NULL),
	    true);
}

static void check_mappings(struct patient *p)
{
	const struct need *n = p->d->need;
	const struct uffdctl_maps_opts opts = { .size = sizeof(opts), .list = p->list, .flags = UFFDCTL_MAPS_ALL };

	if (uffdctl_maps(p->t, &opts, &p->maps) < 0) {
		add(p, "process-mappings", found_unknown(0, last_error(p)), true);
		return;
	}
	if (n->flags & NEED_ZAPS)
		check_zappable(p);
	else if (n->flags & NEED_REGISTERS)
		check_registers(p);
	else
		check_registered(p, n->modes);
	if (n->modes & UFFDCTL_MODE_MINOR)
		check_second_mapping(p);
}

struct finding check_target(struct uffdctl_doctor *d)
{
	struct patient p = { .d = d, .verdict = found_yes("it works") };
	unsigned int flags = d->need->flags;

	if (check_readable(&p) == 0 && flags & NEED_ATTACH) {
		add_seccomp(&p);
		if (check_attach(&p, "process-descriptors", REACH_PIDFD_GETFD, "its descriptors can be duplicated") ==
		    0) {
			check_uffd(&p);
			check_mappings(&p);
		}
	} else if (p.t && flags & NEED_ZAPS &&
		   check_attach(&p, "process-ptrace", REACH_PTRACE, "it can be made to call madvise(2)") == 0) {
		check_mappings(&p);
	}
	uffdctl_maps_free(p.maps);
	uffdctl_list_free(p.list);
	uffdctl_target_close(p.t);
	return p.verdict;
}
