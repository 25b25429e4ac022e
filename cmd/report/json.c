// SPDX-License-Identifier: GPL-2.0-or-later
/* A report as JSON: the summary of watch, and more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/json.h"
#include "cmd/report/report.h"
#include "cmd/watch/parts.h"
#include "cmd/watch/summary.h"
#include "lib/cleanup.h"

static json_object *recording_json(const struct recording *rec)
{
	static const char *const ends[] = { "cut", "complete", "continues" };
	json_object *o = json_object_new_object(), *files = json_object_new_array();
	char wall[WALL_SIZE];

	for (size_t i = 0; i < rec->nr_files; i++) {
		json_object *file = json_object_new_object();

		json_text(file, "name", rec->files[i].path);
		json_number(file, "part", rec->files[i].part);
		json_object_array_add(files, file);
	}
	json_object_object_add(o, "files", files);
	json_text(o, "program", rec->info.program);
	json_text(o, "kernel", rec->info.kernel);
	json_text(o, "selection", rec->info.selection);
	json_text(o, "began", wall_text(wall, rec->info.wall_ns));
	json_number(o, "began_ns", rec->info.began_ns);
	json_text(o, "end", ends[rec->end]);
	json_number(o, "faults", rec->nr_faults);
	json_number(o, "selected", rec->nr_selected);
	json_number(o, "lost_events", rec->has_stats ? rec->stats.lost_events : UFFDCTL_UNKNOWN);
	return o;
}

/* ---- groups ---- */

static void add_sums(json_object *o, const struct tally *g)
{
	json_number(o, "faults", g->faults);
	json_number(o, "total_wait_ns", g->wait_ns);
	json_number(o, "average_wait_ns", g->faults ? g->wait_ns / g->faults : UFFDCTL_UNKNOWN);
	json_number(o, "max_wait_ns", g->max_wait_ns);
}

static json_object *mapping_json(const struct tally *g)
{
	json_object *o = json_object_new_object();

	json_pid(o, "pid", g->key.pid);
	json_text(o, "name", g->key.text);
	json_address(o, "lowest_addr", g->lowest);
	json_address(o, "highest_addr", g->highest);
	add_sums(o, g);
	for (int i = 0; i < NR_WAITS; i++)
		percentiles_json(o, totals_waits[i].key, g->waits[i].buckets, g->waits[i].max_ns);
	return o;
}

static json_object *instruction_json(const struct tally *g)
{
	json_object *o = json_object_new_object();

	json_text(o, "symbol", g->key.text);
	json_address(o, "ip", g->key.text ? UFFDCTL_UNKNOWN : g->key.number);
	add_sums(o, g);
	return o;
}

static json_object *waiter_json(const struct tally *g)
{
	json_object *o = json_object_new_object();

	json_pid(o, "pid", g->key.pid);
	json_pid(o, "tid", g->key.tid);
	json_text(o, "comm", g->key.text);
	add_sums(o, g);
	return o;
}

static json_object *tallies_json(const struct tallies *g, size_t max, json_object *(*object)(const struct tally *g))
{
	_cleanup_free_ const struct tally **list = NULL;
	size_t nr = tallies_longest(g, max, &list);
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < nr; i++)
		json_object_array_add(array, object(list[i]));
	return array;
}

/* Faults that are in no row, since a table was full. */
static json_object *left_out_json(const struct digest *d)
{
	json_object *o = json_object_new_object();

	json_number(o, "resolvers", recording_is_whole(d->recording) ? 0 : tallies_left_out(&d->resolvers));
	json_number(o, "mappings", tallies_left_out(&d->mappings));
	json_number(o, "waiters", tallies_left_out(&d->threads));
	json_number(o, "instructions", tallies_left_out(&d->instructions));
	return o;
}

static json_object *longest_json(const struct digest *d)
{
	json_object *array = json_object_new_array();

	for (size_t i = 0; i < d->nr_longest; i++)
		json_object_array_add(array, fault_object(&d->longest[i].fault, d->longest[i].symbol));
	return array;
}

json_object *report_object(const struct report *r, struct digest *d)
{
	json_object *o = summary_object(&d->session, &d->stats, d->duration_ns);

	json_object_object_add(o, "recording", recording_json(d->recording));
	json_object_object_add(o, "mapping_waits", tallies_json(&d->mappings, SIZE_MAX, mapping_json));
	json_object_object_add(o, "waiters", tallies_json(&d->threads, r->options->top, waiter_json));
	json_object_object_add(o, "longest", longest_json(d));
	json_object_object_add(o, "instructions", tallies_json(&d->instructions, SIZE_MAX, instruction_json));
	json_object_object_add(o, "left_out", left_out_json(d));
	return o;
}

void report_print(struct messages *m, json_object *o)
{
	json_object *all = json_object_new_object(), *errors = messages_take_errors(m);

	json_object_object_add(all, "report", o);
	json_object_object_add(all, "errors", errors ?: json_object_new_array());
	json_print(all);
}

int report_json(const struct report *r)
{
	struct digest d;
	int err = report_digest(r, r->recording, &d);

	if (err >= 0)
		report_print(r->messages, report_object(r, &d));
	digest_free(&d);
	return err;
}
