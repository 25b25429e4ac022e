// SPDX-License-Identifier: LGPL-2.1-or-later
/* The threads that resolve: they take chunks, in two rounds. */
#include <errno.h>
#include <sched.h>
#include <time.h>

#include "lib/drive/chunk.h"
#include "lib/drive/worker.h"

struct workers {
	struct job *job;
	bool second_round;

	pthread_mutex_t lock; /* for all below, and for the sums of the parts */
	pthread_cond_t ended;
	unsigned int nr_running;
	size_t part; /* where the next chunk begins */
	uint64_t at;
	uint64_t done_bytes;
};

/* ---- one thread ---- */

static void skip_parts(struct workers *w)
{
	struct job *job = w->job;

	while (w->part < job->nr_parts) {
		struct part *p = &job->parts[w->part];

		if (p->second_round == w->second_round && !p->gone && w->at < p->seg.range.end)
			return;
		w->part++;
		if (w->part < job->nr_parts)
			w->at = job->parts[w->part].seg.range.start;
	}
}

static bool next_chunk(struct workers *w, struct chunk *c)
{
	uint64_t unit;

	skip_parts(w);
	if (w->part == w->job->nr_parts || job_stopped(w->job))
		return false;
	c->part = &w->job->parts[w->part];
	unit = MAX(w->job->chunk_bytes, chunk_page_size(c));
	c->range.start = w->at;
	c->range.end = MIN(round_down(w->at, unit) + unit, c->part->seg.range.end);
	w->at = c->range.end;
	return true;
}

static void add_tally(struct workers *w, const struct chunk *c)
{
	struct tally *sum = &c->part->tally;

	sum->mapped += c->tally.mapped;
	sum->already += c->tally.already;
	sum->absent += c->tally.absent;
	sum->filled += c->tally.filled;
	sum->elsewhere += c->tally.elsewhere;
	sum->unmapped += c->tally.unmapped;
	sum->poisoned += c->tally.poisoned;
	if (c->tally.err && (!sum->err || c->tally.err_addr < sum->err_addr)) {
		sum->err = c->tally.err;
		sum->err_addr = c->tally.err_addr;
		sum->unreadable = c->tally.unreadable;
	}
	c->part->gone |= c->gone;
	w->done_bytes += range_len(c->range);
}

/* The part of the chunk that is one mapping now, if the action may still be done on it. */
static int recheck_piece(struct chunk *c)
{
	struct segment seg = c->part->seg;
	int r;

	c->vma = *seg.vma;
	r = recheck_mapping(&c->job->recheck, c->job->h, &c->vma, &c->range);
	seg.vma = &c->vma;
	return r == 0 && c->job->op->objection && c->job->op->objection(c->job, &seg) ? -ENOENT : r;
}

static void do_pieces(struct chunk *c)
{
	struct uffdctl_range whole = c->range;
	int r;

	for (c->range.end = whole.start; c->range.end < whole.end && !c->gone;) {
		c->range = (struct uffdctl_range){ c->range.end, whole.end };
		r = recheck_piece(c);
		if (r >= 0)
			r = c->job->op->do_chunk(c);
		if (r < 0)
			chunk_gone(c, r, c->range.start);
	}
	c->range = whole;
}

static void *work(void *arg)
{
	struct workers *w = arg;
	uint8_t states[MAX_CHUNK_BYTES / 4096];
	struct chunk c = { .job = w->job, .states = states };

	pthread_mutex_lock(&w->lock);
	while (next_chunk(w, &c)) {
		pthread_mutex_unlock(&w->lock);
		c.tally = (struct tally){};
		c.gone = false;
		do_pieces(&c);
		pthread_mutex_lock(&w->lock);
		add_tally(w, &c);
	}
	chunk_free(&c);
	w->nr_running--;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- all of them ---- */

static void wait_and_show(struct workers *w)
{
	const struct uffdctl_action_opts *o = w->job->opts;
	struct timespec until;
	uint64_t done;

	pthread_mutex_lock(&w->lock);
	while (w->nr_running) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += 100 * 1000L * 1000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		pthread_cond_clockwait(&w->ended, &w->lock, CLOCK_MONOTONIC, &until);
		if (!o->progress)
			continue;
		done = w->done_bytes;
		/* The callback may write to a slow terminal: no other thread should wait for that. */
		pthread_mutex_unlock(&w->lock);
		if (o->progress(o->data, done, w->job->total_bytes))
			job_stop(w->job, -EINTR);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
}

static unsigned int nr_threads(const struct job *job, bool second_round)
{
	cpu_set_t cpus;
	uint64_t n = job->opts->nr_threads, chunks = job->total_bytes / job->chunk_bytes + 1;

	/* If ranges map the same pages, each begins when the ones before it are finished. */
	if (second_round)
		return 1;
	if (!n)
		n = sched_getaffinity(0, sizeof(cpus), &cpus) < 0 ? 1 : CPU_COUNT(&cpus);
	return MIN(n, chunks);
}

/* If not all threads can be started, go on with those that run, if there is one. */
static int run_round(struct workers *w, bool second_round)
{
	struct job *job = w->job;
	unsigned int want = nr_threads(job, second_round), nr = 0;
	_cleanup_free_ pthread_t *threads = calloc(want, sizeof(*threads));
	int r = 0;

	if (!threads)
		return -ENOMEM;
	w->second_round = second_round;
	w->part = 0;
	w->at = job->nr_parts ? job->parts[0].seg.range.start : 0;
	pthread_mutex_lock(&w->lock);
	for (; nr < want && r == 0; nr += r == 0) {
		r = pthread_create(&threads[nr], NULL, work, w);
		w->nr_running += r == 0;
	}
	pthread_mutex_unlock(&w->lock);
	if (!nr)
		return -r;
	wait_and_show(w);
	for (unsigned int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

int workers_run(struct job *job)
{
	struct workers w = {
		.job = job,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
	};
	bool again = false;
	int r = run_round(&w, false);

	for (size_t i = 0; i < job->nr_parts; i++)
		again |= job->parts[i].second_round;
	return r >= 0 && again && !job->stop ? run_round(&w, true) : r;
}
