// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which layer said no, and the remedy. Where an errno can come from several layers, and which one it was can't be
 * found out, all are named. Remedies are in the order of the privilege that they give, the least first.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "lib/inspect/doctor_check.h"
#include "lib/kernel/proc.h"

#define DEVICE "/dev/userfaultfd"
#define SELINUX_LOG                                                                                              \
	"ausearch -m avc -ts recent -c uffdctl (look for \"avc: denied { create } ... tclass=anon_inode\" with " \
	"anonclass=[userfaultfd]); then: ausearch -m avc -ts recent -c uffdctl --raw | audit2allow -M uffdctl && semodule -i uffdctl.pp"

/* ---- seccomp ---- */

static const char *profile_remedy(struct uffdctl_doctor *d, const char *call)
{
	return doctor_text(
		d,
		"allow %s in the filter's profile (docker run --security-opt seccomp=FILE; of a systemd unit: SystemCallFilter=)",
		call);
}

bool why_seccomp(struct uffdctl_doctor *d, enum reach_call call, struct finding *ret)
{
	const char *name = reach_name(call);
	int r = d->reach[call];

	if (!r)
		return false;
	if (r == REACH_KILLED)
		*ret = found_no(UFFDCTL_LAYER_SECCOMP,
				doctor_text(d, "a seccomp filter kills whoever calls %s: it was not called again",
					    name),
				NULL);
	else if (r == -ENOSYS)
		*ret = found_no(
			UFFDCTL_LAYER_SECCOMP | UFFDCTL_LAYER_KERNEL,
			doctor_text(d,
				    "%s fails with ENOSYS: the kernel does not have it, or a seccomp filter answers so; which one is not known",
				    name),
			NULL);
	else
		*ret = found_no(UFFDCTL_LAYER_SECCOMP,
				doctor_text(d, "a seccomp filter answers %s with %s before the kernel looks at it",
					    name, strerrorname_np(-r) ?: "an error"),
				NULL);
	ret->remedy = profile_remedy(d, name);
	return true;
}

/* ---- LSMs ---- */

/* An LSM may be the cause. */
static struct finding why_lsm(struct uffdctl_doctor *d, const char *what, int err, uint64_t others)
{
	const struct settings *s = &d->settings;
	const char *name = strerrorname_np(-err) ?: "an error";

	if (s->selinux == 1 && err == -EACCES)
		return found_no(UFFDCTL_LAYER_LSM | others,
				doctor_text(d, "%s: %s, as SELinux returns it; the context of this process is %s", what,
					    name, *d->own.label ? d->own.label : "not known"),
				SELINUX_LOG);
	/* The kernel does not say who it was, and may forbid it by itself. */
	return found_no(UFFDCTL_LAYER_LSM | UFFDCTL_LAYER_KERNEL | others,
			doctor_text(d, "%s: %s, by an LSM (active: %s) or by the kernel itself; which one is not known",
				    what, name, s->lsms_known && *s->lsms ? s->lsms : "not known"),
			"journalctl -k -g 'avc:|apparmor=|denied'");
}

/* ---- userfaultfds ---- */

/* In a user namespace of its own, a user has another number outside, where the device belongs to somebody. */
static bool outer_uid(unsigned int *ret)
{
	char map[4096], *line, *rest = map;
	unsigned int inside, outside, nr;

	if (proc_read(AT_FDCWD, "/proc/self/uid_map", map, sizeof(map)) < 0)
		return false;
	while ((line = strsep(&rest, "\n")))
		if (sscanf(line, "%u %u %u", &inside, &outside, &nr) == 3 && geteuid() - inside < nr) {
			*ret = outside + (geteuid() - inside);
			return true;
		}
	return false;
}

static const char *acl_remedy(struct uffdctl_doctor *d)
{
	unsigned int uid;

	if (d->own.other_user_ns != 1)
		return doctor_text(d, "setfacl -m u:%s:rw " DEVICE, d->user);
	return outer_uid(&uid) ? doctor_text(d, "outside of this user namespace: setfacl -m u:%u:rw " DEVICE, uid)
			       : "outside of this user namespace: setfacl -m u:USER:rw " DEVICE;
}

static bool in_group(gid_t gid)
{
	gid_t groups[256];
	int n = getgroups((int)ARRAY_SIZE(groups), groups);

	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return getegid() == gid;
}

