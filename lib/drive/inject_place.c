// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where in a target system calls can be run: the instructions, and a stack with room for the way back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/drive/inject_place.h"
#include "lib/kernel/mem.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/ptrace.h"
#include "lib/util.h"

/* ---- instructions ---- */

#define PIECE_PAGES 64u
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)

struct text_search {
	int mem, pagemap;
	char *buf;
	struct gadgets *gadgets;
};

/* Code that a program makes as it runs may change at any time. */
static bool is_text(const struct maps_line *l)
{
	return !strcmp(l->perms, "r-xp") && (l->name[0] == '/' || !strcmp(l->name, "[vdso]"));
}

/*
 * Only pages that the target has mapped are read: to read another one into memory may take for ever, if the server of
 * its file does not answer.
 */
static bool search_piece(struct text_search *s, uint64_t start, uint64_t nr)
{
	uint64_t page = base_page_size(), words[PIECE_PAGES] = {};

	if (pread(s->pagemap, words, nr * sizeof(*words), (off_t)(start / page * sizeof(*words))) < 0)
		return false;
	for (uint64_t i = 0, end; i < nr; i = end + 1) {
		for (end = i; end < nr && words[end] & PAGEMAP_PRESENT;)
			end++;
		if (end > i && mem_read(s->mem, start + i * page, s->buf, (end - i) * page) >= 0 &&
		    gadgets_find(s->gadgets, s->buf, (end - i) * page, start + i * page))
			return true;
	}
	return false;
}

static int search_mapping(const struct maps_line *l, void *arg)
{
	struct text_search *s = arg;
	uint64_t page = base_page_size(), step = PIECE_PAGES * page;

	for (uint64_t at = l->range.start; is_text(l) && at < l->range.end; at += step)
		if (search_piece(s, at, MIN(l->range.end - at, step) / page))
			return 1;
	return 0;
}

static int each_mapping(struct uffdctl_target *t, int (*fn)(const struct maps_line *l, void *arg), void *arg)
{
	int fd = openat(t->procfd, "maps", O_RDONLY | O_CLOEXEC);

	return proc_each_mapping(fd < 0 ? -errno : fd, fn, arg);
}

int place_find_gadgets(struct uffdctl_target *t, int mem, struct gadgets *ret)
{
	_cleanup_free_ char *buf = malloc(PIECE_PAGES * base_page_size());
	_cleanup_close_ int pagemap = -1;
	struct text_search s = { .mem = mem, .buf = buf, .gadgets = ret };
	int r = buf ? pagemap_open(t, &pagemap) : -ENOMEM;

	*ret = (struct gadgets){};
	if (r < 0)
		return r;
	s.pagemap = pagemap;
	r = each_mapping(t, search_mapping, &s);
	return r < 0 ? r : gadgets_suffice(ret) ? 0 : -ENOENT;
}

/* What is not there, or can't be read, is other than it was. */
static bool is_there(int mem, uint64_t addr, bool (*is_it)(const void *text))
{
	char text[GADGET_BYTES];

	return !addr || (mem_read(mem, addr, text, sizeof(text)) >= 0 && is_it(text));
}

bool place_has_gadgets(int mem, const struct gadgets *g)
{
	return is_there(mem, g->call, gadget_is_call) && is_there(mem, g->load, gadget_is_load) &&
	       is_there(mem, g->restore, gadget_is_restore);
}

/* ---- stacks ---- */

struct stack_search {
	uint64_t from, sp;
	uint64_t guard_end; /* of the mapping before, if nothing can be done there */
	bool found;
};

static int search_stack(const struct maps_line *l, void *arg)
{
	struct stack_search *s = arg;
	bool guarded = s->guard_end == l->range.start;

	s->guard_end = !strncmp(l->perms, "---", 3) ? l->range.end : 0;
	if (l->range.end < s->sp)
		return 0;
	s->found = l->range.start <= s->from && s->sp <= l->range.end && !strncmp(l->perms, "rw-p", 4) && !l->inode &&
		   (guarded || !strcmp(l->name, "[stack]"));
	return 1;
}

bool place_is_stack(struct uffdctl_target *t, uint64_t from, uint64_t sp)
{
	struct stack_search s = { .from = from, .sp = sp };

	return from < sp && each_mapping(t, search_stack, &s) == 1 && s.found;
}

/* ---- restartable sequences ---- */

/* include/uapi/linux/rseq.h */
struct rseq_area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t rseq_cs;
};

struct rseq_section {
	uint32_t version, flags;
	uint64_t start_ip, post_commit_offset, abort_ip;
};

/* What can't be found out counts as inside. */
bool place_in_rseq(int mem, pid_t tid, uint64_t ip)
{
	struct rseq_section section;
	struct rseq_area area;
	uint64_t addr;
	int r = trace_get_rseq(tid, &addr);

	if (r < 0 || !addr)
		return r < 0;
	if (mem_read(mem, addr, &area, sizeof(area)) < 0)
		return true;
	if (!area.rseq_cs)
		return false;
	return mem_read(mem, area.rseq_cs, &section, sizeof(section)) < 0 ||
	       ip - section.start_ip < section.post_commit_offset;
}
