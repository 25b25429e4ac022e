// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals by resolver, by team of threads, by thread and by mapping, as text and as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/json.h"
#include "cmd/watch/parts.h"
#include "cmd/watch/totals.h"
#include "lib/cleanup.h"

/* How many of each are shown as text: those that waited longest. */
#define MAX_ROWS 8

/* ---- where they come from ---- */

static const struct uffdctl_team_totals *next_team(const struct watch_session *s, size_t *at)
{
	if (!s->parts)
		return uffdctl_watch_team(s->watch, at);
	return s->parts->team ? s->parts->team(s->parts->data, at) : NULL;
}

static const struct uffdctl_thread_totals *next_thread(const struct watch_session *s, size_t *at)
{
	if (!s->parts)
		return uffdctl_watch_thread(s->watch, at);
	return s->parts->thread ? s->parts->thread(s->parts->data, at) : NULL;
}

static const struct uffdctl_resolver_totals *next_resolver(const struct watch_session *s, size_t *at)
{
	if (!s->parts)
		return uffdctl_watch_resolver(s->watch, at);
	return s->parts->resolver ? s->parts->resolver(s->parts->data, at) : NULL;
}

static const struct uffdctl_failure_totals *next_failure(const struct watch_session *s, size_t *at)
{
	if (!s->parts)
		return uffdctl_watch_failure(s->watch, at);
	return s->parts->failure ? s->parts->failure(s->parts->data, at) : NULL;
}

static uint64_t average(uint64_t sum, uint64_t nr)
{
	return nr ? sum / nr : UFFDCTL_UNKNOWN;
}

/* ---- text ---- */

struct rows {
	/* Those with the largest keys, in order. */
	struct row {
		uint64_t key;
		char text[160];
	} rows[MAX_ROWS];
	size_t nr, nr_all;
};

/* The place for a row with this key; NULL: it is not among the largest. */
static char *place(struct rows *r, uint64_t key)
{
	size_t at = r->nr < MAX_ROWS ? r->nr : MAX_ROWS - 1;

	r->nr_all++;
	if (r->nr == MAX_ROWS && r->rows[at].key >= key)
		return NULL;
	for (; at && r->rows[at - 1].key < key; at--)
		r->rows[at] = r->rows[at - 1];
	r->nr += r->nr < MAX_ROWS;
	r->rows[at].key = key;
	return r->rows[at].text;
}

static void put_rows(const struct rows *r, const char *heading)
{
	if (!r->nr)
		return;
	puts(heading);
	for (size_t i = 0; i < r->nr; i++)
		puts(r->rows[i].text);
	if (r->nr_all > r->nr)
		printf("%zu more: see --json\n", r->nr_all - r->nr);
}

/* @known: 0: of those that found no room */
static const char *name_of(int known, const char *raw, char **ret)
{
	return !known ? "(others)" : uffdctl_escape(raw, ret) < 0 ? "?" : *ret;
}

static void add_team(struct rows *r, const struct uffdctl_team_totals *t)
{
	char wait[DURATION_SIZE], each[DURATION_SIZE], all[DURATION_SIZE];
	_cleanup_free_ char *escaped = NULL;
	char *text = place(r, t->wait_ns);

	if (text)
		snprintf(text, sizeof(r->rows[0].text), "%8d %-15.60s %7" PRIu64 " %10" PRIu64 " %9s %9s %9s", t->pid,
			 name_of(t->pid, t->name, &escaped), t->threads, t->faults, duration_text(wait, t->wait_ns, 0),
			 duration_text(each, average(t->wait_ns, t->faults), 0),
			 duration_text(all, t->pid ? t->all_wait_ns : UFFDCTL_UNKNOWN, 0));
}

/* "12.3us / 1.2ms": median and 99 % */
static const char *two(char *buf, size_t size, const uint64_t *buckets, uint64_t max_ns)
{
	char median[DURATION_SIZE], most[DURATION_SIZE];

	snprintf(buf, size, "%s / %s", duration_text(median, uffdctl_percentile_ns(buckets, max_ns, 50), 0),
		 duration_text(most, uffdctl_percentile_ns(buckets, max_ns, 99), 0));
	return buf;
}

