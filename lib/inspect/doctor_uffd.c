// SPDX-License-Identifier: LGPL-2.1-or-later
/* The doctor: the ways to a userfaultfd, and which layer denies each. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/inspect/doctor.h"
#include "lib/kernel/uffd.h"

#define DEVICE "/dev/userfaultfd"
#define AUDIT "look for it with: ausearch -m AVC | grep tclass=anon_inode"

static const char *const names[UFFD_NR_WAYS] = { "userfaultfd by /dev/userfaultfd", "userfaultfd by userfaultfd(2)",
						 "userfaultfd for user-mode faults" };

/* In a command to type. */
static const char *user_name(struct uffdctl_doctor *d)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw ? doctor_text(d, "%s", pw->pw_name) : doctor_text(d, "%u", geteuid());
}

static const char *filtered(struct uffdctl_doctor *d, int err)
{
	return doctor_text(d, "a seccomp filter of this process forbids userfaultfd(2) (%s)", strerror(-err));
}

static void device_denied(struct uffdctl_doctor *d, int err)
{
	const char *remedy = NULL, *detail;
	struct stat st;

	if (err == -ENOENT) {
		detail = d->limits.user_faults < 0
				 ? "there is no " DEVICE ": the kernel has no userfaultfd (CONFIG_USERFAULTFD)"
				 : "there is no " DEVICE
				   ": the kernel is older than Linux 6.1, or it is not in this container";
		if (stat("/sys/class/misc/userfaultfd", &st) == 0)
			remedy = "IFS=: read a b </sys/class/misc/userfaultfd/dev; mknod -m 600 " DEVICE " c $a $b";
	} else if (err == -EACCES) {
		bool known = stat(DEVICE, &st) == 0;

		detail = known ? doctor_text(d, "the file mode or ACL of " DEVICE " (mode %04o, owner %u:%u)",
					     st.st_mode & 07777, st.st_uid, st.st_gid)
			       : "the file mode or ACL of " DEVICE;
		remedy = doctor_text(d, "setfacl -m u:%s:rw " DEVICE, user_name(d));
	} else if (err == -EPERM) {
		detail = d->limits.selinux
				 ? "the device rules of this control group, or SELinux (class anon_inode): " AUDIT
				 : "the device rules of this control group or container";
	} else {
		detail = doctor_text(d, "%s", strerror(-err));
	}
	doctor_add(d, names[UFFD_BY_DEVICE], 0, UFFDCTL_NO, detail, remedy);
}

static const char *why_not_called(struct uffdctl_doctor *d, int err)
{
	const struct limits *l = &d->limits;
	int filter_err;

	if (uffd_call_is_filtered(&filter_err))
		return filter_err == -ENOSYS && l->user_faults < 0
			       ? "the kernel has no userfaultfd (CONFIG_USERFAULTFD)"
			       : filtered(d, filter_err);
	if (err == -EPERM && l->user_faults == 0 && !limits_have(l, CAP_SYS_PTRACE))
		return l->init_userns || !(l->caps >> CAP_SYS_PTRACE & 1)
			       ? "vm.unprivileged_userfaultfd is 0, and this process has no CAP_SYS_PTRACE"
			       : "vm.unprivileged_userfaultfd is 0, and in this user namespace CAP_SYS_PTRACE does not count";
	if (l->selinux && (err == -EACCES || err == -EPERM))
		return "most likely SELinux (class anon_inode): " AUDIT;
	return doctor_text(d, "%s", strerror(-err));
}

static void call_denied(struct uffdctl_doctor *d, enum uffd_way way, int err)
{
	const char *remedy = NULL;

	if (err == -EPERM && d->limits.user_faults == 0 && way == UFFD_BY_CALL)
		remedy = "give access to " DEVICE " (above), or: sysctl vm.unprivileged_userfaultfd=1, or run as root";
	doctor_add(d, names[way], 0, UFFDCTL_NO, why_not_called(d, err), remedy);
}

/* "thread_id, minor_shmem, …" */
static const char *features_text(struct uffdctl_doctor *d, uint64_t features)
{
	char *text = NULL;
	const char *kept;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (unsigned int bit = 0; f && bit < 64; bit++)
		if (features >> bit & 1 && uffdctl_feature_name(bit))
			fprintf(f, "%s%s", ftell(f) ? " " : "", uffdctl_feature_name(bit));
	if (!f || fclose(f))
		text = NULL;
	kept = doctor_text(d, "%s", text ?: "");
	free(text);
	return kept;
}

void doctor_uffd(struct uffdctl_doctor *d)
{
	uint64_t features;
	int fd;

	for (enum uffd_way way = 0; way < UFFD_NR_WAYS; way++) {
		int r = uffd_create_by(way, &fd);

		if (r >= 0) {
			close(fd);
			doctor_add(d, names[way], 0, UFFDCTL_YES,
				   way == UFFD_FOR_USER_MODE ? "faults of system calls and of KVM fail with EFAULT"
							     : "faults of system calls and of KVM wait, too",
				   NULL);
		} else if (way == UFFD_BY_DEVICE) {
			device_denied(d, r);
		} else {
			call_denied(d, way, r);
		}
	}
	features = uffd_kernel_features();
	doctor_add(d, "features", 0, features == UINT64_MAX ? UFFDCTL_NOT_KNOWN : UFFDCTL_YES,
		   features == UINT64_MAX ? "no userfaultfd can be made" : features_text(d, features), NULL);
}
