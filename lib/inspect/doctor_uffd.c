// SPDX-License-Identifier: LGPL-2.1-or-later
/* Each way to a userfaultfd of our own, and its features. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/doctor_check.h"

/* Before other checks, which need to know whether there can be one. */
void uffd_prepare(struct uffdctl_doctor *d)
{
	for (enum uffd_way way = 0; way < UFFD_NR_WAYS; way++) {
		_cleanup_close_ int fd = -1;

		/* The device needs no system call that a filter would kill us for. */
		if (way != UFFD_BY_DEVICE && d->avoid & 1u << REACH_USERFAULTFD)
			d->ways[way] = -EPERM;
		else
			d->ways[way] = uffd_create_by(way, &fd);
		if (fd >= 0 && !d->features)
			uffd_handshake(fd, 0, &d->features);
	}
}

int doctor_uffd(struct uffdctl_doctor *d, uint64_t wanted, int *ret)
{
	_cleanup_close_ int fd = -1;
	int r = -EPERM;

	for (enum uffd_way way = 0; r < 0 && way < UFFD_NR_WAYS; way++)
		r = d->ways[way] ?: uffd_create_by(way, &fd);
	if (r == 0)
		r = uffd_handshake(fd, wanted & d->features, NULL);
	if (r == 0)
		*ret = steal_fd(fd);
	return r;
}

static struct finding check_way(struct uffdctl_doctor *d, enum uffd_way way, const char *detail)
{
	return d->ways[way] ? why_uffd(d, way, d->ways[way]) : found_yes(detail);
}

struct finding check_uffd_device(struct uffdctl_doctor *d)
{
	return check_way(d, UFFD_BY_DEVICE, "/dev/userfaultfd: faults in user mode and in kernel mode");
}

struct finding check_uffd_syscall(struct uffdctl_doctor *d)
{
	return check_way(d, UFFD_BY_SYSCALL, "userfaultfd(2): faults in user mode and in kernel mode");
}

struct finding check_uffd_user_mode(struct uffdctl_doctor *d)
{
	return check_way(d, UFFD_USER_MODE,
			 "UFFD_USER_MODE_ONLY: faults in kernel mode, such as those of read(2) and KVM, fail with EFAULT");
}

struct finding check_uffd_features(struct uffdctl_doctor *d)
{
	const char *text = NULL;

	if (!d->features) {
		struct finding f = why_uffd(d, UFFD_BY_DEVICE, d->ways[UFFD_BY_DEVICE]);

		f = found_unknown(f.layers, "there is no way to a userfaultfd, so its features can't be asked for");
		return f;
	}
	for (unsigned int bit = 0; bit < 64; bit++)
		if (d->features >> bit & 1) {
			const char *name = uffdctl_feature_name(bit) ?: doctor_text(d, "bit %u", bit);

			text = text ? doctor_text(d, "%s,%s", text, name) : name;
		}
	return found_yes(text);
}
