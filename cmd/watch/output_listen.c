// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals for Prometheus by HTTP. */
#include <errno.h>
#include <stdlib.h>

#include "cmd/http_server.h"
#include "cmd/watch/metrics.h"

struct output {
	struct metrics metrics;
	struct http_server *server;
};

static int put(FILE *f, void *data)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	struct output *o = data;
	int r = uffdctl_watch_stats(o->metrics.session->watch, &st);

	if (r >= 0)
		metrics_put(f, &o->metrics, &st);
	return r;
}

static bool fits(const struct watch_options *o)
{
	return o->listen;
}

static void output_free(struct output *o)
{
	http_server_free(o->server);
	metrics_end(&o->metrics);
	free(o);
}

static int begin(struct watch_session *session, void **ret)
{
	struct output *o = calloc(1, sizeof(*o));
	const struct http_metrics metrics = { "uffdctl watch: see /metrics\n", put, o };
	int r;

	if (!o) {
		error(session->messages, "out of memory");
		return -ENOMEM;
	}
	o->metrics.session = session;
	r = http_server_new(session->options->listen, &metrics, false, session->messages, &o->server);
	if (r < 0)
		output_free(o);
	else
		*ret = o;
	return r;
}

static void no_fault(void *data, const struct uffdctl_fault *f)
{
	(void)data, (void)f;
}

static int wait(void *data, int timeout_ms)
{
	struct output *o = data;

	return http_server_wait(o->server, timeout_ms);
}

static void end(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	(void)st, (void)passed_ns;
	output_free(data);
}

const struct watch_output output_listen = {
	.fits = fits,
	.begin = begin,
	.fault = no_fault,
	.wait = wait,
	.end = end,
};
