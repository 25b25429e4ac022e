// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the pages of ranges hold, read without touching the target and without making pages. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/inspect/pagecache.h"
#include "lib/inspect/pages.h"
#include "lib/kernel/mem.h"
#include "lib/kernel/process_vm.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"
#include "lib/opts.h"
#include "lib/util.h"
#include "lib/vma.h"

/* So much is read at once. */
#define BUFFER_BYTES (1 << 20)

struct reader {
	struct uffdctl_target *t;
	const struct uffdctl_peek_opts *opts;
	uint8_t *buf;
	int mem;     /* -1: not opened so far */
	int fd, err; /* of the mapping at file_of, or why it can't be opened */
	struct uffdctl_range file_of;
};

/* Behind the end of a file, its last page has zeros. */
static int end_of_file(uint64_t offset, void *buf, size_t len)
{
	if (len >= base_page_size() || (offset + len) % base_page_size())
		return -ENODATA;
	memset(buf, 0, len);
	return 0;
}

static int read_file(int fd, uint64_t offset, void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : end_of_file(offset + done, (char *)buf + done, len - done);
		done += (size_t)n;
	}
	return 0;
}

/* A guest_memfd has no read(2). Our mapping is guarded where the kernel can do that, so that a page that goes meanwhile
 * is not made again; where it can't, the page was there a moment ago. */
static int read_window(int fd, uint64_t offset, void *buf, size_t len)
{
	void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	struct uffdctl_range own = { (uintptr_t)map, (uintptr_t)map + len };
	_cleanup_close_ int guard = -1;
	ssize_t n;

	if (map == MAP_FAILED)
		return -errno;
	if (uffd_guard(&guard) >= 0)
		uffd_register(guard, own, UFFDIO_REGISTER_MODE_MISSING, NULL);
	n = process_vm_read_own(map, buf, len);
	munmap(map, len);
	return n < 0 ? (int)n : (size_t)n == len ? 0 : -EFAULT;
}

static int open_file(struct reader *r, const struct uffdctl_vma *v)
{
	if (r->file_of.start == v->range.start && r->file_of.end == v->range.end)
		return r->err;
	cleanup_close(&r->fd);
	r->fd = -1;
	r->file_of = v->range;
	return r->err = pagecache_try_open(r->t, v, false, &r->fd);
}

static int read_mem(struct reader *r, uint64_t addr, size_t len)
{
	int err = r->mem < 0 ? mem_open(r->t, &r->mem) : 0;

	return err < 0 ? err : mem_read(r->mem, addr, r->buf, len);
}

/*
 * A page that a private mapping has mapped may be its own. Files of other kinds might block us if a page of them went
 * meanwhile, and memory of devices has side effects.
 */
static int read_pages(struct reader *r, const struct uffdctl_page_run *run, struct uffdctl_range range)
{
	const struct uffdctl_vma *v = run->vma;
	size_t len = range_len(range);
	int err;

	if (v->memory == UFFDCTL_MEMORY_OTHER || v->memory == UFFDCTL_MEMORY_UNKNOWN)
		return -EOPNOTSUPP;
	if (v->memory == UFFDCTL_MEMORY_ANON || (run->state == UFFDCTL_PAGE_MAPPED && !vma_is_shared(v)))
		return read_mem(r, range.start, len);
	err = open_file(r, v);
	if (err < 0 && run->state == UFFDCTL_PAGE_MAPPED)
		return read_mem(r, range.start, len);
	if (err < 0)
		return err;
	if (v->memory == UFFDCTL_MEMORY_GUEST_MEMFD)
		return read_window(r->fd, vma_offset(v, range.start), r->buf, len);
	return read_file(r->fd, vma_offset(v, range.start), r->buf, len);
}

static int read_one(struct reader *r, const struct uffdctl_page_run *run, struct uffdctl_range range)
{
	struct uffdctl_piece piece = { .range = range, .state = run->state, .marks = run->marks, .vma = run->vma };

	piece.error = read_pages(r, run, range);
	piece.bytes = piece.error < 0 ? NULL : r->buf;
	return r->opts->piece(r->opts->data, &piece);
}

/* Pages that can't be read together are tried one by one: only some of them may be in the way. */
static int read_chunk(struct reader *r, const struct uffdctl_page_run *run, struct uffdctl_range range)
{
	uint64_t page = base_page_size();
	int ret = 0;

	if (read_pages(r, run, range) == 0) {
		const struct uffdctl_piece piece = {
			.range = range, .bytes = r->buf, .state = run->state, .marks = run->marks, .vma = run->vma
		};

		return r->opts->piece(r->opts->data, &piece);
	}
	for (; ret >= 0 && range.start < range.end; range.start += page)
		ret = read_one(r, run, (struct uffdctl_range){ range.start, range.start + page });
	return ret;
}

static int on_run(void *data, const struct uffdctl_page_run *run)
{
	struct reader *r = data;
	struct uffdctl_range range = run->range;
	int ret = 0;

	if (run->state != UFFDCTL_PAGE_MAPPED && run->state != UFFDCTL_PAGE_MINOR) {
		const struct uffdctl_piece piece = {
			.range = range, .state = run->state, .marks = run->marks, .vma = run->vma
		};

		return r->opts->piece(r->opts->data, &piece);
	}
	for (uint64_t next; ret >= 0 && range.start < range.end; range.start = next) {
		next = MIN(range.start + BUFFER_BYTES, range.end);
		ret = read_chunk(r, run, (struct uffdctl_range){ range.start, next });
	}
	return ret;
}

OPTS_CHECK(uffdctl_peek_opts, data);

UFFDCTL_EXPORT int uffdctl_peek_ranges(struct uffdctl_target *t, const struct uffdctl_peek_opts *opts)
{
	_cleanup_free_ uint8_t *buf = malloc(BUFFER_BYTES);
	struct uffdctl_peek_opts o;
	struct reader reader = { .t = t, .opts = &o, .buf = buf, .mem = -1, .fd = -1 };
	struct uffdctl_pages_opts pages = { .size = sizeof(pages), .run = on_run, .data = &reader };
	int r = OPTS_GET(t->u, opts, &o);

	if (!buf)
		return log_oom(t->u);
	if (r < 0)
		return r;
	if (!o.piece || !o.ranges || o.flags)
		return fail(t->u, -EINVAL, "uffdctl_peek_ranges: no ranges, no function, or unknown flags: 0x%x",
			    o.flags);
	pages.ranges = o.ranges;
	pages.source = o.source;
	r = pages_find(t, &pages, true);
	cleanup_close(&reader.mem);
	cleanup_close(&reader.fd);
	return r;
}
