// SPDX-License-Identifier: LGPL-2.1-or-later
/* The doctor: which memory can be registered for which mode, and what a process's mappings can have. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/inspect/doctor.h"
#include "lib/kernel/uffd.h"

/* A mapping of our own. */
struct sample {
	const char *name;
	enum uffdctl_memory memory;
	bool shared;
	int memfd_flags; /* of its memfd; NO_FILE: it has none */
};

#define NO_FILE (-1)

static const struct sample samples[] = {
	{ "anonymous", UFFDCTL_MEMORY_ANON, false, NO_FILE },
	{ "shmem, shared", UFFDCTL_MEMORY_SHMEM, true, 0 },
	{ "shmem, private", UFFDCTL_MEMORY_SHMEM, false, 0 },
	{ "hugetlb, shared", UFFDCTL_MEMORY_HUGETLB, true, MFD_HUGETLB },
	{ "hugetlb, private", UFFDCTL_MEMORY_HUGETLB, false, MFD_HUGETLB },
	{ "file, private", UFFDCTL_MEMORY_OTHER, false, NO_FILE },
};

/* Mapped without a reserve: no huge page need be free. */
static uint8_t *map_sample(const struct sample *s, size_t size)
{
	int flags = (s->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_NORESERVE;
	_cleanup_close_ int fd = -1;
	void *p;

	if (s->memory == UFFDCTL_MEMORY_ANON) {
		flags |= MAP_ANONYMOUS;
	} else {
		fd = s->memfd_flags == NO_FILE ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
					       : memfd_create("uffdctl-doctor", MFD_CLOEXEC | s->memfd_flags);
		if (fd < 0 || (s->memfd_flags != NO_FILE && ftruncate(fd, (off_t)size) < 0))
			return NULL;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* The features change what can be registered; those that need privileges or change how faults end are left out. */
static int open_registrar(int *ret)
{
	uint64_t known = uffd_kernel_features();
	_cleanup_close_ int fd = -1;
	int r = uffd_create(&fd);

	if (r >= 0)
		r = uffd_handshake(fd,
				   known == UINT64_MAX ? 0
						       : known & (UFFD_FEATURE_RWP | UFFD_FEATURE_MINOR_SHMEM |
								  UFFD_FEATURE_MINOR_HUGETLBFS),
				   NULL);
	if (r >= 0)
		*ret = steal_fd(fd);
	return r;
}

static void add_memory(struct uffdctl_doctor *d, const struct sample *s, unsigned int mode,
		       enum uffdctl_verdict verdict, uint64_t ioctls, const char *detail)
{
	struct uffdctl_memory_check *c = vec_add(d->memories, d->nr_memories, d->memories_alloc);

	d->oom |= !c;
	if (c)
		*c = (struct uffdctl_memory_check){ s->name, mode, verdict, ioctls, detail };
}

static void try_mode(struct uffdctl_doctor *d, const struct sample *s, unsigned int mode, const uint8_t *p, size_t size)
{
	struct uffdctl_range range = { (uintptr_t)p, (uintptr_t)p + size };
	_cleanup_close_ int uffd = -1;
	uint64_t ioctls = 0;
	int r = open_registrar(&uffd);

	if (r < 0) {
		add_memory(d, s, mode, UFFDCTL_NOT_KNOWN, 0, "no userfaultfd can be made");
		return;
	}
	r = uffd_register(uffd, range, UINT64_C(1) << mode, &ioctls);
	if (r < 0) {
		add_memory(d, s, mode, UFFDCTL_NO, 0,
			   r == -EINVAL ? "this kernel does not have it"
					: doctor_text(d, "UFFDIO_REGISTER: %s", strerror(-r)));
		return;
	}
	uffd_unregister(uffd, range);
	/* The kernel names MOVE for all memory; mm/userfaultfd.c, validate_move_areas() takes anonymous memory only. */
	if (s->memory != UFFDCTL_MEMORY_ANON)
		ioctls &= ~(UINT64_C(1) << UFFD_IOCTL_MOVE);
	add_memory(d, s, mode, UFFDCTL_YES, ioctls,
		   UINT64_C(1) << mode == UFFDCTL_MODE_RWP ? "on a userfaultfd with the feature rwp" : NULL);
}

/* That of the default hugetlb size, as memfds have it. */
static size_t huge_page_size(void)
{
	char line[128];
	size_t kib = 2048;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %zu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

void doctor_memory(struct uffdctl_doctor *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		size_t size = s->memory == UFFDCTL_MEMORY_HUGETLB ? huge_page_size() : base_page_size();
		uint8_t *p = map_sample(s, size);
		int err = errno;

		for (unsigned int mode = 0; mode < UFFDCTL_MAX_MODES; mode++) {
			if (!uffdctl_mode_name(mode))
				continue;
			if (p)
				try_mode(d, s, mode, p, size);
			else
				add_memory(d, s, mode, UFFDCTL_NOT_KNOWN, 0,
					   doctor_text(d, "there is no such memory: %s", strerror(err)));
		}
		if (p)
			munmap(p, size);
	}
}

/* ---- a process's mappings ---- */

static uint64_t modes_of(const struct uffdctl_doctor *d, enum uffdctl_memory memory, bool shared)
{
	uint64_t modes = 0;

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++)
		for (size_t k = 0; k < d->nr_memories; k++)
			if (samples[i].memory == memory && samples[i].shared == shared &&
			    d->memories[k].memory == samples[i].name && d->memories[k].verdict == UFFDCTL_YES)
				modes |= UINT64_C(1) << d->memories[k].mode;
	return modes;
}

/* VM_MAYWRITE, without which UFFDIO_REGISTER says EPERM. */
static enum uffdctl_verdict may_write(const struct uffdctl_vma *v)
{
	if (v->perms[1] == 'w')
		return UFFDCTL_YES;
	if (!v->vm_flags)
		return UFFDCTL_NOT_KNOWN;
	return strstr(v->vm_flags, "mw") ? UFFDCTL_YES : UFFDCTL_NO;
}

static void judge(const struct uffdctl_doctor *d, const struct uffdctl_vma *v, struct uffdctl_mapping_check *m)
{
	enum uffdctl_verdict writable = may_write(v);

	m->verdict = UFFDCTL_NO;
	switch (v->memory) {
	case UFFDCTL_MEMORY_UNKNOWN:
	case UFFDCTL_MEMORY_GUEST_MEMFD:
		m->verdict = UFFDCTL_NOT_KNOWN;
		m->detail = v->memory ? "guest_memfd was not tried" : "the kind of memory is not known without BPF";
		return;
	case UFFDCTL_MEMORY_ANON:
	case UFFDCTL_MEMORY_SHMEM:
	case UFFDCTL_MEMORY_HUGETLB:
		break;
	default:
		m->detail = "a file or a device: neither anonymous memory nor shmem nor hugetlb";
		return;
	}
	if (writable == UFFDCTL_NO) {
		m->detail = "it can't be made writable (no mw in its VmFlags)";
		return;
	}
	m->modes = modes_of(d, v->memory, v->perms[3] == 's');
	m->verdict = writable != UFFDCTL_YES ? UFFDCTL_NOT_KNOWN : m->modes ? UFFDCTL_YES : UFFDCTL_NO;
	if (writable != UFFDCTL_YES)
		m->detail = "if it can be made writable, which is not known";
	else if (v->modes)
		m->detail = "it is registered on a userfaultfd: only this one can have more modes there";
}

void doctor_mappings(struct uffdctl_doctor *d, const struct uffdctl_maps *maps)
{
	for (size_t i = 0; i < uffdctl_maps_count(maps); i++) {
		const struct uffdctl_vma *v = uffdctl_maps_get(maps, i);
		struct uffdctl_mapping_check *m = vec_add(d->mappings, d->nr_mappings, d->mappings_alloc);
		char buf[UFFDCTL_LABEL_BYTES];

		d->oom |= !m;
		if (!m)
			return;
		*m = (struct uffdctl_mapping_check){ .range = v->range };
		m->label = doctor_text(d, "%s", uffdctl_vma_label(v, buf) ?: "");
		judge(d, v, m);
	}
}
