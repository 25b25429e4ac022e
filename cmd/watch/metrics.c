// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals in the text format of Prometheus. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/metrics_file.h"
#include "cmd/watch/metrics.h"
#include "cmd/watch/parts.h"
#include "cmd/watch/totals.h"
#include "lib/cleanup.h"

/* Prometheus keeps each value of a label for good: so many processes or mappings have their own, the others share one. */
#define MAX_NAMES 32
#define OTHER "other"
/* There are eleven ioctls, each with less than ten errors. */
#define MAX_FAILURES 128

/* Of the histograms: powers of two, from this number of ns to that. */
#define FIRST_BOUND (UINT64_C(1) << 10)
#define LAST_BOUND (UINT64_C(1) << 34)

/* ---- names of processes ---- */

/* A holder's name is known while it lives. */
static void learn_names(struct metrics *m)
{
	struct uffdctl_find_opts opts = { .size = sizeof(opts) };
	struct uffdctl_list *list;

	if (uffdctl_list(m->session->u, &opts, &list) < 0)
		return;
	for (size_t i = 0; i < uffdctl_list_count(list); i++) {
		const struct uffdctl_uffd *d = uffdctl_list_get(list, i);
		size_t k = 0;

		while (k < m->nr_names && m->names[k].pid != d->pid)
			k++;
		if (k == m->nr_names) {
			struct process_name *names = reallocarray(m->names, k + 1, sizeof(*names));

			if (!names)
				break;
			m->names = names;
			names[m->nr_names++].pid = d->pid;
		}
		memcpy(m->names[k].name, d->comm, sizeof(d->comm));
	}
	uffdctl_list_free(list);
}

static const char *name_of(const struct metrics *m, pid_t pid)
{
	for (size_t i = 0; pid && i < m->nr_names; i++)
		if (m->names[i].pid == pid)
			return m->names[i].name;
	return OTHER;
}

/* Totals of processes, and mappings, with the same names: those that were met first. */
struct by_name {
	struct labels {
		const char *process, *mapping; /* NULL: totals are not by mapping */
		uint64_t faults, wait_ns;
	} rows[MAX_NAMES + 1]; /* the last one is of the others */
	size_t nr;
};

static void add_totals(struct by_name *b, const struct labels *more)
{
	size_t i = 0;

	while (i < b->nr && (strcmp(b->rows[i].process, more->process) ||
			     (more->mapping && strcmp(b->rows[i].mapping, more->mapping))))
		i++;
	if (!strcmp(more->process, OTHER) || i == MAX_NAMES)
		i = MAX_NAMES;
	else if (i == b->nr)
		b->rows[b->nr++] = (struct labels){ more->process, more->mapping, 0, 0 };
	b->rows[i].faults += more->faults;
	b->rows[i].wait_ns += more->wait_ns;
}

/* ---- writing ---- */

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void put_faults(FILE *f, const struct uffdctl_watch_stats *st)
{
	metrics_family(f, "uffd_faults_total", "counter", "Faults that have ended, by kind and by how they ended.");
	for (int i = 0; i < NR_KINDS; i++)
		for (enum uffdctl_end end = 0; uffdctl_end_name(end); end++)
			fprintf(f, "uffd_faults_total{kind=\"%s\",end=\"%s\"} %" PRIu64 "\n",
				uffdctl_kind_name(totals_kind(i)), uffdctl_end_name(end),
				st->ended_by_kind[BY_KIND(totals_kind(i))][end]);
}

static void put_histogram(FILE *f, const char *name, const char *help, const uint64_t *buckets, uint64_t sum_ns)
{
	uint64_t bound = FIRST_BOUND, count = 0;

	metrics_family(f, name, "histogram", help);
	for (unsigned int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		uint64_t most = uffdctl_bucket_bound_ns(i);

		for (; most > bound && bound <= LAST_BOUND; bound *= 2)
			fprintf(f, "%s_bucket{le=\"%.10g\"} %" PRIu64 "\n", name, seconds(bound), count);
		count += buckets[i];
	}
	fprintf(f, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.9f\n%s_count %" PRIu64 "\n", name, count, name,
		seconds(sum_ns), name, count);
}

/* The totals have no sums: each wait counts as long as its bucket allows, which is 6 % too much at most. */
static uint64_t sum_of(const uint64_t *buckets, uint64_t max_ns)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		uint64_t bound = uffdctl_bucket_bound_ns(i);

		sum += buckets[i] * (bound < max_ns || max_ns == UFFDCTL_UNKNOWN ? bound : max_ns);
	}
	return sum;
}

static void put_waits(FILE *f, const struct uffdctl_watch_stats *st)
{
	put_histogram(f, "uffd_fault_wait_seconds", "How long threads waited.", st->buckets, st->sum_wait_ns);
	put_histogram(f, "uffd_fault_queue_seconds", "The part of it until the message was read (sum: up to 6 % more).",
		      st->queued, sum_of(st->queued, st->max_queued_ns));
	put_histogram(f, "uffd_fault_handle_seconds", "The part of it after that (sum: up to 6 % more).", st->handled,
		      sum_of(st->handled, st->max_handled_ns));
}

