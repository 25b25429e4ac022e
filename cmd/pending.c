// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl pending: which threads are blocked in a userfault now. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "cmd/names.h"
#include "cmd/pids.h"
#include "cmd/progress.h"
#include "cmd/source.h"

struct row {
	const struct uffdctl_waiter *w;
	const struct uffdctl_list *list;
};

static struct timespec interval;
static bool repeat, fail_if_any;
static uint64_t min_slept_ns;

static void get_ctx(const void *row, struct cell *ret)
{
	const struct uffdctl_waiter *w = ((const struct row *)row)->w;

	cell_number(ret, w->ctx && w->ctx != UFFDCTL_CTX_UNHELD ? w->ctx : UFFDCTL_UNKNOWN);
}

static void get_pid(const void *row, struct cell *ret)
{
	cell_number(ret, ((const struct row *)row)->w->pid);
}

static void get_tid(const void *row, struct cell *ret)
{
	cell_number(ret, ((const struct row *)row)->w->tid);
}

static void get_comm(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct row *)row)->w->comm);
}

static void get_target(const void *row, struct cell *ret)
{
	const struct uffdctl_waiter *w = ((const struct row *)row)->w;

	cell_number(ret, w->target_pid ? (uint64_t)w->target_pid : UFFDCTL_UNKNOWN);
}

static void get_addr(const void *row, struct cell *ret)
{
	const struct uffdctl_waiter *w = ((const struct row *)row)->w;

	if (w->addr != UFFDCTL_UNKNOWN)
		cell_address(ret, w->addr);
}

static void get_kind(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_kind_name(((const struct row *)row)->w->kind));
}

static void get_access(const void *row, struct cell *ret)
{
	cell_text(ret, access_name(((const struct row *)row)->w->access));
}

static void get_state(const void *row, struct cell *ret)
{
	cell_text(ret, wait_state_name(((const struct row *)row)->w->state));
}

static void get_slept(const void *row, struct cell *ret)
{
	const struct uffdctl_waiter *w = ((const struct row *)row)->w;

	cell_duration(ret, w->slept_ns);
	ret->alert = w->slept_ns != UFFDCTL_UNKNOWN && w->slept_ns > UINT64_C(1000000000);
}

static void get_name(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct row *)row)->w->name);
}

static void get_offset(const void *row, struct cell *ret)
{
	cell_number(ret, ((const struct row *)row)->w->offset);
}

static void get_holders(const void *arg, struct cell *ret)
{
	const struct row *row = arg;

	if (row->w->ctx)
		cell_holders(ret, row->list, row->w->ctx);
}

static const struct column columns[] = {
	{ "CTX", "userfaultfd: the number that it has in the same look", COL_RIGHT | COL_HIDDEN, get_ctx },
	{ "TID", "thread that waits", COL_RIGHT, get_tid },
	{ "PID", "its process", COL_RIGHT, get_pid },
	{ "COMM", "the thread's name", 0, get_comm },
	{ "TARGET_PID", "process whose memory it waits for", COL_RIGHT | COL_HIDDEN, get_target },
	{ "SLEPT", "since it last ran, by the scheduler's clock; in JSON slept_ns", COL_RIGHT | COL_NS, get_slept },
	{ "KIND", "minor, missing, wp or rwp; or the event it is stuck in: fork, remap, remove or unmap", 0, get_kind },
	{ "ACCESS", "read or write", 0, get_access },
	{ "STATE", "queued: no handler has read the message; delivered: read and not resolved", 0, get_state },
	{ "ADDR", "address that it waits for", COL_RIGHT, get_addr },
	{ "HOLDERS", "PID:FD of the userfaultfd", 0, get_holders },
	{ "OFFSET", "of the address in its file, bytes", COL_RIGHT | COL_HIDDEN, get_offset },
	{ "NAME", "mapping, as in maps", COL_WIDE, get_name },
	{}
};

static const struct argp_option options[] = {
	{ "watch", 'w', "TIME", 0, "Look again each time that this has passed (2, 500ms), until Ctrl-C", 10 },
	{ "min-slept", 's', "TIME", 0,
	  "Only threads that have slept this long: 500ms, 10s; or for how long is not known", 10 },
	{ "fail-if-any", 'e', NULL, 0, "Exit with 1 if a thread waits: for scripts and health checks", 10 },
	{}
};

static void parse_interval(const char *arg, struct argp_state *state)
{
	uint64_t ns;

	if (parse_time(arg, &ns) < 0 || ns < 10000000 || ns > UINT64_C(86400000000000))
		argp_error(state, "--watch=%s: write a time such as 2 (seconds) or 500ms, of 10ms to a day", arg);
	interval.tv_sec = ns / 1000000000;
	interval.tv_nsec = ns % 1000000000;
	repeat = true;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'w':
		parse_interval(arg, state);
		return 0;
	case 'e':
		fail_if_any = true;
		return 0;
	case 's':
		if (parse_time(arg, &min_slept_ns) < 0)
			argp_error(state, "--min-slept=%s: write a time such as 100us, 5ms or 2s", arg);
		return 0;
	case ARGP_KEY_ARG:
		pids_add(arg, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* 1: a thread waits; 0: none; or a negative errno. */
static int look(bool *hidden)
{
	struct uffdctl_pending *p = NULL;
	struct table *table;
	int r, any = 0;

	if (table_new("pending", columns, &table) < 0)
		exit(EXIT_USAGE);
	r = uffdctl_pending(ctx(), source, pids, nr_pids, &p);
	for (size_t i = 0; r >= 0 && i < uffdctl_pending_count(p); i++) {
		struct row row = { uffdctl_pending_get(p, i), uffdctl_pending_list(p) };

		/* Where it is not known how long it slept, it counts. */
		if (row.w->slept_ns < min_slept_ns)
			continue;
		any = 1;
		r = table_row(table, &row);
	}
	*hidden = r >= 0 && uffdctl_pending_hidden(p);
	if (r >= 0 && !any && !common.json)
		note(min_slept_ns ? "no thread has waited that long in a userfaultfd"
		     : *hidden	  ? "no thread that can be seen waits in a userfaultfd"
				  : "no thread waits in a userfaultfd");
	uffdctl_pending_free(p);
	if (table_close(table) < 0)
		return -EIO;
	return r < 0 ? r : any;
}

static int run(void)
{
	int failed = pids_check(), r = 0, any = 0;
	bool hidden = false;

	if (repeat)
		progress_begin(true);
	while (!failed && !progress_interrupted()) {
		r = look(&hidden);
		any |= r == 1;
		/* With both options it is an alarm: the first thread that waits ends it. */
		if (r < 0 || !repeat || (fail_if_any && any) || progress_interrupted() ||
		    nanosleep(&interval, NULL) < 0)
			break;
		failed = pids_check();
	}
	pids_free();
	uffdctl_free(ctx());
	/* A health check that can't see has not found all well. */
	return failed || r < 0 || (fail_if_any && (any || hidden)) ? EXIT_UNDONE : EXIT_DONE;
}

const struct cmd cmd_pending = {
	.name = "pending",
	.summary = "List the threads that wait in a userfaultfd now",
	.args = "[PID...]",
	.options = options,
	.parse = parse,
	.children = (const struct argp_child[]){ { &source_argp, 0, NULL, 0 }, { &common_argp, 0, NULL, 0 }, {} },
	.columns = columns,
	.run = run,
};
