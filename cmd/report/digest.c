// SPDX-License-Identifier: GPL-2.0-or-later
/* What a report says of the faults of a recording, collected while they are read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/report/digest.h"

/* As many as the programs of watch count; of others, a number that takes little memory. */
#define MAX_RESOLVERS 256
#define MAX_MAPPINGS (MAX_BY_MAPPING - 1)
#define MAX_THREADS 8192
#define MAX_INSTRUCTIONS 8192

int digest_init(struct digest *d, struct recording *r, size_t top)
{
	*d = (struct digest){ .recording = r, .max_longest = top, .first_ns = UINT64_MAX };
	d->longest = calloc(top, sizeof(*d->longest));
	d->by_mapping = calloc(1, sizeof(*d->by_mapping));
	if (!d->longest || !d->by_mapping || tallies_init(&d->resolvers, MAX_RESOLVERS, true) < 0 ||
	    tallies_init(&d->mappings, MAX_MAPPINGS, true) < 0 || tallies_init(&d->threads, MAX_THREADS, false) < 0 ||
	    tallies_init(&d->instructions, MAX_INSTRUCTIONS, false) < 0)
		return -ENOMEM;
	return 0;
}

static void free_long_wait(struct long_wait *w)
{
	free(w->name);
	free(w->op);
	free(w->symbol);
}

void digest_free(struct digest *d)
{
	for (size_t i = 0; i < d->nr_longest; i++)
		free_long_wait(&d->longest[i]);
	free(d->longest);
	tallies_free(&d->resolvers);
	tallies_free(&d->mappings);
	tallies_free(&d->threads);
	tallies_free(&d->instructions);
	if (d->by_mapping)
		by_mapping_free(d->by_mapping);
	free(d->by_mapping);
}

/* ---- faults ---- */

static void count(struct digest *d, const struct uffdctl_fault *f, const struct wait_parts *parts)
{
	uint64_t at = recording_time(d->recording, f);

	d->faults[BY_KIND(f->kind)]++;
	d->ended[f->end]++;
	d->unknown_waits += f->wait_ns == UFFDCTL_UNKNOWN;
	d->sum_wait_ns += f->wait_ns == UFFDCTL_UNKNOWN ? 0 : f->wait_ns;
	d->first_ns = at < d->first_ns ? at : d->first_ns;
	d->last_ns = at > d->last_ns ? at : d->last_ns;
	waits_add(d->waits, parts);
}

static void add_to_tallies(struct digest *d, const struct uffdctl_fault *f, const char *symbol,
			   const struct wait_parts *parts)
{
	struct tally_key mapping = { .pid = f->target_pid ?: f->pid, .text = f->name };
	struct tally_key thread = { .pid = f->pid, .tid = f->tid, .text = f->comm };
	struct tally_key resolver = { .pid = f->resolver_pid, .tid = f->resolver_tid, .text = f->resolver_comm };
	struct tally_key code = { .number = symbol ? 0 : f->ip, .text = symbol };

	tallies_add(&d->mappings, &mapping, f, parts);
	tallies_add(&d->threads, &thread, f, parts);
	if (f->resolver_pid)
		tallies_add(&d->resolvers, &resolver, f, parts);
	if (symbol || f->ip != UFFDCTL_UNKNOWN)
		tallies_add(&d->instructions, &code, f, parts);
}

static int make_long_wait(const struct uffdctl_fault *f, const char *symbol, struct long_wait *ret)
{
	*ret = (struct long_wait){ .fault = *f };
	if (text_copy(f->name, &ret->name) < 0 || text_copy(f->op, &ret->op) < 0 ||
	    text_copy(symbol, &ret->symbol) < 0) {
		free_long_wait(ret);
		return -ENOMEM;
	}
	ret->fault.name = ret->name;
	ret->fault.op = ret->op;
	return 0;
}

/* Keep it if it is among the longest. */
static void look_at_wait(struct digest *d, const struct uffdctl_fault *f, const char *symbol)
{
	struct long_wait w;
	size_t at = d->nr_longest < d->max_longest ? d->nr_longest : d->max_longest - 1;

	if (f->wait_ns == UFFDCTL_UNKNOWN ||
	    (d->nr_longest == d->max_longest && d->longest[at].fault.wait_ns >= f->wait_ns))
		return;
	if (make_long_wait(f, symbol, &w) < 0) {
		d->out_of_memory = true;
		return;
	}
	if (d->nr_longest < d->max_longest)
		d->nr_longest++;
	else
		free_long_wait(&d->longest[at]);
	for (; at && d->longest[at - 1].fault.wait_ns < f->wait_ns; at--)
		d->longest[at] = d->longest[at - 1];
	d->longest[at] = w;
}

void digest_add(void *data, const struct uffdctl_fault *f, const char *symbol)
{
	struct digest *d = data;
	struct wait_parts parts = wait_parts_of(f);

	count(d, f, &parts);
	add_to_tallies(d, f, symbol, &parts);
	look_at_wait(d, f, symbol);
}

/* ---- the totals of a complete recording ---- */

static const struct uffdctl_team_totals *record_team(void *data, size_t *at)
{
	return uffdctl_record_team(((struct digest *)data)->recording->last, at);
}

