// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals as a file of metrics, for the textfile collector of Prometheus' node_exporter. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/metrics_file.h"
#include "cmd/watch/metrics.h"

struct output {
	struct metrics metrics;
	struct metrics_file file;
	const struct uffdctl_watch_stats *stats; /* to be written */
};

static void put(FILE *f, void *data)
{
	struct output *o = data;

	metrics_put(f, &o->metrics, o->stats);
}

/* ---- the output form ---- */

static bool fits(const struct watch_options *o)
{
	return o->metrics;
}

static void output_free(struct output *o)
{
	metrics_file_free(&o->file);
	metrics_end(&o->metrics);
	free(o);
}

static void show(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct output *o = data;

	(void)passed_ns;
	o->stats = st;
	metrics_file_replace(&o->file, put, o, o->metrics.session->messages);
}

/* The first file is there when watching has begun, or nobody can write it. */
static int begin(struct watch_session *s, void **ret)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	struct output *o = calloc(1, sizeof(*o));
	int r;

	if (!o) {
		error(s->messages, "out of memory");
		return -ENOMEM;
	}
	o->metrics.session = s;
	o->stats = &st;
	r = metrics_file_init(&o->file, s->options->metrics, s->messages);
	if (r >= 0)
		r = uffdctl_watch_stats(s->watch, &st);
	if (r >= 0 && (r = metrics_file_write(&o->file, put, o)) < 0)
		error_errno(s->messages, r, "%s: %s", s->options->metrics, strerror(-r));
	if (r < 0) {
		output_free(o);
		return r;
	}
	*ret = o;
	return 0;
}

static void no_fault(void *data, const struct uffdctl_fault *f)
{
	(void)data, (void)f;
}

static void end(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	if (st)
		show(data, st, passed_ns);
	output_free(data);
}

const struct watch_output output_metrics = {
	.fits = fits,
	.begin = begin,
	.fault = no_fault,
	.totals = show,
	.end = end,
};
