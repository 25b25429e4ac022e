// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: a memory, and its parts. */
#include <errno.h>
#include <string.h>

#include "lib/drive/ops.h"
#include "lib/drive/serve_memory.h"
#include "lib/drive/serve_store.h"
#include "lib/kernel/uffd.h"

/* ---- making one ---- */

static void make_jobs(struct serve_memory *m, struct uffdctl_handle *h)
{
	struct uffdctl_serve *s = m->s;
	const struct {
		const struct resolve_op *op;
		const struct uffdctl_action_opts *opts;
	} kinds[SERVE_NR_OPS] = {
		[SERVE_CONTINUE] = { &op_continue, &s->plain },
		[SERVE_CONTINUE_QUIETLY] = { &op_continue, &s->quiet },
		[SERVE_FILL] = { &op_continue, &s->fill },
		[SERVE_COPY] = { &op_copy, &s->fill },
		[SERVE_ZEROPAGE] = { &op_zeropage, &s->plain },
		[SERVE_UNPROTECT_WP] = { &op_writeprotect, &s->off },
		[SERVE_UNPROTECT_RWP] = { &op_rwprotect, &s->off },
	};

	for (size_t i = 0; i < SERVE_NR_OPS; i++)
		m->jobs[i] = (struct job){
			.h = h,
			.opts = kinds[i].opts,
			.op = kinds[i].op,
			.contents = { .fd = -1 },
			.pagemap = m->is_child ? -1 : s->pagemap,
			.recheck = { .lock = PTHREAD_MUTEX_INITIALIZER },
		};
}

/* Waiting readers must not hold up the one that has an event to take in. */
static int init_gate(pthread_rwlock_t *gate)
{
	pthread_rwlockattr_t attr;
	int r = pthread_rwlockattr_init(&attr);

	if (r == 0)
		r = pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	if (r == 0)
		r = pthread_rwlock_init(gate, &attr);
	return -r;
}

int memory_new(struct uffdctl_serve *s, int uffd, struct serve_memory **ret)
{
	struct serve_memory *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->s = s;
	m->is_child = uffd >= 0;
	m->h = *s->h;
	m->h.uffd = m->is_child ? uffd : s->h->uffd;
	pthread_mutex_init(&m->lead, NULL);
	pthread_mutex_init(&m->lock, NULL);
	r = init_gate(&m->gate);
	make_jobs(m, m->is_child ? &m->h : s->h);
	if (r >= 0)
		r = uffd_messages_init(m->h.uffd, &m->messages);
	*ret = m;
	return r;
}

void memory_free(struct serve_memory *m)
{
	while (m->all) {
		struct serve_part *p = m->all;

		m->all = p->next;
		free(p);
	}
	if (m->is_child)
		cleanup_close(&m->h.uffd);
	pthread_rwlock_destroy(&m->gate);
	pthread_mutex_destroy(&m->lead);
	pthread_mutex_destroy(&m->lock);
	free(m->parts);
	free(m->first_parts);
	free(m->deferred);
	free(m->held);
	free(m->workers);
	free(m);
}

/* ---- its parts ---- */

struct serve_part *memory_add(struct serve_memory *m, struct part *part)
{
	struct serve_part *p = calloc(1, sizeof(*p)), **parts = NULL;

	if (p)
		parts = realloc(m->parts, (m->nr + 1) * sizeof(void *));
	if (!parts) {
		free(p);
		return NULL;
	}
	p->next = m->all;
	m->all = p;
	m->parts = parts;
	m->parts[m->nr++] = p;
	p->part = part ?: &p->own;
	if (part) {
		p->vma = *part->seg.vma;
		part->seg.vma = &p->vma;
	}
	return p;
}

void part_set(struct serve_part *p, const struct serve_part *like, struct uffdctl_range range)
{
	p->vma = like->vma;
	p->store = like->store;
	p->image = like->image;
	*p->part = (struct part){
		.seg = { .range = range, .vma = &p->vma, .owner = like->part->seg.owner },
		.from = like->part->from + (range.start - like->part->seg.range.start),
	};
}

static int by_address(const void *a, const void *b)
{
	const struct serve_part *const *x = a, *const *y = b;

	return (*x)->part->seg.range.start < (*y)->part->seg.range.start
		       ? -1
		       : (*x)->part->seg.range.start > (*y)->part->seg.range.start;
}

void memory_sort(struct serve_memory *m)
{
	if (m->nr)
		qsort(m->parts, m->nr, sizeof(void *), by_address);
}

static bool part_is_filled(const struct serve_part *p)
{
	struct uffdctl_range left = p->part->seg.range, run;

	/* Zeros are what it has anyway. */
	if (!p->store || p->image->contents.zero)
		return true;
	for (; left.start < left.end; left.start = run.end) {
		enum serve_state state;

		run = left;
		state = part_run(p, &run);
		if (state != SERVE_DONE && state != SERVE_REMOVED)
			return false;
	}
	return true;
}

bool memory_is_filled(struct serve_memory *m)
{
	bool filled = true;

	serve_enter(m);
	for (size_t i = 0; i < m->nr && filled; i++)
		filled = part_is_filled(m->parts[i]);
	serve_leave(m);
	return filled;
}

void memory_wake_all(struct serve_memory *m)
{
	uint64_t page = base_page_size();

	for (size_t i = 0; i < m->nr; i++)
		uffd_wake(m->h.uffd, m->parts[i]->part->seg.range);
	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < m->nr_held; i++)
		uffd_wake(m->h.uffd, (struct uffdctl_range){ m->held[i].addr, m->held[i].addr + page });
	for (size_t i = 0; i < m->nr_deferred; i++)
		uffd_wake(m->h.uffd, (struct uffdctl_range){ m->deferred[i].addr, m->deferred[i].addr + page });
	pthread_mutex_unlock(&m->lock);
}