static const struct uffdctl_thread_totals *record_thread(void *data, size_t *at)
{
	return uffdctl_record_thread(((struct digest *)data)->recording->last, at);
}

static const struct uffdctl_failure_totals *record_failure(void *data, size_t *at)
{
	return uffdctl_record_failure(((struct digest *)data)->recording->last, at);
}

static const struct uffdctl_resolver_totals *record_resolver(void *data, size_t *at)
{
	return uffdctl_record_resolver(((struct digest *)data)->recording->last, at);
}

/* ---- totals from the faults ---- */

/* The next group with faults. */
static const struct tally *next_tally(const struct tallies *g, size_t *at)
{
	for (; *at <= g->nr; ++*at)
		if (g->list[*at].faults)
			return &g->list[(*at)++];
	return NULL;
}

static const struct uffdctl_thread_totals *digest_thread(void *data, size_t *at)
{
	struct digest *d = data;
	const struct tally *g = next_tally(&d->threads, at);

	if (!g)
		return NULL;
	d->thread = (struct uffdctl_thread_totals){
		.pid = g->key.pid, .tid = g->key.tid, .faults = g->faults, .wait_ns = g->wait_ns
	};
	strncpy(d->thread.comm, g->key.text ?: "", sizeof(d->thread.comm) - 1);
	return &d->thread;
}

static const struct uffdctl_resolver_totals *digest_resolver(void *data, size_t *at)
{
	struct digest *d = data;
	const struct tally *g = next_tally(&d->resolvers, at);
	struct uffdctl_resolver_totals *r = &d->resolver;

	if (!g)
		return NULL;
	*r = (struct uffdctl_resolver_totals){ .pid = g->key.pid, .tid = g->key.tid, .faults = g->faults };
	strncpy(r->comm, g->key.text ?: "", sizeof(r->comm) - 1);
	/* Of those that found no room, waits are not counted. */
	if (!g->waits)
		return r;
	r->max_wait_ns = g->waits[0].max_ns;
	r->max_queued_ns = g->waits[1].max_ns;
	r->max_handled_ns = g->waits[2].max_ns;
	memcpy(r->waits, g->waits[0].buckets, sizeof(r->waits));
	memcpy(r->queued, g->waits[1].buckets, sizeof(r->queued));
	memcpy(r->handled, g->waits[2].buckets, sizeof(r->handled));
	return r;
}

/* What single faults do not say is not known. */
static void put_stats(struct digest *d)
{
	struct uffdctl_watch_stats *st = &d->stats;

	*st = (struct uffdctl_watch_stats){
		.size = sizeof(*st),
		.unknown_waits = d->unknown_waits,
		.sum_wait_ns = d->sum_wait_ns,
		.max_wait_ns = d->waits[0].max_ns,
		.max_queued_ns = d->waits[1].max_ns,
		.max_handled_ns = d->waits[2].max_ns,
	};
	/* A message may have been read by somebody who was not seen. */
	st->delivered = st->blocked = UFFDCTL_UNKNOWN;
	st->pending = st->before = st->before_left = UFFDCTL_UNKNOWN;
	st->lost_events = st->missed = st->skipped = st->failed_ioctls = UFFDCTL_UNKNOWN;
	memcpy(st->faults, d->faults, sizeof(st->faults));
	memcpy(st->ended, d->ended, sizeof(st->ended));
	memcpy(st->buckets, d->waits[0].buckets, sizeof(st->buckets));
	memcpy(st->queued, d->waits[1].buckets, sizeof(st->queued));
	memcpy(st->handled, d->waits[2].buckets, sizeof(st->handled));
}

/* Of the recording, or of the time that was given. A recording without totals lasts until its last fault. */
static uint64_t duration_of(const struct digest *d)
{
	const struct filter *f = d->recording->filter;
	uint64_t end = d->recording->has_stats ? d->recording->passed_ns : d->recording->last_ns;

	if (!f->has_time)
		return end;
	end = f->to_ns < end ? f->to_ns : end;
	return end > f->from_ns ? end - f->from_ns : 0;
}

/* ---- what a summary wants ---- */

static int fill_by_mapping(struct digest *d)
{
	for (uint32_t i = 0; i <= d->mappings.nr; i++) {
		const struct tally *g = &d->mappings.list[i];
		struct mapping_totals *t = &d->by_mapping->list[i];

		*t = (struct mapping_totals){ .pid = g->key.pid, .faults = g->faults, .wait_ns = g->wait_ns };
		if (text_copy(g->key.text, &t->name) < 0)
			return -ENOMEM;
		d->by_mapping->nr = i;
	}
	return 0;
}

int digest_finish(struct digest *d)
{
	bool whole = recording_is_whole(d->recording);

	d->parts = whole ? (struct parts_source){ record_team, record_thread, record_resolver, record_failure, d }
			 : (struct parts_source){ NULL, digest_thread, digest_resolver, NULL, d };
	d->session = (struct watch_session){ .u = d->recording->u,
					     .messages = d->recording->messages,
					     .backend = d->recording->info.backend,
					     .by_mapping = d->by_mapping,
					     .parts = &d->parts };
	d->duration_ns = duration_of(d);
	if (whole)
		d->stats = d->recording->stats;
	else
		put_stats(d);
	return d->out_of_memory ? -ENOMEM : fill_by_mapping(d);
}