static void add_resolver(struct rows *r, const struct uffdctl_resolver_totals *t)
{
	char queued[2 * DURATION_SIZE + 4], handled[2 * DURATION_SIZE + 4];
	_cleanup_free_ char *escaped = NULL;
	char *text = place(r, t->faults);

	if (text)
		snprintf(text, sizeof(r->rows[0].text), "%8d %8d %-15.60s %10" PRIu64 " %10" PRIu64 " %17s %17s",
			 t->pid, t->tid, name_of(t->pid, t->comm, &escaped), t->faults,
			 totals_sum(t->queued, UFFDCTL_NR_BUCKETS),
			 two(queued, sizeof(queued), t->queued, t->max_queued_ns),
			 two(handled, sizeof(handled), t->handled, t->max_handled_ns));
}

static void add_mapping(struct rows *r, const struct mapping_totals *p)
{
	char wait[DURATION_SIZE], each[DURATION_SIZE];
	_cleanup_free_ char *escaped = NULL;
	char *text = p->faults ? place(r, p->wait_ns) : NULL;

	if (text)
		snprintf(text, sizeof(r->rows[0].text), "%8d %-23.60s %10" PRIu64 " %9s %9s", p->pid,
			 name_of(p->pid, p->name && *p->name ? p->name : "-", &escaped), p->faults,
			 duration_text(wait, p->wait_ns, 0), duration_text(each, average(p->wait_ns, p->faults), 0));
}

const char *error_name(int error, char buf[16])
{
	const char *name = strerrorname_np(error);

	if (!name)
		snprintf(buf, 16, "%d", error);
	return name ?: buf;
}

static void add_failure(struct rows *r, const struct uffdctl_failure_totals *t)
{
	_cleanup_free_ char *escaped = NULL;
	char *text = place(r, t->count), number[16];

	if (text)
		snprintf(text, sizeof(r->rows[0].text), "%8d %8d %-15.60s %-12s %-15s %10" PRIu64, t->pid, t->tid,
			 name_of(t->error, t->comm, &escaped), t->error ? uffdctl_ioctl_name(t->op) ?: "?" : "-",
			 t->error ? error_name(t->error, number) : "-", t->count);
}

void failures_text(const struct watch_session *s)
{
	const struct uffdctl_failure_totals *f;
	struct rows failures = {};

	for (size_t at = 0; (f = next_failure(s, &at));)
		add_failure(&failures, f);
	put_rows(&failures, "     PID      TID WHO FAILED      IOCTL        ERROR                COUNT");
}

void teams_text(const struct watch_session *s)
{
	const struct uffdctl_team_totals *t;
	struct rows teams = {};

	for (size_t at = 0; (t = next_team(s, &at));)
		add_team(&teams, t);
	put_rows(&teams, "     PID WHO WAITED      THREADS     FAULTS     TOTAL   AVERAGE  ALL WAIT");
}

void parts_text(const struct watch_session *s)
{
	const struct by_mapping *by_mapping = s->by_mapping;
	struct rows mappings = {}, resolvers = {};
	const struct uffdctl_resolver_totals *r;

	teams_text(s);
	for (size_t at = 0; (r = next_resolver(s, &at));)
		add_resolver(&resolvers, r);
	for (size_t i = 0; by_mapping && i <= by_mapping->nr; i++)
		add_mapping(&mappings, &by_mapping->list[i]);
	put_rows(&mappings, "     PID MAPPING                     FAULTS     TOTAL   AVERAGE");
	put_rows(&resolvers,
		 "     PID      TID WHO RESOLVED        FAULTS       READ  QUEUED p50 / p99 HANDLED p50 / p99");
	failures_text(s);
}

/* ---- JSON ---- */

void percentiles_json(json_object *o, const char *key, const uint64_t *buckets, uint64_t max_ns)
{
	for (int i = 0; i < NR_PERCENTS; i++)
		json_number(json_member(o, key), totals_percents[i].name,
			    uffdctl_percentile_ns(buckets, max_ns, totals_percents[i].percent));
}

static json_object *thread_object(pid_t pid, pid_t tid, const char *comm, uint64_t faults)
{
	json_object *o = json_object_new_object();

	json_pid(o, "pid", pid);
	json_pid(o, "tid", tid);
	json_text(o, "comm", pid ? comm : NULL);
	json_number(o, "faults", faults);
	return o;
}

