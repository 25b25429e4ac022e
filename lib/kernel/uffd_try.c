// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which ioctls of a userfaultfd work on a kind of memory: found by issuing each on memory of our own. */
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/kernel/uffd.h"
#include "lib/kernel/uffd_try.h"
#include "lib/util.h"

struct
try {
	int uffd;
	const struct own_memory *m;
	void *source; /* a page with contents, of the memory's size, that is mapped */
};

static struct uffdctl_range page_of(const struct try *t, unsigned int page)
{
	uint64_t start = (uintptr_t)t->m->start + page * t->m->page_size;

	return (struct uffdctl_range){ start, start + t->m->page_size };
}

static int issue(const struct try *t, unsigned long request, void *arg)
{
	return ioctl(t->uffd, request, arg) < 0 ? -errno : 0;
}

static int try_wake(const struct try *t)
{
	return uffd_wake(t->uffd, page_of(t, OWN_PAGE_COPY));
}

static int try_copy(const struct try *t)
{
	uint64_t done;

	return uffd_copy(t->uffd, page_of(t, OWN_PAGE_COPY), t->source, 0, &done);
}

static int try_zeropage(const struct try *t)
{
	uint64_t done;

	return uffd_zeropage(t->uffd, page_of(t, OWN_PAGE_ZERO), 0, &done);
}

static int try_continue(const struct try *t)
{
	uint64_t done;

	return uffd_continue(t->uffd, page_of(t, OWN_PAGE_CACHED), 0, &done);
}

static int try_poison(const struct try *t)
{
	struct uffdctl_range r = page_of(t, OWN_PAGE_POISON);
	struct uffdio_poison arg = { .range = { r.start, range_len(r) } };

	return issue(t, UFFDIO_POISON, &arg);
}

static int try_writeprotect(const struct try *t)
{
	struct uffdctl_range r = page_of(t, OWN_PAGE_COPY);
	struct uffdio_writeprotect arg = { .range = { r.start, range_len(r) }, .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	return issue(t, UFFDIO_WRITEPROTECT, &arg);
}

static int try_rwprotect(const struct try *t)
{
	struct uffdctl_range r = page_of(t, OWN_PAGE_COPY);
	struct uffdio_rwprotect arg = { .range = { r.start, range_len(r) }, .mode = UFFDIO_RWPROTECT_MODE_RWP };

	return issue(t, UFFDIO_RWPROTECT, &arg);
}

/* Last: it takes the source away. */
static int try_move(const struct try *t)
{
	struct uffdctl_range r = page_of(t, OWN_PAGE_MOVE);
	struct uffdio_move arg = { .dst = r.start, .src = (uintptr_t)t->source, .len = range_len(r) };

	return issue(t, UFFDIO_MOVE, &arg);
}

static const struct {
	unsigned int bit;
	bool makes_page; /* takes a page of the kind, where such pages are reserved */
	int (*issue)(const struct try *t);
} tries[] = {
	{ _UFFDIO_COPY, true, try_copy },
	{ _UFFDIO_ZEROPAGE, true, try_zeropage },
	{ _UFFDIO_CONTINUE, true, try_continue },
	{ 0x08, false, try_poison },
	{ _UFFDIO_WRITEPROTECT, false, try_writeprotect },
	{ 0x09, false, try_rwprotect },
	{ _UFFDIO_WAKE, false, try_wake },
	{ 0x05, true, try_move },
};

static void issue_all(const struct try *t, struct uffd_tried *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		uint64_t bit = UINT64_C(1) << tries[i].bit;

		if (!(ret->named & bit) || (tries[i].makes_page && !t->m->may_make_pages))
			continue;
		/* The page to continue could not be put into the page cache. */
		if (tries[i].bit == _UFFDIO_CONTINUE && !t->m->has_cached)
			continue;
		if (tries[i].issue(t) == 0)
			ret->worked |= bit;
		else
			ret->failed |= bit;
	}
}

/* Aligned to huge pages, as their addresses must be; untouched in the memory's page size. */
static void *map_source(const struct own_memory *m, void **ret_map, size_t *ret_len)
{
	size_t page = m->page_size, len = page > base_page_size() ? 2 * page : page;
	char *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *p;

	*ret_map = map;
	*ret_len = len;
	if (map == MAP_FAILED)
		return NULL;
	p = (char *)round_up((uintptr_t)map, page);
	/* MOVE needs a page of its own, not the zero page. */
	*p = 1;
	return p;
}

void uffd_try(int uffd, const struct own_memory *m, uint64_t modes, struct uffd_tried *ret)
{
	struct uffdctl_range all = { (uintptr_t)m->start, (uintptr_t)m->start + m->len };
	struct try t = { uffd, m, NULL };
	size_t len;
	void *map;

	*ret = (struct uffd_tried){};
	ret->err = uffd_register(uffd, all, modes, &ret->named);
	if (ret->err < 0)
		return;
	t.source = map_source(m, &map, &len);
	if (t.source)
		issue_all(&t, ret);
	if (map != MAP_FAILED)
		munmap(map, len);
	uffd_unregister(uffd, all);
}
