// SPDX-License-Identifier: GPL-2.0-or-later
/* What serve prints: text, or JSON with an object a line. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/json.h"
#include "cmd/serve_output.h"

static bool is_json(const struct serve_output *out)
{
	return out->d->inv->style.json;
}

static bool is_quiet(const struct serve_output *out)
{
	return out->d->inv->messages.quiet;
}

/* Beside the output of a command, -q is for these lines, too. */
static bool prints_lines(const struct serve_output *out)
{
	return !is_quiet(out) || !out->d->options->command;
}

/* A script waits for lines: each is written at once. */
static void put(json_object *o)
{
	json_print(o);
	fflush(stdout);
}

/* ---- numbers ---- */

static void add_faults(json_object *o, const struct uffdctl_serve_stats *st)
{
	json_object *faults = json_member(o, "faults");
	const char *name;

	for (unsigned int i = 0; (name = uffdctl_mode_name(i)); i++)
		json_number(faults, name, st->faults[i]);
}

static json_object *numbers(const struct serve_output *out, const char *type, const struct uffdctl_serve_stats *st)
{
	json_object *o = json_object_new_object();

	json_text(o, "type", type);
	json_pid(o, "pid", out->d->options->pid);
	json_number(o, "duration_ns", st->passed_ns);
	add_faults(o, st);
	json_number(o, "events", st->events);
	json_number(o, "demand", st->demand_bytes);
	json_number(o, "prefault", st->prefault_bytes);
	json_number(o, "prefetch", st->prefetch_bytes);
	json_number(o, "late", st->late);
	json_number(o, "around", st->around_bytes);
	json_number(o, "touched", st->touched_bytes);
	json_number(o, "zero", st->zero_bytes);
	json_number(o, "mapped", st->mapped_bytes);
	json_number(o, "unprotected", st->unprotected_bytes);
	json_number(o, "errors", st->errors);
	json_number(o, "held", st->held);
	json_number(o, "lost_notes", st->lost_notes);
	json_number(o, "done", st->done_bytes);
	json_number(o, "total", st->total_bytes);
	json_number(o, "memories", st->memories);
	return o;
}

/* ---- the start ---- */

/* Who serves the process after us can't get them from it again. */
static void add_regions(json_object *o, const struct serve_output *out)
{
	json_object *regions = out->nr_regions ? json_object_new_array() : NULL;

	for (size_t i = 0; i < out->nr_regions; i++) {
		const struct uffdctl_handoff_region *r = &out->regions[i];
		json_object *row = json_object_new_object();

		json_address(row, "start", r->start);
		json_address(row, "end", r->start + r->size);
		json_number(row, "offset", r->offset);
		json_object_array_add(regions, row);
	}
	if (regions)
		json_object_object_add(o, "regions", regions);
}

static void print_regions(const struct serve_output *out)
{
	for (size_t i = 0; i < out->nr_regions; i++) {
		const struct uffdctl_handoff_region *r = &out->regions[i];

		printf("%d: %" PRIx64 "-%" PRIx64 " has its contents at offset %" PRIu64 "\n", out->d->options->pid,
		       r->start, r->start + r->size, r->offset);
	}
}

void serve_print_start(struct serve_output *out, const struct uffdctl_serve_stats *st)
{
	const struct drive *d = out->d;
	pid_t pid = d->options->pid;
	json_object *o;

	progress_begin(&out->progress);
	if (is_json(out)) {
		o = json_object_new_object();
		json_text(o, "type", "start");
		json_pid(o, "pid", pid);
		json_pid(o, "holder", uffdctl_handle_pid(d->handle));
		json_number(o, "fd", uffdctl_handle_fd(d->handle));
		json_text(o, "source", out->source);
		json_number(o, "ranges", st->nr_ranges);
		json_number(o, "put_back", st->put_back);
		json_number(o, "done", st->done_bytes);
		json_number(o, "total", st->total_bytes);
		add_regions(o, out);
		put(o);
	} else if (prints_lines(out)) {
		printf("serving %d: fd %d, source %s, %" PRIu64 " %s, %" PRIu64 " bytes\n", pid,
		       uffdctl_handle_fd(d->handle), out->source, st->nr_ranges,
		       st->nr_ranges == 1 ? "range" : "ranges", st->total_bytes);
		print_regions(out);
		fflush(stdout);
	}
}

/* ---- notes ---- */

static void print_object(const struct serve_output *out, const struct uffdctl_serve_note *n)
{
	json_object *o = json_object_new_object();

	json_text(o, "type", "note");
	json_pid(o, "pid", out->d->options->pid);
	json_text(o, "message", n->text);
	put(o);
}

