// SPDX-License-Identifier: LGPL-2.1-or-later
/* vm_flags of the running kernel, and their mnemonics of proc_pid_smaps(5). */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uffd.h"
#include "util.h"
#include "vmflags.h"

/* show_smap_vma_flags() in fs/proc/task_mmu.c; bits that have not moved between Linux 6.1 and 7.3. */
static const char fixed_names[64][3] = {
	[0] = "rd",  [1] = "wr",  [2] = "ex",  [3] = "sh",  [4] = "mr",	 [5] = "mw",  [6] = "me",  [7] = "ms",
	[8] = "gd",  [9] = "um",  [10] = "pf", [12] = "uw", [13] = "lo", [14] = "io", [15] = "sr", [16] = "rr",
	[17] = "dc", [18] = "de", [19] = "lf", [20] = "ac", [21] = "nr", [22] = "ht", [23] = "sf", [25] = "wf",
	[26] = "dd", [27] = "sd", [28] = "mm", [29] = "hg", [30] = "nh", [31] = "mg",
#if defined(__aarch64__)
	[24] = "bt", [36] = "mt",
#else
	[24] = "ar",
#endif
};

#define VM_PKEYS (UINT64_C(0x1f) << 32) /* not shown: they stand in ProtectionKey */

static const char mode_mnemonics[NR_MODES][3] = { "um", "uw", "ui", "ur" };

struct probe {
	uint64_t addr;
	uint64_t vm_flags;
	bool found;
};

static int find_probe(const void *arg_ev, void *arg)
{
	const struct ev_vma *ev = arg_ev;
	struct probe *p = arg;

	if (p->addr < ev->start || p->addr >= ev->end)
		return 0;
	p->vm_flags = ev->vm_flags;
	p->found = true;
	return 1;
}

static uint64_t flags_at(struct iter *it, const void *addr)
{
	struct probe p = { .addr = (uintptr_t)addr };

	iter_vmas(it, gettid(), false, find_probe, &p);
	return p.found ? p.vm_flags : 0;
}

/* The one bit that registering a page of our own for the mode sets. */
static uint64_t learn_mode(struct iter *it, uint64_t mode)
{
	uint64_t features = mode == UFFDIO_REGISTER_MODE_RWP ? UFFD_FEATURE_RWP : 0;
	size_t size = base_page_size();
	_cleanup_close_ int uffd = -1, memfd = memfd_create("uffdctl-probe", MFD_CLOEXEC);
	uint64_t before, after = 0;
	void *page;

	if (memfd < 0 || ftruncate(memfd, size) < 0)
		return 0;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (page == MAP_FAILED)
		return 0;
	before = flags_at(it, page);
	if (before && uffd_create(&uffd) == 0 && uffd_handshake(uffd, features, NULL) == 0) {
		struct uffdctl_range range = { (uintptr_t)page, (uintptr_t)page + size };

		if (uffd_register(uffd, range, mode, NULL) == 0)
			after = flags_at(it, page);
	}
	munmap(page, size);
	return after & ~before;
}

static void learn_name(struct vmflags *f, uint64_t bit, const char *name)
{
	if (!bit || f->known & bit)
		return;
	f->known |= bit;
	memcpy(f->names[__builtin_ctzll(bit)], name, 3);
}

void vmflags_learn(struct iter *it, struct vmflags *ret)
{
	struct vmflags f = { .known = VM_PKEYS };

	memcpy(f.names, fixed_names, sizeof(f.names));
	for (int bit = 0; bit < 64; bit++)
		if (f.names[bit][0])
			f.known |= UINT64_C(1) << bit;
	for (int i = 0; i < NR_MODES; i++) {
		/* VM_UFFD_MISSING and VM_UFFD_WP, bits 9 and 12, have names in the table. */
		f.mode_bits[i] = i < 2 ? UINT64_C(1) << (i ? 12 : 9) : learn_mode(it, UINT64_C(1) << i);
		learn_name(&f, f.mode_bits[i], mode_mnemonics[i]);
	}
	*ret = f;
}

uint64_t vmflags_modes(const struct vmflags *f, uint64_t vm_flags)
{
	uint64_t modes = 0;

	for (int i = 0; i < NR_MODES; i++)
		if (vm_flags & f->mode_bits[i])
			modes |= UINT64_C(1) << i;
	return modes;
}

uint64_t vmflags_modes_of_text(const char *text)
{
	uint64_t modes = 0;

	for (const char *p = text; p[0] && p[1]; p += p[2] ? 3 : 2)
		for (int i = 0; i < NR_MODES; i++)
			if (!strncmp(p, mode_mnemonics[i], 2))
				modes |= UINT64_C(1) << i;
	return modes;
}

void vmflags_text(const struct vmflags *f, uint64_t vm_flags, char *buf)
{
	char *p = buf;

	for (int bit = 0; bit < 64; bit++) {
		if (!(vm_flags >> bit & 1) || !f->names[bit][0])
			continue;
		if (p > buf)
			*p++ = ' ';
		p = stpcpy(p, f->names[bit]);
	}
	*p = '\0';
}
