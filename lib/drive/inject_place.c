// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where in a target system calls can be run: the instructions, and a stack with room for the way back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/drive/inject_place.h"
#include "lib/kernel/mem.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/ptrace.h"
#include "lib/util.h"

/* ---- instructions ---- */

#define PIECE_BYTES (256u << 10)

struct text_search {
	int mem;
	char *buf;
	struct gadgets *gadgets;
};

/* Code that a program makes as it runs may change at any time. */
static bool is_text(const struct maps_line *l)
{
	return !strcmp(l->perms, "r-xp") && (l->name[0] == '/' || !strcmp(l->name, "[vdso]"));
}

static int search_mapping(const struct maps_line *l, void *arg)
{
	struct text_search *s = arg;
	uint64_t len;

	if (!is_text(l))
		return 0;
	/* Pieces overlap, so that none is missed between two. */
	for (uint64_t at = l->range.start; at < l->range.end; at += PIECE_BYTES) {
		len = MIN(l->range.end - at, (uint64_t)PIECE_BYTES + GADGET_BYTES);
		if (mem_read(s->mem, at, s->buf, len) < 0)
			return 0;
		if (gadgets_find(s->gadgets, s->buf, len, at))
			return 1;
	}
	return 0;
}

static int each_mapping(struct uffdctl_target *t, int (*fn)(const struct maps_line *l, void *arg), void *arg)
{
	int fd = openat(t->procfd, "maps", O_RDONLY | O_CLOEXEC);

	return proc_each_mapping(fd < 0 ? -errno : fd, fn, arg);
}

int place_find_gadgets(struct uffdctl_target *t, int mem, struct gadgets *ret)
{
	_cleanup_free_ char *buf = malloc(PIECE_BYTES + GADGET_BYTES);
	struct text_search s = { .mem = mem, .buf = buf, .gadgets = ret };
	int r;

	*ret = (struct gadgets){};
	if (!buf)
		return -ENOMEM;
	r = each_mapping(t, search_mapping, &s);
	return r < 0 ? r : r ? 0 : -ENOENT;
}

bool place_has_gadgets(int mem, const struct gadgets *g)
{
	char call[GADGET_BYTES] = "", load[GADGET_BYTES] = "";

	return mem_read(mem, g->call, call, sizeof(call) - 1) >= 0 &&
	       mem_read(mem, g->load, load, sizeof(load) - 1) >= 0 && gadgets_check(call, load);
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

	/* EIO: before Linux 5.13 the kernel does not say. */
	if (r < 0 || !addr)
		return r < 0;
	if (mem_read(mem, addr, &area, sizeof(area)) < 0)
		return true;
	if (!area.rseq_cs)
		return false;
	return mem_read(mem, area.rseq_cs, &section, sizeof(section)) < 0 ||
	       ip - section.start_ip < section.post_commit_offset;
}
