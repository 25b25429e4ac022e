// SPDX-License-Identifier: GPL-2.0-or-later
/* watch as JSON: an object a line for each fault, then one for the summary. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/json.h"
#include "cmd/watch/output.h"
#include "cmd/watch/summary.h"

static bool fits(const struct watch_options *o)
{
	return o->json;
}

struct objects {
	struct watch_session *session;
	struct uffdctl_watch_stats last; /* interval */
	uint64_t last_ns;
};

static int begin(struct watch_session *s, void **ret)
{
	struct objects *j = calloc(1, sizeof(*j));

	if (!j) {
		error(s->messages, "out of memory");
		return -ENOMEM;
	}
	j->session = s;
	*ret = j;
	return 0;
}

json_object *fault_object(const struct uffdctl_fault *f, const char *symbol)
{
	json_object *o = json_object_new_object();

	json_text(o, "type", "fault");
	json_number(o, "ts_ns", f->start_ns);
	json_pid(o, "pid", f->pid);
	json_pid(o, "tid", f->tid);
	json_text(o, "comm", f->comm);
	json_pid(o, "target_pid", f->target_pid);
	json_address(o, "addr", f->addr);
	json_text(o, "kind", uffdctl_kind_name(f->kind));
	json_text(o, "access", uffdctl_access_name(f->access));
	json_number(o, "wait_ns", f->wait_ns);
	json_number(o, "queue_ns", f->queue_ns);
	json_text(o, "ended", uffdctl_end_name(f->end));
	json_pid(o, "reader_pid", f->reader_pid);
	json_pid(o, "reader_tid", f->reader_tid);
	json_text(o, "reader_comm", f->reader_pid ? f->reader_comm : NULL);
	json_pid(o, "resolver_pid", f->resolver_pid);
	json_pid(o, "resolver_tid", f->resolver_tid);
	json_text(o, "resolver_comm", f->resolver_pid ? f->resolver_comm : NULL);
	json_text(o, "op", f->op);
	json_text(o, "name", f->name);
	json_number(o, "offset", f->offset);
	json_address(o, "ip", f->ip);
	json_text(o, "symbol", symbol);
	return o;
}

static void put_fault(void *data, const struct uffdctl_fault *f)
{
	struct objects *j = data;

	json_print(fault_object(f, symbols_get(&j->session->symbols, f->pid, f->ip, SYMBOL_MS)));
}

static void put_interval(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct objects *j = data;
	struct uffdctl_watch_stats since;

	totals_since(st, &j->last, &since);
	interval_json(j->session, st, &since, passed_ns, passed_ns - j->last_ns);
	j->last = *st;
	j->last_ns = passed_ns;
}

static void end(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct objects *j = data;

	if (st)
		summary_json(j->session, st, passed_ns);
	free(j);
}

const struct watch_output output_json = {
	.fits = fits, .begin = begin, .fault = put_fault, .totals = put_interval, .end = end
};
