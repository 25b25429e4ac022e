// SPDX-License-Identifier: LGPL-2.1-or-later
/* vm_flags of the running kernel, and their mnemonics of proc_pid_smaps(5). */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/kernel/uffd.h"
#include "lib/kernel/vmflags.h"
#include "lib/log.h"
#include "lib/util.h"

/* show_smap_vma_flags() in fs/proc/task_mmu.c; bits that have not moved between Linux 6.1 and 7.3. */
static const char fixed_names[64][3] = {
	[0] = "rd",  [1] = "wr",  [2] = "ex",  [3] = "sh",  [4] = "mr",	 [5] = "mw",  [6] = "me",
	[7] = "ms",  [8] = "gd",  [10] = "pf", [13] = "lo", [14] = "io", [15] = "sr", [16] = "rr",
	[17] = "dc", [18] = "de", [19] = "lf", [20] = "ac", [21] = "nr", [22] = "ht", [23] = "sf",
	[25] = "wf", [26] = "dd", [27] = "sd", [28] = "mm", [29] = "hg", [30] = "nh", [31] = "mg",
#if defined(__aarch64__)
	[24] = "bt", [36] = "mt",
#else
	[24] = "ar",
#endif
};

#define VM_UFFD_MISSING (1 << 9)
#define VM_UFFD_WP (1 << 12)
/* Not shown: keys are in ProtectionKey, and whether arm64's memory tags may be had is nowhere. */
#define VM_PKEYS (UINT64_C(0x1f) << 32)
#if defined(__aarch64__)
#define VM_HIDDEN (VM_PKEYS | UINT64_C(1) << 37)
#else
#define VM_HIDDEN VM_PKEYS
#endif

/* A page of our own, not registered, or registered for one mode. */
struct probe {
	uint64_t mode;
	void *page;
	uint64_t vm_flags;
};

enum {
	PLAIN,
	MINOR,
	RWP,
	NR_PROBES
};

static int find_probe(const void *arg_ev, void *arg)
{
	const struct ev_vma *ev = arg_ev;
	struct probe *probes = arg;

	for (int i = 0; i < NR_PROBES; i++)
		if ((uintptr_t)probes[i].page >= ev->start && (uintptr_t)probes[i].page < ev->end)
			probes[i].vm_flags = ev->vm_flags;
	return 0;
}

/* EINVAL: the kernel lacks the mode; the page then looks like the plain one. */
static int map_probe(struct probe *p, int uffd, size_t size)
{
	struct uffdctl_range range;
	int r;

	p->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->page == MAP_FAILED)
		return -errno;
	if (!p->mode)
		return 0;
	range.start = (uintptr_t)p->page;
	range.end = range.start + size;
	r = uffd_register(uffd, range, p->mode, NULL);
	return r == -EINVAL ? 0 : r;
}

/* The bits that registering for minor and for rwp set; 0: this kernel has none. */
static int learn_modes(struct iter *it, uint64_t *minor, uint64_t *rwp)
{
	struct probe probes[NR_PROBES] = { [PLAIN] = { .page = MAP_FAILED },
					   [MINOR] = { UFFDIO_REGISTER_MODE_MINOR, MAP_FAILED, 0 },
					   [RWP] = { UFFDIO_REGISTER_MODE_RWP, MAP_FAILED, 0 } };
	size_t size = base_page_size();
	_cleanup_close_ int uffd = -1;
	int r = uffd_create(&uffd);

	if (r >= 0)
		r = uffd_handshake(uffd, UFFD_FEATURE_RWP, NULL);
	if (r == -EINVAL)
		r = uffd_handshake(uffd, 0, NULL);
	for (int i = 0; r >= 0 && i < NR_PROBES; i++)
		r = map_probe(&probes[i], uffd, size);
	if (r >= 0)
		r = iter_vmas(it, gettid(), false, find_probe, probes);
	if (r >= 0) {
		*minor = probes[MINOR].vm_flags & ~probes[PLAIN].vm_flags;
		*rwp = probes[RWP].vm_flags & ~probes[PLAIN].vm_flags;
	}
	for (int i = 0; i < NR_PROBES; i++)
		if (probes[i].page != MAP_FAILED)
			munmap(probes[i].page, size);
	return r < 0 ? r : 0;
}

static void learn_name(struct vmflags *f, uint64_t bit, const char *name)
{
	if (!bit || f->known & bit)
		return;
	f->known |= bit;
	memcpy(f->names[__builtin_ctzll(bit)], name, 3);
}

static int learn(struct iter *it, struct vmflags *ret)
{
	struct vmflags f = { .known = VM_HIDDEN };
	int r;

	memcpy(f.names, fixed_names, sizeof(f.names));
	for (int bit = 0; bit < 64; bit++)
		if (f.names[bit][0])
			f.known |= UINT64_C(1) << bit;
	f.mode_bits[0] = VM_UFFD_MISSING;
	f.mode_bits[1] = VM_UFFD_WP;
	r = learn_modes(it, &f.mode_bits[2], &f.mode_bits[3]);
	if (r < 0)
		return r;
	for (int i = 0; i < NR_MODES; i++)
		learn_name(&f, f.mode_bits[i], uffdctl_mode_flag(i));
	*ret = f;
	return 0;
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
			if (!strncmp(p, uffdctl_mode_flag(i), 2))
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

int vmflags_get(struct uffdctl *u, struct iter *it, const struct vmflags **ret)
{
	struct vmflags *f;
	int r;

	if (!u->vmflags) {
		f = malloc(sizeof(*f));
		r = f ? learn(it, f) : -ENOMEM;
		if (r < 0) {
			free(f);
			return fail(u, r, "learning the flags of this kernel: %s", strerror(-r));
		}
		u->vmflags = f;
	}
	*ret = u->vmflags;
	return 0;
}
