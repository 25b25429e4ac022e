// SPDX-License-Identifier: GPL-2.0-or-later
/* What serve does, in the text format of Prometheus. */
#include <inttypes.h>
#include <stddef.h>

#include "cmd/metrics_file.h"
#include "cmd/serve_metrics.h"

/* The sample of a family: its name and labels. */
static void put_name(FILE *f, const struct serve_metrics *m, const char *name, const char *label, const char *value)
{
	fprintf(f, "%s{process=\"", name);
	metrics_label(f, m->process);
	if (label)
		fprintf(f, "\",%s=\"%s", label, value);
	fputs("\"} ", f);
}

static void put_number(FILE *f, const struct serve_metrics *m, const char *name, const char *type, const char *help,
		       uint64_t n)
{
	metrics_family(f, name, type, help);
	put_name(f, m, name, NULL, NULL);
	fprintf(f, "%" PRIu64 "\n", n);
}

static void put_faults(FILE *f, const struct serve_metrics *m)
{
	const char *name = "uffd_serve_faults_total", *kind;

	metrics_family(f, name, "counter", "Messages of faults that were read, by kind.");
	for (unsigned int bit = 0; (kind = uffdctl_mode_name(bit)); bit++) {
		put_name(f, m, name, "kind", kind);
		fprintf(f, "%" PRIu64 "\n", m->stats->faults[bit]);
	}
}

static void put_bytes(FILE *f, const struct serve_metrics *m)
{
	static const struct {
		const char *by;
		size_t at;
	} ways[] = {
		{ "demand", offsetof(struct uffdctl_serve_stats, demand_bytes) },
		{ "prefault", offsetof(struct uffdctl_serve_stats, prefault_bytes) },
		{ "prefetch", offsetof(struct uffdctl_serve_stats, prefetch_bytes) },
		{ "zero", offsetof(struct uffdctl_serve_stats, zero_bytes) },
		{ "keep", offsetof(struct uffdctl_serve_stats, mapped_bytes) },
	};
	const char *name = "uffd_filled_bytes_total";

	metrics_family(
		f, name, "counter",
		"Bytes resolved since the start: filled on demand, in the background or from a working set, zeros, or kept as they were.");
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		put_name(f, m, name, "by", ways[i].by);
		fprintf(f, "%" PRIu64 "\n", *(const uint64_t *)((const char *)m->stats + ways[i].at));
	}
}

void serve_metrics_put(FILE *f, void *data)
{
	const struct serve_metrics *m = data;
	const struct uffdctl_serve_stats *st = m->stats;

	put_faults(f, m);
	put_bytes(f, m);
	put_number(f, m, "uffd_serve_events_total", "counter", "Messages of fork, remap, remove and unmap.",
		   st->events);
	put_number(f, m, "uffd_serve_errors_total", "counter", "Pages that could not be resolved, each time.",
		   st->errors);
	put_number(f, m, "uffd_prefetch_late_total", "counter",
		   "Pages of the working set that were asked for before they were there.", st->late);
	put_number(f, m, "uffd_serve_held_pages", "gauge", "Pages whose waiters are held now.", st->held);
	if (st->done_bytes == UFFDCTL_UNKNOWN || !st->total_bytes)
		return;
	metrics_family(f, "uffd_complete_ratio", "gauge", "The part of the ranges that is there.");
	put_name(f, m, "uffd_complete_ratio", NULL, NULL);
	fprintf(f, "%.6f\n", (double)st->done_bytes / (double)st->total_bytes);
}
