// SPDX-License-Identifier: GPL-2.0-or-later
/* What serve does, in the text format of Prometheus. */
#include <inttypes.h>
#include <stddef.h>

#include "cmd/metrics_file.h"
#include "cmd/serve_metrics.h"

#define STAT(name) offsetof(struct uffdctl_serve_stats, name)

static uint64_t number(const struct serve_metrics *m, size_t at)
{
	return *(const uint64_t *)((const char *)&m->stats + at);
}

/* The sample of a family: its name and labels. */
static void put_name(FILE *f, const struct serve_metrics *m, const char *name, const char *label, const char *value)
{
	fprintf(f, "%s{process=\"", name);
	metrics_label(f, m->process);
	if (m->pid)
		fprintf(f, "\",pid=\"%d", m->pid);
	if (label)
		fprintf(f, "\",%s=\"%s", label, value);
	fputs("\"} ", f);
}

static void put_numbers(FILE *f, const struct serve_metrics_list *l, const char *name, const char *type,
			const char *help, size_t at)
{
	metrics_family(f, name, type, help);
	for (size_t i = 0; i < l->nr; i++) {
		put_name(f, &l->items[i], name, NULL, NULL);
		fprintf(f, "%" PRIu64 "\n", number(&l->items[i], at));
	}
}

static void put_faults(FILE *f, const struct serve_metrics_list *l)
{
	const char *name = "uffd_serve_faults_total", *kind;

	metrics_family(f, name, "counter", "Messages of faults that were read, by kind.");
	for (size_t i = 0; i < l->nr; i++)
		for (unsigned int bit = 0; (kind = uffdctl_mode_name(bit)); bit++) {
			put_name(f, &l->items[i], name, "kind", kind);
			fprintf(f, "%" PRIu64 "\n", l->items[i].stats.faults[bit]);
		}
}

static void put_bytes(FILE *f, const struct serve_metrics_list *l)
{
	static const struct {
		const char *by;
		size_t at;
	} ways[] = {
		{ "demand", STAT(demand_bytes) },     { "prefault", STAT(prefault_bytes) },
		{ "prefetch", STAT(prefetch_bytes) }, { "zero", STAT(zero_bytes) },
		{ "keep", STAT(mapped_bytes) },
	};
	const char *name = "uffd_filled_bytes_total";

	metrics_family(
		f, name, "counter",
		"Bytes resolved since the start: filled on demand, in the background or from a working set, zeros, or kept as they were.");
	for (size_t i = 0; i < l->nr; i++)
		for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++) {
			put_name(f, &l->items[i], name, "by", ways[k].by);
			fprintf(f, "%" PRIu64 "\n", number(&l->items[i], ways[k].at));
		}
}

static bool is_complete_known(const struct serve_metrics *m)
{
	return m->stats.done_bytes != UFFDCTL_UNKNOWN && m->stats.total_bytes;
}

static void put_ratio(FILE *f, const struct serve_metrics_list *l)
{
	const char *name = "uffd_complete_ratio";

	metrics_family(f, name, "gauge", "The part of the ranges that is there.");
	for (size_t i = 0; i < l->nr; i++) {
		const struct serve_metrics *m = &l->items[i];

		if (!is_complete_known(m))
			continue;
		put_name(f, m, name, NULL, NULL);
		fprintf(f, "%.6f\n", (double)m->stats.done_bytes / (double)m->stats.total_bytes);
	}
}

void serve_metrics_put(FILE *f, void *data)
{
	const struct serve_metrics_list *l = data;

	put_faults(f, l);
	put_bytes(f, l);
	put_numbers(f, l, "uffd_serve_events_total", "counter", "Messages of fork, remap, remove and unmap.",
		    STAT(events));
	put_numbers(f, l, "uffd_serve_errors_total", "counter", "Pages that could not be resolved, each time.",
		    STAT(errors));
	put_numbers(f, l, "uffd_prefetch_late_total", "counter",
		    "Pages of the working set that were asked for before they were there.", STAT(late));
	put_numbers(f, l, "uffd_serve_held_pages", "gauge", "Pages whose waiters are held now.", STAT(held));
	put_ratio(f, l);
}
