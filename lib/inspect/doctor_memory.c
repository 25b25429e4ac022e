// SPDX-License-Identifier: LGPL-2.1-or-later
/* Kinds of memory by modes by ioctls, tried on memory of our own; huge pages by size. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/inspect/doctor_memory.h"
#include "lib/kernel/hugepages.h"
#include "lib/kernel/names.h"
#include "lib/kernel/uapi.h"

/* They need a privilege or a reader, or make faults end in another way. */
#define NEVER                                                                                        \
	((uint64_t)(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | \
		    UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_SIGBUS))
/* With these, any memory can be registered for wp alone, and for rwp: no handler is asked. */
#define ASYNC ((uint64_t)(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_RWP_ASYNC))

int memory_uffd(struct uffdctl_doctor *d, uint64_t features, int *ret)
{
	return doctor_uffd(d, features & ~NEVER, ret);
}

/* ---- kinds by modes ---- */

static const char *ioctls_text(struct uffdctl_doctor *d, uint64_t ioctls)
{
	const char *text = NULL;

	for (unsigned int bit = 0; bit < 64; bit++)
		if (ioctls >> bit & 1) {
			const char *name = uffdctl_ioctl_name(bit) ?: doctor_text(d, "0x%x", bit);

			text = text ? doctor_text(d, "%s,%s", text, name) : name;
		}
	return text ?: "none";
}

static struct finding tried_finding(struct uffdctl_doctor *d, const struct uffd_tried *t)
{
	uint64_t untried = t->named & ~t->worked & ~t->failed;
	const char *text;

	if (t->err == -EINVAL)
		return found_no(UFFDCTL_LAYER_KERNEL, "this kernel does not have this mode for this kind of memory",
				NULL);
	if (t->err < 0)
		return found_no(t->err == -ENOMEM ? UFFDCTL_LAYER_RESOURCE : UFFDCTL_LAYER_KERNEL,
				doctor_text(d, "UFFDIO_REGISTER: %s", strerror(-t->err)), NULL);
	text = doctor_text(d, "ioctls: %s", ioctls_text(d, t->worked));
	if (t->failed)
		text = doctor_text(d, "%s; named by the kernel, and fail: %s", text, ioctls_text(d, t->failed));
	if (untried)
		text = doctor_text(d, "%s; not tried: %s", text, ioctls_text(d, untried));
	return found_yes(text);
}

static struct finding not_made(struct uffdctl_doctor *d, enum own_kind kind, int err)
{
	const char *text = doctor_text(d, "this memory can't be made here: %s", strerror(-err));

	if (kind == OWN_TMPFS && err == -ENOENT)
		text = "there is no tmpfs here to which this user may write";
	else if (kind == OWN_GUEST_MEMFD)
		text = doctor_text(d, "no guest_memfd that user space may map can be made here (/dev/kvm: %s)",
				   strerror(-err));
	return found_unknown(err == -EACCES || err == -EPERM ? UFFDCTL_LAYER_FILE : UFFDCTL_LAYER_KERNEL, text);
}

static struct finding try_mode(struct uffdctl_doctor *d, enum own_kind kind, uint64_t mode)
{
	_cleanup_close_ int uffd = -1;
	struct own_memory m;
	struct uffd_tried t;
	int r = memory_uffd(d, ~ASYNC, &uffd);

	if (d->avoid & 1u << REACH_MEMFD_CREATE)
		return found_unknown(UFFDCTL_LAYER_SECCOMP, "a seccomp filter kills whoever makes such memory");
	if (r < 0)
		return found_unknown(0, "there is no way to a userfaultfd to try it with");
	r = own_memory_open(kind, 0, &m);
	if (r < 0)
		return not_made(d, kind, r);
	uffd_try(uffd, &m, mode, &t);
	own_memory_close(&m);
	return tried_finding(d, &t);
}

void check_memory(struct uffdctl_doctor *d)
{
	for (unsigned int bit = 0; uffdctl_mode_name(bit); bit++) {
		if (bit == 3 && d->features && !(d->features & UFFD_FEATURE_RWP)) {
			struct finding f = found_no(UFFDCTL_LAYER_KERNEL, "this kernel has no rwp mode", NULL);

			doctor_add(d, "memory", "rwp", &f);
			continue;
		}
		for (enum own_kind kind = 0; kind < OWN_NR_KINDS; kind++) {
			struct finding f = try_mode(d, kind, UINT64_C(1) << bit);

			doctor_add(d, "memory", doctor_text(d, "%s-%s", uffdctl_mode_name(bit), own_kind_name(kind)),
				   &f);
		}
	}
}

uint64_t memory_modes(struct uffdctl_doctor *d, int uffd, enum own_kind kind, uint64_t page_size, uint64_t *unknown)
{
	struct own_memory m;
	uint64_t can = 0;
	int r = -EPERM;

	*unknown = 0;
	if (uffd >= 0 && !(d->avoid & 1u << REACH_MEMFD_CREATE))
		r = own_memory_open(kind, page_size, &m);
	if (r < 0) {
		*unknown = (UINT64_C(1) << NR_MODES) - 1;
		return 0;
	}
	for (unsigned int bit = 0; bit < NR_MODES; bit++) {
		struct uffdctl_range all = { (uintptr_t)m.start, (uintptr_t)m.start + m.len };

		if (uffd_register(uffd, all, UINT64_C(1) << bit, NULL) < 0)
			continue;
		can |= UINT64_C(1) << bit;
		uffd_unregister(uffd, all);
	}
	own_memory_close(&m);
	return can;
}

/* ---- huge pages ---- */

static int add_size(const struct hugepages *h, void *arg)
{
	struct uffdctl_doctor *d = arg;
	uint64_t kb = h->size / 1024;
	const char *detail = doctor_text(d, "%" PRIu64 " set aside, %" PRIu64 " free, %" PRIu64 " of these reserved",
					 h->total, h->free, h->reserved);
	struct finding f = found_yes(detail);

	if (h->free <= h->reserved)
		f = found_no(UFFDCTL_LAYER_RESOURCE, detail,
			     doctor_text(d,
					 "echo %" PRIu64 " >/sys/kernel/mm/hugepages/hugepages-%" PRIu64
					 "kB/nr_hugepages (as many as are needed)",
					 h->total + 1, kb));
	doctor_add(d, "huge pages", doctor_text(d, "hugepages-%" PRIu64 "kB", kb), &f);
	return 0;
}

void check_hugepages(struct uffdctl_doctor *d)
{
	struct finding f;
	int r = hugepages_each(add_size, d);

	if (r == 0)
		return;
	f = r == -ENOENT && access("/sys/kernel/mm", F_OK) == 0
		    ? found_no(UFFDCTL_LAYER_KERNEL, "the kernel has no huge pages (CONFIG_HUGETLBFS)", NULL)
		    : found_unknown(UFFDCTL_LAYER_SETUP, doctor_text(d, "/sys/kernel/mm/hugepages: %s", strerror(-r)));
	doctor_add(d, "huge pages", "hugepages", &f);
}