void serve_print_note(void *data, const struct uffdctl_serve_note *n)
{
	struct serve_output *out = data;
	struct messages *m = &out->d->inv->messages;

	progress_end(&out->progress);
	if (n->level > UFFDCTL_LOG_ERROR) {
		if (is_json(out))
			print_object(out, n);
		if (n->level <= UFFDCTL_LOG_NOTICE || out->d->inv->verbose)
			note(m, "%s", n->text);
		return;
	}
	if (n->range.end)
		error_in_range(m, n->range, n->error, "%s", n->text);
	else
		error(m, "%s", n->text);
	json_put_errors(m);
	fflush(stdout);
}

/* ---- progress ---- */

void serve_print_progress(struct serve_output *out, const struct uffdctl_serve_stats *st)
{
	if (!is_json(out))
		return;
	json_put_errors(&out->d->inv->messages);
	put(numbers(out, "progress", st));
}

bool serve_shows_bar(const struct serve_output *out)
{
	return !is_json(out) && !is_quiet(out) && out->progress.when != WHEN_NEVER;
}

void serve_show_progress(struct serve_output *out, const struct uffdctl_serve_stats *st)
{
	if (serve_shows_bar(out) && st->done_bytes != UFFDCTL_UNKNOWN)
		progress_show(&out->progress, st->done_bytes, st->total_bytes);
}

/* ---- the end ---- */

static void print_pid(const struct serve_output *out)
{
	if (out->of_several)
		printf("%d: ", out->d->options->pid);
}

static void print_faults(const struct serve_output *out, const struct uffdctl_serve_stats *st)
{
	const char *name, *before = "";

	print_pid(out);
	fputs("faults: ", stdout);
	for (unsigned int i = 0; (name = uffdctl_mode_name(i)); i++, before = ", ")
		printf("%s%s %" PRIu64, before, name, st->faults[i]);
	printf("; events: %" PRIu64 "\n", st->events);
}

static void print_bytes(const struct serve_output *out, const struct uffdctl_serve_stats *st)
{
	print_pid(out);
	printf("bytes: filled on demand %" PRIu64 ", in the background %" PRIu64 "; zeros %" PRIu64
	       "; mapped as they were %" PRIu64 "; unprotected %" PRIu64 "\n",
	       st->demand_bytes, st->prefault_bytes, st->zero_bytes, st->mapped_bytes, st->unprotected_bytes);
	if (st->done_bytes != UFFDCTL_UNKNOWN) {
		print_pid(out);
		printf("there: %" PRIu64 " of %" PRIu64 " bytes\n", st->done_bytes, st->total_bytes);
	}
	if (out->has_set) {
		print_pid(out);
		printf("working set: %" PRIu64 " bytes recorded, %" PRIu64
		       " prefetched; pages that came too late: %" PRIu64 "\n",
		       st->touched_bytes, st->prefetch_bytes, st->late);
	}
	if (st->around_bytes) {
		print_pid(out);
		printf("around: %" PRIu64 " of these bytes are neighbours of pages that were asked for\n",
		       st->around_bytes);
	}
	if (!st->errors)
		return;
	print_pid(out);
	printf("errors: %" PRIu64 "; pages that threads may wait for: %" PRIu64 "\n", st->errors, st->held);
}

void serve_print_end(struct serve_output *out, const struct uffdctl_serve_stats *st)
{
	const char *reason = uffdctl_serve_end_name((enum uffdctl_serve_end)st->end);
	json_object *o;

	progress_end(&out->progress);
	if (is_json(out)) {
		json_put_errors(&out->d->inv->messages);
		o = numbers(out, "end", st);
		json_text(o, "reason", reason);
		put(o);
	} else if (prints_lines(out)) {
		print_pid(out);
		printf("%s after %.3f s\n", reason, (double)st->passed_ns / 1e9);
		print_faults(out, st);
		print_bytes(out, st);
	}
	fflush(stdout);
}

void serve_print_lost(const struct serve_output *out, const struct uffdctl_serve_stats *st)
{
	if (st->lost_notes)
		note(&out->d->inv->messages,
		     "%d: %" PRIu64 " messages were dropped, because nobody read the output fast enough",
		     out->d->options->pid, st->lost_notes);
}

bool serve_has_failed(const struct uffdctl_serve_stats *st)
{
	return st->end == UFFDCTL_SERVE_FAILED || (st->end != UFFDCTL_SERVE_GONE && st->held);
}