static json_object *resolver_json(const struct uffdctl_resolver_totals *t)
{
	json_object *o = thread_object(t->pid, t->tid, t->comm, t->faults);

	json_number(o, "delivered", totals_sum(t->queued, UFFDCTL_NR_BUCKETS));
	percentiles_json(o, "wait_ns", t->waits, t->max_wait_ns);
	percentiles_json(o, "queue_ns", t->queued, t->max_queued_ns);
	percentiles_json(o, "handle_ns", t->handled, t->max_handled_ns);
	return o;
}

static void add_waits(json_object *o, uint64_t wait_ns, uint64_t faults)
{
	json_number(o, "total_wait_ns", wait_ns);
	json_number(o, "average_wait_ns", average(wait_ns, faults));
}

static json_object *team_json(const struct uffdctl_team_totals *t)
{
	json_object *o = json_object_new_object();

	json_pid(o, "pid", t->pid);
	json_text(o, "name", t->pid ? t->name : NULL);
	json_number(o, "threads", t->threads);
	json_number(o, "faults", t->faults);
	add_waits(o, t->wait_ns, t->faults);
	json_number(o, "all_wait_ns", t->pid ? t->all_wait_ns : UFFDCTL_UNKNOWN);
	return o;
}

static json_object *thread_json(const struct uffdctl_thread_totals *t)
{
	json_object *o = thread_object(t->pid, t->tid, t->comm, t->faults);

	add_waits(o, t->wait_ns, t->faults);
	return o;
}

static json_object *mapping_json(const struct mapping_totals *p)
{
	json_object *o = json_object_new_object();

	json_pid(o, "pid", p->pid);
	json_text(o, "name", p->name);
	json_number(o, "faults", p->faults);
	add_waits(o, p->wait_ns, p->faults);
	return o;
}

static json_object *mappings_json(const struct by_mapping *by_mapping)
{
	json_object *array = by_mapping ? json_object_new_array() : NULL;

	for (size_t i = 0; by_mapping && i <= by_mapping->nr; i++)
		if (by_mapping->list[i].faults)
			json_object_array_add(array, mapping_json(&by_mapping->list[i]));
	return array;
}

void resolvers_json(const struct watch_session *s, json_object *o)
{
	json_object *resolvers = json_object_new_array();
	const struct uffdctl_resolver_totals *r;

	for (size_t at = 0; (r = next_resolver(s, &at));)
		json_object_array_add(resolvers, resolver_json(r));
	json_object_object_add(o, "resolvers", resolvers);
}

static json_object *failure_json(const struct uffdctl_failure_totals *t)
{
	json_object *o = json_object_new_object();
	char number[16];

	json_pid(o, "pid", t->pid);
	json_pid(o, "tid", t->tid);
	json_text(o, "comm", t->error ? t->comm : NULL);
	json_text(o, "op", t->error ? uffdctl_ioctl_name(t->op) : NULL);
	json_text(o, "errno", t->error ? error_name(t->error, number) : NULL);
	json_number(o, "count", t->count);
	return o;
}

/* null: they are not known. */
static json_object *failures_json(const struct watch_session *s, const struct uffdctl_watch_stats *st)
{
	json_object *array = st->failed_ioctls == UFFDCTL_UNKNOWN ? NULL : json_object_new_array();
	const struct uffdctl_failure_totals *f;

	for (size_t at = 0; array && (f = next_failure(s, &at));)
		json_object_array_add(array, failure_json(f));
	return array;
}

void parts_json(const struct watch_session *s, const struct uffdctl_watch_stats *st, json_object *o)
{
	json_object *teams = s->parts && !s->parts->team ? NULL : json_object_new_array();
	json_object *threads = json_object_new_array();
	const struct uffdctl_thread_totals *thread;
	const struct uffdctl_team_totals *t;

	resolvers_json(s, o);
	for (size_t at = 0; (t = next_team(s, &at));)
		json_object_array_add(teams, team_json(t));
	for (size_t at = 0; (thread = next_thread(s, &at));)
		json_object_array_add(threads, thread_json(thread));
	json_object_object_add(o, "teams", teams);
	json_object_object_add(o, "threads", threads);
	json_object_object_add(o, "mappings", mappings_json(s->by_mapping));
	json_object_object_add(o, "failures", failures_json(s, st));
}
