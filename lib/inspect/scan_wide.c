// SPDX-License-Identifier: LGPL-2.1-or-later
/* The entries of a page table, found by several threads. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/inspect/scan_wide.h"
#include "lib/util.h"
#include "lib/vma.h"

/* A shorter range is scanned in the time that it takes to start a thread. */
#define MIN_BYTES (UINT64_C(1) << 30)
#define MAX_THREADS 4u
#define NR_CHUNKS 64

struct chunk {
	struct uffdctl_range range;
	uint64_t end; /* its entries are found up to here; 0: nobody has begun */
	struct entry_run *runs;
	size_t nr;
	int err;
};

struct wide {
	const struct pagescan *like;
	const struct uffdctl_vma *vma;
	struct chunk chunks[NR_CHUNKS];
	atomic_size_t next, nr_runs;
};

static int scan_chunk(struct chunk *c, struct pagescan *s, const struct uffdctl_vma *v)
{
	int r = pagescan_next(s, v, c->range);

	if (r < 0)
		return r;
	c->end = s->end;
	c->nr = s->nr;
	if (!s->nr)
		return 0;
	c->runs = malloc(s->nr * sizeof(*c->runs));
	if (!c->runs)
		return -ENOMEM;
	memcpy(c->runs, s->runs, s->nr * sizeof(*c->runs));
	return 0;
}

static void *work(void *arg)
{
	struct wide *w = arg;
	struct pagescan *s = malloc(sizeof(*s));
	size_t i;

	if (!s)
		return NULL;
	pagescan_init(s, w->like->pagemap);
	s->no_ioctl = w->like->no_ioctl;
	/* Chunks are begun in order: those that nobody begins are the last ones. */
	while (atomic_load(&w->nr_runs) < MAX_ENTRY_RUNS && (i = atomic_fetch_add(&w->next, 1)) < NR_CHUNKS) {
		w->chunks[i].err = scan_chunk(&w->chunks[i], s, w->vma);
		atomic_fetch_add(&w->nr_runs, w->chunks[i].err < 0 ? MAX_ENTRY_RUNS : w->chunks[i].nr);
	}
	free(s);
	return NULL;
}

/* Signals are for the caller's threads. */
static void share_out(struct wide *w, unsigned int nr_threads)
{
	pthread_t threads[MAX_THREADS];
	unsigned int nr = 0;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (nr + 1 < nr_threads && pthread_create(&threads[nr], NULL, work, w) == 0)
		nr++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	work(w);
	while (nr)
		pthread_join(threads[--nr], NULL);
}

/* Until one is not there, or does not find room. */
static int put_together(struct wide *w, struct pagescan *s)
{
	for (size_t i = 0; i < NR_CHUNKS; i++) {
		const struct chunk *c = &w->chunks[i];

		if (c->err < 0 || !c->end)
			return c->err;
		for (size_t k = 0; k < c->nr; k++)
			if (!pagescan_add(s, &c->runs[k])) {
				s->end = c->runs[k].range.start;
				return 0;
			}
		s->end = c->end;
		if (c->end < c->range.end)
			break;
	}
	return 0;
}

static int scan_chunks(struct pagescan *s, const struct uffdctl_vma *v, struct uffdctl_range range,
		       unsigned int nr_threads)
{
	struct wide w = { .like = s, .vma = v };
	uint64_t step = round_up(range_len(range) / NR_CHUNKS + 1, MAX(v->page_size, MIN_BYTES / NR_CHUNKS)),
		 at = range.start;
	int r;

	for (size_t i = 0; i < NR_CHUNKS; i++) {
		uint64_t end = range.end - at > step ? at + step : range.end;

		w.chunks[i].range = (struct uffdctl_range){ at, end };
		at = end;
	}
	share_out(&w, nr_threads);
	s->nr = 0;
	s->end = range.start;
	r = put_together(&w, s);
	for (size_t i = 0; i < NR_CHUNKS; i++)
		free(w.chunks[i].runs);
	return r;
}

int scan_wide(struct pagescan *s, const struct uffdctl_vma *v, struct uffdctl_range range)
{
	unsigned int nr_threads = 1;
	cpu_set_t cpus;
	int r;

	if (range_len(range) >= MIN_BYTES && !s->is_crowded && sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		nr_threads = MIN((unsigned int)CPU_COUNT(&cpus), MAX_THREADS);
	if (nr_threads == 1)
		return pagescan_next(s, v, range);
	r = scan_chunks(s, v, range, nr_threads);
	/* What was found in vain is found again. */
	s->is_crowded |= s->end < range.end;
	return r < 0 || s->end > range.start ? r : pagescan_next(s, v, range);
}