/* By ioctl and error; not by thread. */
static void put_failures(FILE *f, const struct watch_session *s, const struct uffdctl_watch_stats *st)
{
	struct uffdctl_failure_totals sums[MAX_FAILURES];
	const struct uffdctl_failure_totals *t;
	char number[16];
	size_t nr = 0;

	if (st->failed_ioctls == UFFDCTL_UNKNOWN)
		return;
	for (size_t at = 0; (t = uffdctl_watch_failure(s->watch, &at));) {
		size_t i = 0;

		while (i < nr && (sums[i].op != t->op || sums[i].error != t->error))
			i++;
		if (i == nr && nr == MAX_FAILURES)
			continue;
		if (i == nr)
			sums[nr++] = (struct uffdctl_failure_totals){ .op = t->op, .error = t->error };
		sums[i].count += t->count;
	}
	metrics_family(f, "uffd_ioctl_errors_total", "counter", "Ioctls on userfaultfds that failed.");
	for (size_t i = 0; i < nr; i++)
		fprintf(f, "uffd_ioctl_errors_total{op=\"%s\",errno=\"%s\"} %" PRIu64 "\n",
			sums[i].error ? uffdctl_ioctl_name(sums[i].op) ?: OTHER : OTHER,
			sums[i].error ? error_name(sums[i].error, number) : OTHER, sums[i].count);
}

static void put_one(FILE *f, const char *name, const char *type, const char *help, uint64_t n)
{
	metrics_family(f, name, type, help);
	fprintf(f, "%s %" PRIu64 "\n", name, n);
}

static void put_pending(FILE *f, const struct watch_session *s)
{
	const struct uffdctl_find_opts opts = { sizeof(opts), s->options->pids.list, s->options->pids.nr, 0, 0 };
	struct uffdctl_pending *p;
	uint64_t longest = 0, nr;

	if (uffdctl_pending(s->u, &opts, &p) < 0)
		return;
	nr = uffdctl_pending_count(p);
	for (size_t i = 0; i < nr; i++)
		if (uffdctl_pending_get(p, i)->slept_ns != UFFDCTL_UNKNOWN)
			longest = uffdctl_pending_get(p, i)->slept_ns > longest ? uffdctl_pending_get(p, i)->slept_ns
										: longest;
	uffdctl_pending_free(p);
	put_one(f, "uffd_pending_threads", "gauge", "Threads that wait now.", nr);
	metrics_family(f, "uffd_longest_wait_seconds", "gauge",
		       "How long the longest of them has waited; 0 if none waits.");
	fprintf(f, "uffd_longest_wait_seconds %.9f\n", seconds(longest));
}

static void put_labels(FILE *f, const char *name, const struct labels *l)
{
	fprintf(f, "%s{process=\"", name);
	metrics_label(f, l->process);
	if (l->mapping) {
		fputs("\",mapping=\"", f);
		metrics_label(f, l->mapping);
	}
	fputs("\"} ", f);
}

static void put_by_name(FILE *f, const struct by_name *b, const char *faults, const char *waits, const char *of)
{
	char help[128];

	snprintf(help, sizeof(help), "Faults of %s.", of);
	metrics_family(f, faults, "counter", help);
	for (size_t i = 0; i <= MAX_NAMES; i++)
		if (i < b->nr || i == MAX_NAMES) {
			put_labels(f, faults, &b->rows[i]);
			fprintf(f, "%" PRIu64 "\n", b->rows[i].faults);
		}
	metrics_family(f, waits, "counter", "How long threads waited in these, all together.");
	for (size_t i = 0; i <= MAX_NAMES; i++)
		if (i < b->nr || i == MAX_NAMES) {
			put_labels(f, waits, &b->rows[i]);
			fprintf(f, "%.9f\n", seconds(b->rows[i].wait_ns));
		}
}

static void put_processes(FILE *f, const struct metrics *m)
{
	struct by_name b = { .rows[MAX_NAMES].process = OTHER };
	const struct uffdctl_thread_totals *t;

	for (size_t at = 0; (t = uffdctl_watch_thread(m->session->watch, &at));)
		add_totals(&b, &(struct labels){ name_of(m, t->pid), NULL, t->faults, t->wait_ns });
	put_by_name(f, &b, "uffd_process_faults_total", "uffd_process_wait_seconds_total",
		    "threads of processes with this name");
}

/* "[anon:7f1640000000]" without its address, which would be a new value at each start of a program. */
static const char *label_of(const char *mapping)
{
	const char *address = mapping && !strncmp(mapping, "[anon:", 6) ? mapping + 6 : NULL;

	if (!mapping)
		return OTHER;
	return !*mapping || (address && address[strspn(address, "0123456789abcdef")] == ']') ? "[anon]" : mapping;
}

static void put_mappings(FILE *f, const struct metrics *m)
{
	struct by_name b = { .rows[MAX_NAMES] = { .process = OTHER, .mapping = OTHER } };
	const struct by_mapping *p = m->session->by_mapping;

	for (size_t i = 0; i <= p->nr; i++)
		add_totals(&b, &(struct labels){ name_of(m, p->list[i].pid), label_of(p->list[i].name),
						 p->list[i].faults, p->list[i].wait_ns });
	put_by_name(f, &b, "uffd_mapping_faults_total", "uffd_mapping_wait_seconds_total",
		    "memory of processes with this name, in mappings with this name");
}

void metrics_put(FILE *f, struct metrics *m, const struct uffdctl_watch_stats *st)
{
	learn_names(m);
	put_faults(f, st);
	put_failures(f, m->session, st);
	put_waits(f, st);
	put_processes(f, m);
	if (m->session->by_mapping)
		put_mappings(f, m);
	put_pending(f, m->session);
	put_one(f, "uffd_lost_events_total", "counter", "Faults that are in the totals, but not in the stream.",
		st->lost_events);
	put_one(f, "uffd_missed_faults_total", "counter", "Faults that could not be followed for lack of room.",
		st->missed);
}

void metrics_end(struct metrics *m)
{
	free(m->names);
}
