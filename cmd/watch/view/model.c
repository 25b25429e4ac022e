// SPDX-License-Identifier: GPL-2.0-or-later
/* The model of the view: groups of faults, mappings with their heat, samples, the last scan. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cmd/watch/clock.h"
#include "cmd/watch/view/model.h"

void model_init(struct model *m, uint64_t now_ns, const char *backend)
{
	m->began_ns = m->now_ns = now_ns;
	snprintf(m->backend, sizeof(m->backend), "%s", backend);
}

/* ---- a fault ---- */

static void note_seen(struct model *m, pid_t pid)
{
	for (size_t i = 0; i < m->nr_seen; i++)
		if (m->seen[i] == pid)
			return;
	if (m->nr_seen == VIEW_MAX_TARGETS)
		memmove(m->seen, m->seen + 1, sizeof(m->seen[0]) * --m->nr_seen);
	m->seen[m->nr_seen++] = pid;
}

static void keep_event(struct model *m, const struct uffdctl_fault *f, uint32_t mapping)
{
	struct event *e = &m->events[m->nr_events++ % VIEW_NR_EVENTS];

	*e = (struct event){ .start_ns = f->start_ns,
			     .wait_ns = f->wait_ns,
			     .addr = f->addr,
			     .pid = f->pid,
			     .tid = f->tid,
			     .resolver = resolver_of(f),
			     .reader = f->reader_tid,
			     .mapping = mapping,
			     .offset = f->offset,
			     .kind = f->kind,
			     .access = f->access,
			     .end = f->end,
			     .op = f->op };
	memcpy(e->comm, f->comm, sizeof(e->comm));
	memcpy(e->resolver_comm, f->resolver_comm, sizeof(e->resolver_comm));
	memcpy(e->reader_comm, f->reader_comm, sizeof(e->reader_comm));
}

static uint64_t team_key(const char *comm)
{
	char name[TEAM_NAME] = "";
	uint64_t key[2];

	team_name(comm, name);
	memcpy(key, name, sizeof(key));
	return key[0] * 31 + key[1];
}

void model_fault(struct model *m, const struct uffdctl_fault *f)
{
	const struct mapping *map = mappings_fault(&m->mappings, &m->groups[BY_MAPPING], f);
	const struct parts parts = parts_of(f);
	uint64_t how = f->op ? (uintptr_t)f->op : (uint64_t)f->end;
	const uint64_t keys[NR_GROUPINGS][2] = {
		[BY_MAPPING] = { map->id },
		[BY_THREAD] = { f->tid },
		[BY_TEAM] = { (uint64_t)f->pid, team_key(f->comm) },
		[BY_PROCESS] = { f->pid },
		[BY_RESOLVER] = { resolver_of(f), how },
		[BY_INSTRUCTION] = { f->ip, f->pid },
	};

	for (int i = 0; i < NR_GROUPINGS; i++)
		groups_add(&m->groups[i], keys[i][0], keys[i][1], f, &parts);
	counts_add(&m->all, f->kind, &parts);
	if (map->pid != (m->nr_seen ? m->seen[m->nr_seen - 1] : 0))
		note_seen(m, map->pid);
	keep_event(m, f, map->id);
}

size_t model_nr_events(const struct model *m)
{
	return m->nr_events < VIEW_NR_EVENTS ? m->nr_events : VIEW_NR_EVENTS;
}

const struct event *model_event(const struct model *m, size_t i)
{
	return &m->events[(m->nr_events - model_nr_events(m) + i) % VIEW_NR_EVENTS];
}

/* ---- samples ---- */

static const struct sample *sample_at(const struct model *m, uint64_t back)
{
	return &m->samples[(m->nr_samples - 1 - back) % VIEW_NR_SAMPLES];
}

