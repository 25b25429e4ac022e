// SPDX-License-Identifier: LGPL-2.1-or-later
/* The contents of a page of a mapped file, read without touching the target and without making the page. */
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/inspect/maps.h"
#include "lib/inspect/pagecache.h"
#include "lib/kernel/mincore.h"
#include "lib/kernel/process_vm.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/opts.h"
#include "lib/util.h"

/*
 * A guest_memfd has no read(2). Our mapping is guarded, so that reading it makes no page if the page has gone
 * meanwhile.
 */
static ssize_t read_mapped(int fd, uint64_t offset, void *buf, size_t len)
{
	uint64_t page = base_page_size(), skip = offset % page;
	char *p = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)(offset - skip));
	struct uffdctl_range own = { (uintptr_t)p, (uintptr_t)p + page };
	_cleanup_close_ int guard = -1;
	ssize_t n = -1;

	if (p == MAP_FAILED)
		return -1;
	if (uffd_guard(&guard) >= 0 && uffd_register(guard, own, UFFDIO_REGISTER_MODE_MISSING, NULL) >= 0)
		n = process_vm_read_own(p + skip, buf, len);
	munmap(p, page);
	return n;
}

static int peek(struct uffdctl_target *t, const struct uffdctl_vma *v, uint64_t addr, void *buf, size_t len,
		struct uffdctl_peek *ret)
{
	uint64_t offset = vma_offset(v, addr), left = v->page_size - offset % v->page_size;
	_cleanup_close_ int fd = -1;
	ssize_t n = 0;
	int r;

	if (!v->inode)
		return fail(t->u, -EOPNOTSUPP, "%d: %" PRIx64 ": no file is mapped there", t->pid, addr);
	r = pagecache_open_read(t, v, &fd);
	if (r < 0)
		return r;
	ret->page_size = v->page_size;
	ret->cached = UFFDCTL_UNKNOWN;
	if (v->page_size == base_page_size() && (r = mincore_has(fd, round_down(offset, v->page_size))) >= 0)
		ret->cached = r;
	/* A swapped page can't be told from a hole: neither is read. */
	if (ret->cached && len) {
		n = pread(fd, buf, MIN(len, left), (off_t)offset);
		if (n < 0 && errno == ESPIPE)
			n = read_mapped(fd, offset, buf, MIN(len, left));
	}
	ret->len = n > 0 ? (size_t)n : 0;
	return 0;
}

UFFDCTL_EXPORT int uffdctl_peek(struct uffdctl_target *t, uint64_t addr, void *buf, size_t len,
				struct uffdctl_peek *ret)
{
	struct uffdctl_maps *maps;
	const struct uffdctl_vma *v;
	struct uffdctl_peek found = {};
	int r = out_check(t->u, ret);

	if (r >= 0)
		r = maps_read(t, UFFDCTL_SOURCE_AUTO, UFFDCTL_MAPS_ALL, NULL, &maps);

	if (r < 0)
		return r;
	v = maps_at(maps, addr);
	if (v)
		r = peek(t, v, addr, buf, len, &found);
	else
		r = fail(t->u, -ENOENT, "%d: %" PRIx64 ": there is no mapping", t->pid, addr);
	uffdctl_maps_free(maps);
	if (r >= 0)
		OUT_PUT(&found, ret);
	return r;
}
