// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Filling: the window, our own mapping of the file, registered on the guard, and the operations on it. See fill.c.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/drive/fill_choose.h"
#include "lib/drive/fill_window.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/process_vm.h"
#include "lib/kernel/uffd.h"

/* ---- the window ---- */

static char *window_at(const struct step *s, uint64_t addr)
{
	return s->window + (addr - s->mapped.start);
}

static struct uffdctl_range in_window(const struct step *s, struct uffdctl_range r)
{
	uint64_t start = (uintptr_t)window_at(s, r.start);

	return (struct uffdctl_range){ start, start + range_len(r) };
}

/* Leave out pages past the end of the file: CONTINUE will report them as absent. */
static int end_at_file(struct step *s)
{
	uint64_t offset = part_offset(s->c->part, s->range.start), end = s->range.end, size;
	struct stat st;

	if (fstat(s->part->file->fd, &st) < 0)
		return -errno;
	size = st.st_size;

	if (offset + range_len(s->range) > size)
		end = s->range.start + (offset >= size ? 0 : round_up(size - offset, chunk_page_size(s->c)));
	for (uint64_t at = end; at < s->range.end; at += chunk_page_size(s->c))
		s->pages[step_index(s, at)] = KEEP;
	s->mapped = (struct uffdctl_range){ s->range.start, end };
	return 0;
}

/* On hugetlbfs the mapping must reserve no pages: a new page takes a free one. */
int window_open(struct step *s)
{
	const struct file *file = s->part->file;
	struct uffdctl_range own;
	char *p;
	int r;

	r = end_at_file(s);
	if (r < 0 || s->mapped.start == s->mapped.end)
		return r;
	p = mmap(NULL, range_len(s->mapped), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file->fd,
		 (off_t)part_offset(s->c->part, s->mapped.start));
	if (p == MAP_FAILED)
		return -errno;
	own = (struct uffdctl_range){ (uintptr_t)p, (uintptr_t)p + range_len(s->mapped) };
	r = uffd_register(s->f->guard, own, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR, NULL);
	if (r < 0) {
		munmap(p, range_len(s->mapped));
		return r;
	}
	s->window = p;
	return 0;
}

void window_close(struct step *s)
{
	if (s->window)
		munmap(s->window, range_len(s->mapped));
}

/* ---- pages into the page cache, and into the window ---- */

/* @absent: true: make the pages; false: map the existing ones */
static int enter_some(struct step *s, struct uffdctl_range r, bool absent, uint64_t *done)
{
	struct uffdctl_range own = in_window(s, r);
	int err;

	if (absent)
		err = uffd_copy(s->f->guard, own, chunk_at(s->c, r.start), 0, done);
	else
		err = uffd_continue(s->f->guard, own, 0, done);
	step_set_pages(s, (struct uffdctl_range){ r.start, r.start + *done }, absent ? MADE : CACHED);
	return err;
}

static bool is_past_end(const struct step *s, uint64_t at)
{
	struct stat st;

	return fstat(s->part->file->fd, &st) == 0 && part_offset(s->c->part, at) >= (uint64_t)st.st_size;
}

/* The other ioctl may succeed where this one can't. */
static bool try_other_way(int err, bool absent)
{
	return absent ? err == -EEXIST : err == -EFAULT;
}

static void enter_run(struct step *s, struct uffdctl_range r)
{
	uint64_t page = chunk_page_size(s->c), done = 0;
	int err = 0, turns = 0;

	for (; r.start < r.end; r.start += done) {
		bool absent = __atomic_load_n(&s->f->absent, __ATOMIC_RELAXED);

		err = enter_some(s, r, absent, &done);
		if (done) {
			turns = 0;
		} else if (try_other_way(err, absent) && ++turns < FILL_TRIES) {
			__atomic_store_n(&s->f->absent, !absent, __ATOMIC_RELAXED);
		} else if (!absent && err == -EEXIST) {
			/* An earlier try has mapped it. */
			step_set_pages(s, (struct uffdctl_range){ r.start, r.start + page }, CACHED);
			done = page;
		} else if (err == -EIO || err == -EHWPOISON) {
			step_set_pages(s, (struct uffdctl_range){ r.start, r.start + page }, KEEP);
			done = page;
		} else if (is_past_end(s, r.start)) {
			step_set_pages(s, r, KEEP);
			return;
		} else {
			/* It does not exist and can't be made: hugetlbfs returns EEXIST if no page is free. */
			step_cut(s, r.start, turns ? -ENOMEM : err);
			return;
		}
	}
}

void window_enter(struct step *s)
{
	struct uffdctl_range run;

	for (uint64_t at = s->range.start; step_next_run(s, WANTED, &at, &run);)
		enter_run(s, run);
}

/* ---- what was there already ---- */

static enum page_fill judge_entry(const struct step *s, enum own_state state)
{
	switch (state) {
	/* It was removed from the file, or is being migrated. */
	case OWN_ABSENT:
		return WANTED;
	case OWN_EXCLUSIVE:
		return CACHED;
	default:
		return step_elsewhere(s, CACHED);
	}
}

int window_find_elsewhere(struct step *s)
{
	uint64_t page = chunk_page_size(s->c);
	uint8_t states[CONTENTS_BYTES / 4096];
	struct uffdctl_range run;

	for (uint64_t at = s->range.start; step_next_run(s, CACHED, &at, &run);) {
		int r;

		/* The first entry of a huge page is valid for all of it. */
		if (page > base_page_size())
			run.end = at = run.start + page;
		r = pagemap_read_own(s->f->own_pagemap, window_at(s, run.start), range_len(run) / page, states);
		if (r < 0)
			return r;
		for (uint64_t i = 0; i < range_len(run) / page; i++)
			s->pages[step_index(s, run.start + i * page)] = judge_entry(s, states[i]);
	}
	return 0;
}

/* Let the kernel write: if a page has gone from the file, this is an error, and not a signal. */
void window_write(struct step *s)
{
	uint64_t page = chunk_page_size(s->c);
	struct uffdctl_range run;

	for (uint64_t at = s->range.start; step_next_run(s, CACHED, &at, &run);) {
		ssize_t n = process_vm_write_own(window_at(s, run.start), chunk_at(s->c, run.start), range_len(run));
		uint64_t done = n < 0 ? 0 : round_down((uint64_t)n, page);

		if (n < 0 && n != -EFAULT) {
			step_cut(s, run.start, (int)n);
			return;
		}
		step_set_pages(s, (struct uffdctl_range){ run.start, run.start + done }, WRITTEN);
		if (done < range_len(run)) {
			at = run.start + done + page;
			s->pages[step_index(s, run.start + done)] = WANTED;
		}
	}
}