void model_tick(struct model *m, uint64_t now_ns, const struct uffdctl_watch_stats *st)
{
	uint64_t since = m->nr_samples ? now_ns - sample_at(m, 0)->ns : 0;
	double s = (double)since / SECOND;
	struct sample *next;

	m->now_ns = now_ns;
	m->stats = *st;
	m->total = totals_sum(st->ended, UFFDCTL_MAX_ENDS) + st->pending;
	/* A tick that comes a little early also counts as a second. */
	if (m->nr_samples && since < SECOND * 95 / 100)
		return;
	next = &m->samples[m->nr_samples++ % VIEW_NR_SAMPLES];
	next->ns = now_ns;
	memcpy(next->faults, st->faults, sizeof(next->faults));
	totals_since(st, &m->sampled, &m->last);
	m->sampled = *st;
	if (!since)
		return;
	for (int i = 0; i < NR_GROUPINGS; i++)
		groups_sample(&m->groups[i], s);
	mappings_cool(&m->mappings);
}

static uint64_t rate_between(const struct sample *from, const struct sample *to, int kind)
{
	uint64_t n = kind < 0 ? totals_grown(totals_sum(to->faults, NR_KINDS), totals_sum(from->faults, NR_KINDS))
			      : totals_grown(to->faults[kind], from->faults[kind]);

	return to->ns > from->ns ? (uint64_t)((double)n * SECOND / (double)(to->ns - from->ns) + 0.5) : 0;
}

uint64_t model_rate(const struct model *m, int kind)
{
	return m->nr_samples < 2 ? UFFDCTL_UNKNOWN : rate_between(sample_at(m, 1), sample_at(m, 0), kind);
}

unsigned int model_interval_s(const struct model *m)
{
	return m->nr_samples < 2 ? 0
				 : (unsigned int)((sample_at(m, 0)->ns - sample_at(m, 1)->ns + SECOND / 2) / SECOND);
}

size_t model_rates(const struct model *m, uint64_t *rates, size_t n)
{
	size_t known = m->nr_samples < VIEW_NR_SAMPLES ? m->nr_samples : VIEW_NR_SAMPLES;

	known = known ? known - 1 : 0;
	n = n < known ? n : known;
	for (size_t i = 0; i < n; i++)
		rates[i] = rate_between(sample_at(m, n - i), sample_at(m, n - i - 1), -1);
	return n;
}

/* ---- all of it ---- */

void model_sum(const struct model *m, struct uffdctl_watch_stats *st)
{
	memset(st->ended, 0, sizeof(st->ended));
	/* How they ended is not counted here. */
	st->ended[UFFDCTL_END_WOKEN] = m->all.faults;
	for (int k = 0; k < NR_KINDS; k++)
		st->faults[k] = m->all.kinds[k];
	for (int i = 0; i < NR_WAITS; i++) {
		const struct waits *w = &m->all.waits[i];
		uint64_t *buckets = (uint64_t *)((char *)st + totals_waits[i].buckets);

		for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++)
			buckets[b] = w->buckets[b];
		*(uint64_t *)((char *)st + totals_waits[i].max) = w->max_ns;
	}
}

void model_reset(struct model *m, time_t now, const struct uffdctl_watch_stats *st)
{
	m->reset_at = now;
	m->at_reset = *st;
	m->all = (struct counts){};
	m->nr_samples = 0;
	m->sampled = m->last = (struct uffdctl_watch_stats){};
	teams_reset(&m->teams);
	failures_reset(&m->failures);
	for (int i = 0; i < NR_GROUPINGS; i++)
		groups_clear(&m->groups[i]);
}

void model_copy(struct model *to, const struct model *from)
{
	memcpy(to, from, offsetof(struct model, groups));
	for (int i = 0; i < NR_GROUPINGS; i++)
		groups_copy(&to->groups[i], &from->groups[i]);
	memcpy(&to->mappings, &from->mappings, sizeof(*to) - offsetof(struct model, mappings));
}

void model_scanned(struct model *m, const struct scan *scan)
{
	m->scan = *scan;
	mappings_scanned(&m->mappings, &m->groups[BY_MAPPING], scan);
}

const struct mapping *model_find(const struct model *m, pid_t pid, uint64_t addr)
{
	return mappings_find(&m->mappings, pid, addr);
}
