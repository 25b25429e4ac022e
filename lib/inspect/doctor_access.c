// SPDX-License-Identifier: LGPL-2.1-or-later
/* Access to processes, tried on children of our own. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "lib/inspect/doctor_check.h"
#include "lib/kernel/proc.h"

void access_prepare(struct uffdctl_doctor *d)
{
	for (enum ordinary_relation rel = 0; rel < ORDINARY_NR_RELATIONS; rel++)
		d->ordinary[rel].err = ordinary_try(rel, d->avoid, &d->ordinary[rel].access);
}

struct finding check_proc(struct uffdctl_doctor *d)
{
	int r = proc_check_namespace();

	if (r < 0)
		return found_no(UFFDCTL_LAYER_SETUP, "/proc is not mounted, or is that of another PID namespace",
				"mount -t proc proc /proc");
	if (access("/proc/1", F_OK) < 0)
		return found_yes("/proc, which hides the processes of other users (hidepid)");
	(void)d;
	return found_yes("/proc of our PID namespace");
}

/* One access to a process of the same user, which is no descendant, and to a descendant. */
static struct finding check_access(struct uffdctl_doctor *d, size_t offset, bool read, const char *what)
{
	int err[2];

	for (enum ordinary_relation rel = ORDINARY_DESCENDANT; rel <= ORDINARY_UNRELATED; rel++) {
		if (d->ordinary[rel].err)
			return found_unknown(UFFDCTL_LAYER_RESOURCE,
					     doctor_text(d, "%s: no process to try it on can be made: %s", what,
							 strerror(-d->ordinary[rel].err)));
		memcpy(&err[rel], (const char *)&d->ordinary[rel].access + offset, sizeof(int));
	}
	if (err[ORDINARY_UNRELATED] == -ENOENT && proc_check_namespace() < 0)
		return found_unknown(UFFDCTL_LAYER_SETUP, doctor_text(d, "%s: needs /proc", what));
	if (err[ORDINARY_UNRELATED])
		return why_ptrace(d, err[ORDINARY_DESCENDANT] ? ORDINARY_DESCENDANT : ORDINARY_UNRELATED, read,
				  err[ORDINARY_UNRELATED],
				  doctor_text(d, "%s of a process of the same user%s", what,
					      err[ORDINARY_DESCENDANT] ? "" : " that is no descendant"));
	return found_yes(doctor_text(d, "%s of processes of the same user", what));
}

#define ACCESS(member) offsetof(struct ordinary_access, member)

struct finding check_ptrace_read(struct uffdctl_doctor *d)
{
	return check_access(d, ACCESS(maps), true, "/proc/PID/maps");
}

struct finding check_pidfd_getfd(struct uffdctl_doctor *d)
{
	struct finding f;

	if (why_seccomp(d, REACH_PIDFD_OPEN, &f) || why_seccomp(d, REACH_PIDFD_GETFD, &f))
		return f;
	return check_access(d, ACCESS(getfd), false, "pidfd_getfd(2)");
}

struct finding check_ptrace(struct uffdctl_doctor *d)
{
	struct finding f;

	return why_seccomp(d, REACH_PTRACE, &f) ? f : check_access(d, ACCESS(attach), false, "ptrace(2)");
}

struct finding check_process_vm(struct uffdctl_doctor *d)
{
	struct finding f;

	return why_seccomp(d, REACH_PROCESS_VM_READV, &f)
		       ? f
		       : check_access(d, ACCESS(process_vm), false, "process_vm_readv(2)");
}

struct finding check_kcmp(struct uffdctl_doctor *d)
{
	struct finding f;

	if (why_seccomp(d, REACH_KCMP, &f))
		return f;
	if (!d->ordinary[ORDINARY_DESCENDANT].err && d->ordinary[ORDINARY_DESCENDANT].access.kcmp == -ENOSYS)
		return found_no(UFFDCTL_LAYER_KERNEL, "the kernel has no kcmp(2) (CONFIG_KCMP)", NULL);
	return check_access(d, ACCESS(kcmp), true, "kcmp(2)");
}

struct finding check_other_users(struct uffdctl_doctor *d)
{
	static const char what[] = "access to processes of other users";
	const struct ordinary_access *a = &d->ordinary[ORDINARY_OTHER_USER].access;
	uint64_t caps = UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_DAC_READ_SEARCH;
	struct finding f;

	if (d->ordinary[ORDINARY_OTHER_USER].err) {
		f = why_cap(d, caps, what, 0);
		if (f.layers & (UFFDCTL_LAYER_CAPABILITY | UFFDCTL_LAYER_USER_NS))
			return f;
		return found_unknown(0,
				     "the capabilities are there, but no process of another user to try it on can be made");
	}
	if (a->getfd && (why_seccomp(d, REACH_PIDFD_OPEN, &f) || why_seccomp(d, REACH_PIDFD_GETFD, &f)))
		return f;
	if (a->maps || a->getfd)
		return why_ptrace(d, ORDINARY_OTHER_USER, !!a->maps, a->maps ?: a->getfd, what);
	if (a->fds || a->pagemap)
		return why_cap(d, caps, "/proc/PID/fd and pagemap of other users", UFFDCTL_LAYER_FILE);
	return found_yes("also those of other users");
}