/* Do the mode bits let us read and write it? */
static bool mode_allows(const struct stat *st)
{
	unsigned int shift = st->st_uid == geteuid() ? 6 : in_group(st->st_gid) ? 3 : 0;

	return (st->st_mode >> shift & 06) == 06;
}

static bool is_nodev(const char *path)
{
	struct statvfs st;

	return statvfs(path, &st) == 0 && st.f_flag & ST_NODEV;
}

static struct finding why_device_missing(struct uffdctl_doctor *d)
{
	char dev[32];

	if (access("/sys/class/misc", F_OK) < 0)
		return found_no(UFFDCTL_LAYER_SETUP | UFFDCTL_LAYER_KERNEL,
				DEVICE " does not exist; without /sys it is not known whether the kernel has it", NULL);
	if (proc_read(AT_FDCWD, "/sys/class/misc/userfaultfd/dev", dev, sizeof(dev)) < 0)
		return found_no(UFFDCTL_LAYER_KERNEL, "the kernel has no " DEVICE " (CONFIG_USERFAULTFD)", NULL);
	dev[strcspn(dev, ":\n")] = ' ';
	dev[strcspn(dev, "\n")] = '\0';
	return found_no(UFFDCTL_LAYER_SETUP, "the kernel has the device, but this /dev has no " DEVICE,
			doctor_text(d,
				    "of a container: docker run --device " DEVICE "; or mknod -m 600 " DEVICE " c %s",
				    dev));
}

static struct finding why_device_denied(struct uffdctl_doctor *d, int err)
{
	struct stat st;

	if (stat(DEVICE, &st) < 0)
		return found_no(UFFDCTL_LAYER_FILE | UFFDCTL_LAYER_LSM, doctor_text(d, DEVICE ": %s", strerror(errno)),
				acl_remedy(d));
	if (err == -EPERM)
		return found_no(
			UFFDCTL_LAYER_CGROUP | UFFDCTL_LAYER_LSM,
			DEVICE
			" may not be opened: EPERM comes from the devices that a cgroup allows, or from an LSM; which one is not known",
			"of a container: docker run --device " DEVICE "; of a systemd unit: DeviceAllow=" DEVICE " rw");
	if (mode_allows(&st) && is_nodev(DEVICE))
		return found_no(UFFDCTL_LAYER_SETUP, "the file system of " DEVICE " is mounted with nodev",
				"mount -o remount,dev /dev");
	if (!mode_allows(&st) && d->own.other_user_ns == 1)
		return found_no(UFFDCTL_LAYER_FILE,
				doctor_text(d,
					    "the mode or ACL of " DEVICE
					    " (%04o) does not allow the user that %s is outside of this user namespace",
					    st.st_mode & 07777, d->user),
				acl_remedy(d));
	if (!mode_allows(&st))
		return found_no(UFFDCTL_LAYER_FILE,
				doctor_text(d,
					    "the mode or ACL of " DEVICE
					    " (%04o, user %u, group %u) does not allow user %s",
					    st.st_mode & 07777, st.st_uid, st.st_gid, d->user),
				acl_remedy(d));
	return why_lsm(d, "opening " DEVICE, err, UFFDCTL_LAYER_FILE);
}

static struct finding why_device(struct uffdctl_doctor *d, int err)
{
	_cleanup_close_ int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	int open_err = fd < 0 ? -errno : 0;

	if (open_err == -ENOENT)
		return why_device_missing(d);
	if (open_err == -EACCES || open_err == -EPERM)
		return why_device_denied(d, open_err);
	if (open_err == -ENXIO || open_err == -ENODEV)
		return found_no(UFFDCTL_LAYER_KERNEL, "the kernel has no device behind " DEVICE " (CONFIG_USERFAULTFD)",
				NULL);
	if (!open_err && (err == -EACCES || err == -EPERM))
		return why_lsm(d, "USERFAULTFD_IOC_NEW on " DEVICE, err, 0);
	if (open_err)
		err = open_err;
	return found_no(err == -EMFILE || err == -ENFILE || err == -ENOMEM ? UFFDCTL_LAYER_RESOURCE
									   : UFFDCTL_LAYER_KERNEL,
			doctor_text(d, DEVICE ": %s", strerror(-err)), NULL);
}

static struct finding why_syscall_denied(struct uffdctl_doctor *d)
{
	struct finding f = found_no(UFFDCTL_LAYER_SYSCTL, NULL, NULL);
	bool has_device = access("/sys/class/misc/userfaultfd", F_OK) == 0 || access(DEVICE, F_OK) == 0;

