// SPDX-License-Identifier: GPL-2.0-or-later
/* watch --record: faults go into a file; totals are printed as text or as JSON, and faults too with --line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/watch/output.h"
#include "lib/cleanup.h"

struct recording {
	struct watch_session *session;
	struct uffdctl_recorder *recorder;
	const struct watch_output *printed;
	void *data; /* of printed */
	int err;    /* the file can't be written */
};

static bool fits(const struct watch_options *o)
{
	return o->record;
}

/* What is watched, as the options say it. */
static char *selection_of(const struct watch_options *o)
{
	static const struct {
		uint64_t mode;
		enum uffdctl_kind kind;
	} kinds[] = { { UFFDCTL_MODE_MINOR, UFFDCTL_KIND_MINOR },
		      { UFFDCTL_MODE_MISSING, UFFDCTL_KIND_MISSING },
		      { UFFDCTL_MODE_WP, UFFDCTL_KIND_WP },
		      { UFFDCTL_MODE_RWP, UFFDCTL_KIND_RWP } };
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fputs(o->pids.nr ? "PID" : "all processes", f);
	for (size_t i = 0; i < o->pids.nr; i++)
		fprintf(f, " %d", o->pids.list[i]);
	fputs(o->children ? " --children" : "", f);
	for (size_t i = 0; i < o->nr_ranges; i++)
		fprintf(f, " --range=%s", o->ranges[i]);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (o->modes & kinds[i].mode)
			fprintf(f, " --kind=%s", uffdctl_kind_name(kinds[i].kind));
	if (o->access)
		fprintf(f, " --access=%s", uffdctl_access_name(o->access));
	if (o->min_wait_ns)
		fprintf(f, " --min-wait=%.9gs", (double)o->min_wait_ns / 1e9);
	fclose(f);
	return text;
}

static int begin(struct watch_session *s, void **ret)
{
	_cleanup_free_ char *selection = selection_of(s->options);
	struct uffdctl_recorder_opts opts = {
		.size = sizeof(opts), .watch = s->watch, .selection = selection, .max_bytes = s->options->record_size
	};
	struct recording *rec = calloc(1, sizeof(*rec));
	int r;

	if (!rec) {
		error(s->messages, "out of memory");
		return -ENOMEM;
	}
	rec->session = s;
	rec->printed = s->options->json ? &output_json : &output_lines;
	r = rec->printed->begin(s, &rec->data);
	if (r >= 0) {
		r = uffdctl_recorder_new(s->u, s->options->record, &opts, &rec->recorder);
		if (r < 0)
			rec->printed->end(rec->data, NULL, 0);
	}
	if (r < 0) {
		free(rec);
		return r;
	}
	*ret = rec;
	return 0;
}

static void put_fault(void *data, const struct uffdctl_fault *f)
{
	struct recording *rec = data;
	const char *symbol;

	if (rec->err < 0)
		return;
	symbol = symbols_get(&rec->session->symbols, f->pid, f->ip, SYMBOL_MS);
	rec->err = uffdctl_recorder_fault(rec->recorder, f, symbol);
	if (rec->session->options->lines)
		rec->printed->fault(rec->data, f);
}

static int show(void *data)
{
	struct recording *rec = data;

	if (rec->err >= 0)
		rec->err = uffdctl_recorder_flush(rec->recorder);
	return rec->err;
}

static void put_interval(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct recording *rec = data;

	rec->printed->totals(rec->data, st, passed_ns);
}

static void end(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct recording *rec = data;

	if (uffdctl_recorder_end(rec->recorder, st, passed_ns) < 0)
		rec->session->failed = true;
	uffdctl_recorder_free(rec->recorder);
	rec->printed->end(rec->data, st, passed_ns);
	free(rec);
}

const struct watch_output output_record = {
	.fits = fits, .begin = begin, .fault = put_fault, .show = show, .totals = put_interval, .end = end
};