	f.detail = "vm.unprivileged_userfaultfd is 0, and this process lacks CAP_SYS_PTRACE";
	if (d->own.other_user_ns == 1 && d->own.caps >> CAP_SYS_PTRACE & 1) {
		f.layers |= UFFDCTL_LAYER_USER_NS;
		f.detail =
			"vm.unprivileged_userfaultfd is 0, and CAP_SYS_PTRACE of this process counts only in its user namespace";
	}
	f.remedy = has_device ? doctor_text(d, "%s; or sysctl vm.unprivileged_userfaultfd=1; or run as root",
					    acl_remedy(d))
			      : "sysctl vm.unprivileged_userfaultfd=1; or run as root";
	return f;
}

static struct finding why_syscall(struct uffdctl_doctor *d, enum uffd_way way, int err)
{
	struct finding f;

	if (why_seccomp(d, REACH_USERFAULTFD, &f))
		return f;
	if (err == -ENOSYS)
		return found_no(UFFDCTL_LAYER_KERNEL, "the kernel has no userfaultfd (CONFIG_USERFAULTFD)", NULL);
	if (err == -EINVAL && way == UFFD_USER_MODE)
		return found_no(UFFDCTL_LAYER_KERNEL, "the kernel does not know UFFD_USER_MODE_ONLY", NULL);
	if (err == -EPERM && way == UFFD_BY_SYSCALL && d->settings.unprivileged_userfaultfd == 0 &&
	    !confine_has_cap(&d->own, CAP_SYS_PTRACE))
		return why_syscall_denied(d);
	if (err == -EPERM || err == -EACCES)
		return why_lsm(d, "userfaultfd(2)", err,
			       d->settings.unprivileged_userfaultfd < 0 && way == UFFD_BY_SYSCALL ? UFFDCTL_LAYER_SYSCTL
												  : 0);
	return found_no(UFFDCTL_LAYER_RESOURCE, doctor_text(d, "userfaultfd(2): %s", strerror(-err)), NULL);
}

struct finding why_uffd(struct uffdctl_doctor *d, enum uffd_way way, int err)
{
	return way == UFFD_BY_DEVICE ? why_device(d, err) : why_syscall(d, way, err);
}

/* ---- capabilities ---- */

/* "cap_bpf,cap_perfmon" */
static const char *caps_list(struct uffdctl_doctor *d, uint64_t caps)
{
	const char *text = NULL;

	for (unsigned int cap = 0; cap_name(cap); cap++)
		if (caps >> cap & 1)
			text = text ? doctor_text(d, "%s,cap_%s", text, cap_name(cap))
				    : doctor_text(d, "cap_%s", cap_name(cap));
	return text ?: "";
}

static const char *cap_remedy(struct uffdctl_doctor *d, uint64_t caps)
{
	/* setcap(8) replaces what the file has. */
	uint64_t all = d->own.known && geteuid() ? caps | d->own.caps : caps;

	/* Root without it: something took it away, and a file's capabilities can't bring it back. */
	if (!geteuid())
		return doctor_text(d,
				   "of a container: docker run --cap-add with %s; of a systemd unit: CapabilityBoundingSet=",
				   caps_list(d, caps));
	if (d->own.no_new_privs == 1)
		return doctor_text(d, "setcap %s+ep %s, and start it where no_new_privs is not set; or run as root",
				   caps_list(d, all), d->exe);
	return doctor_text(d, "setcap %s+ep %s; or run as root", caps_list(d, all), d->exe);
}

struct finding why_cap(struct uffdctl_doctor *d, uint64_t caps, const char *what, uint64_t others)
{
	uint64_t lacking = 0, has = d->own.known ? d->own.caps : 0;

	/* As bpf_capable(), perfmon_capable() and checkpoint_restore_ns_capable(): CAP_SYS_ADMIN includes them. */
	if (has >> CAP_SYS_ADMIN & 1)
		has |= UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON | UINT64_C(1) << CAP_CHECKPOINT_RESTORE;
	lacking = caps & ~has;
	if (!d->own.known)
		return found_no(UFFDCTL_LAYER_CAPABILITY | others,
				doctor_text(d, "%s: not permitted; the capabilities of this process are not known",
					    what),
				cap_remedy(d, caps));
	if (lacking)
		return found_no(UFFDCTL_LAYER_CAPABILITY,
				doctor_text(d, "%s: not permitted: this process lacks %s", what, caps_list(d, lacking)),
				d->own.other_user_ns == 1 ? "run it outside of this user namespace, with the capability"
							  : cap_remedy(d, caps));
	if (d->own.other_user_ns == 1)
		return found_no(UFFDCTL_LAYER_USER_NS,
				doctor_text(d,
					    "%s: not permitted: %s of this process counts only in its user namespace",
					    what, caps_list(d, caps)),
				"run it outside of this user namespace");
	if (d->own.other_user_ns < 0)
		others |= UFFDCTL_LAYER_USER_NS;
	return why_lsm(d, what, -EPERM, others);
}

/* ---- BPF ---- */

/* What it forbids has several errnos. */
static bool is_locked_down(const struct uffdctl_doctor *d)
{
	return !strcmp(d->settings.lockdown, "confidentiality");
}

static struct finding why_bpf_denied(struct uffdctl_doctor *d, const char *what)
{
	const struct settings *s = &d->settings;
	uint64_t others = s->lockdown_known ? 0 : UFFDCTL_LAYER_LOCKDOWN;

	if (is_locked_down(d))
		return found_no(UFFDCTL_LAYER_LOCKDOWN,
				doctor_text(d, "%s: the kernel is locked down in confidentiality mode", what),
				"boot with lockdown=integrity, or without lockdown=");
	return why_cap(d, UINT64_C(1) << CAP_BPF | UINT64_C(1) << CAP_PERFMON, what, others);
}

struct finding why_bpf(struct uffdctl_doctor *d, int err, const char *what)
{
	struct finding f;

	if (why_seccomp(d, REACH_BPF, &f))
		return f;
	if (err == -EINVAL && is_locked_down(d))
		return why_bpf_denied(d, what);
	switch (err) {
	case -EPERM:
	case -EACCES:
		return why_bpf_denied(d, what);
	case -ENOSYS:
		return found_no(UFFDCTL_LAYER_KERNEL, "the kernel has no bpf(2) (CONFIG_BPF_SYSCALL)", NULL);
	case -ENOENT:
		return found_no(UFFDCTL_LAYER_KERNEL,
				doctor_text(d, "%s: the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)", what), NULL);
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
		return found_no(UFFDCTL_LAYER_RESOURCE, doctor_text(d, "%s: %s", what, strerror(-err)), NULL);
	default:
		return found_no(UFFDCTL_LAYER_KERNEL, doctor_text(d, "%s: %s", what, strerror(-err)), NULL);
	}
}

/* ---- access to processes ---- */

static struct finding why_yama(struct uffdctl_doctor *d, const char *what)
{
	int scope = d->settings.yama;

	if (scope == 1)
		return found_no(
			UFFDCTL_LAYER_YAMA,
			doctor_text(d,
				    "%s: Yama permits it only to ancestors of the process (kernel.yama.ptrace_scope is 1)",
				    what),
			doctor_text(d,
				    "sysctl kernel.yama.ptrace_scope=0; or setcap cap_sys_ptrace+ep %s; or run as root",
				    d->exe));
	if (scope == 2)
		return found_no(
			UFFDCTL_LAYER_YAMA,
			doctor_text(d, "%s: Yama permits it only with CAP_SYS_PTRACE (kernel.yama.ptrace_scope is 2)",
				    what),
			doctor_text(d,
				    "sysctl kernel.yama.ptrace_scope=0; or setcap cap_sys_ptrace+ep %s; or run as root",
				    d->exe));
	return found_no(UFFDCTL_LAYER_YAMA,
			doctor_text(d,
				    "%s: Yama permits it to nobody until the next boot (kernel.yama.ptrace_scope is %d)",
				    what, scope),
			"boot again, with kernel.yama.ptrace_scope below 3");
}

struct finding why_ptrace(struct uffdctl_doctor *d, enum ordinary_relation relation, bool read, int err,
			  const char *what)
{
	int yama = d->settings.yama;
	bool has_cap = confine_has_cap(&d->own, CAP_SYS_PTRACE);

	if (!read && (yama == 3 || (yama > 0 && !has_cap && relation != ORDINARY_OTHER_USER &&
				    (yama == 2 || relation != ORDINARY_DESCENDANT))))
		return why_yama(d, what);
	if (relation == ORDINARY_OTHER_USER && !has_cap)
		return why_cap(d, UINT64_C(1) << CAP_SYS_PTRACE, what, 0);
	return why_lsm(d, what, err, 0);
}
