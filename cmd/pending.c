// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl pending: the threads that wait on a userfaultfd now. */
#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "cmd/alarm.h"
#include "cmd/columns.h"
#include "cmd/handlers.h"
#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "cmd/pids.h"
#include "cmd/source.h"
#include "cmd/values.h"

struct pending_options {
	struct pids pids;
	enum uffdctl_source source;
	uint64_t interval_ns; /* --watch; 0: look once */
	bool fail_if_any;
	struct alarm alarm;
};

struct waiter_row {
	const struct uffdctl_waiter *waiter;
	const struct uffdctl_list *list;
};

static const struct uffdctl_waiter *waiter_of(const void *row)
{
	return ((const struct waiter_row *)row)->waiter;
}

static void waiter_ctx(const void *row, struct cell *ret)
{
	uint32_t ctx = waiter_of(row)->ctx;

	cell_number(ret, ctx && ctx != UFFDCTL_CTX_UNHELD ? ctx : UFFDCTL_UNKNOWN);
}

static void waiter_pid(const void *row, struct cell *ret)
{
	cell_pid(ret, waiter_of(row)->pid);
}

static void waiter_tid(const void *row, struct cell *ret)
{
	cell_pid(ret, waiter_of(row)->tid);
}

static void waiter_comm(const void *row, struct cell *ret)
{
	cell_text(ret, waiter_of(row)->comm);
}

static void waiter_target(const void *row, struct cell *ret)
{
	cell_pid(ret, waiter_of(row)->target_pid);
}

static void waiter_addr(const void *row, struct cell *ret)
{
	if (waiter_of(row)->addr != UFFDCTL_UNKNOWN)
		cell_address(ret, waiter_of(row)->addr);
}

static void waiter_kind(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_kind_name(waiter_of(row)->kind));
}

static void waiter_access(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_access_name(waiter_of(row)->access));
}

static void waiter_state(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_wait_state_name(waiter_of(row)->state));
}

static void waiter_slept(const void *row, struct cell *ret)
{
	uint64_t ns = waiter_of(row)->slept_ns;

	cell_duration(ret, ns);
	ret->alert = ns != UFFDCTL_UNKNOWN && ns > UINT64_C(1000000000);
}

static void waiter_name(const void *row, struct cell *ret)
{
	cell_text(ret, waiter_of(row)->name);
}

static void waiter_offset(const void *row, struct cell *ret)
{
	cell_number(ret, waiter_of(row)->offset);
}

static void waiter_holders(const void *row, struct cell *ret)
{
	if (waiter_of(row)->ctx)
		cell_holders(ret, ((const struct waiter_row *)row)->list, waiter_of(row)->ctx);
}

static void waiter_handler_tid(const void *row, struct cell *ret)
{
	cell_pid(ret, waiter_of(row)->handler_tid);
}

static void waiter_handler_pid(const void *row, struct cell *ret)
{
	cell_pid(ret, waiter_of(row)->handler_pid);
}

static void waiter_handler_comm(const void *row, struct cell *ret)
{
	cell_text(ret, waiter_of(row)->handler_tid ? waiter_of(row)->handler_comm : NULL);
}

static const struct column pending_columns[] = {
	{ "CTX", "number of the userfaultfd in this output", COL_RIGHT | COL_HIDDEN, waiter_ctx },
	{ "TID", "thread that waits", COL_RIGHT, waiter_tid },
	{ "PID", "its process", COL_RIGHT, waiter_pid },
	{ "COMM", "the thread's name", 0, waiter_comm },
	{ "TARGET_PID", "process whose memory it waits for", COL_RIGHT | COL_HIDDEN, waiter_target },
	{ "SLEPT", "time since it last ran, by the scheduler's clock; in JSON slept_ns", COL_RIGHT | COL_NS,
	  waiter_slept },
	{ "KIND", "minor, missing, wp or rwp; or the event it waits for: fork, remap, remove or unmap", 0,
	  waiter_kind },
	{ "ACCESS", "read or write", COL_HIDDEN, waiter_access },
	{ "STATE", "queued: no handler has read the message; delivered: read, but not resolved", 0, waiter_state },
	{ "ADDR", "address that it waits for", COL_RIGHT, waiter_addr },
	{ "HANDLER_TID", "thread that reads the messages of the userfaultfd, if it is known", COL_RIGHT,
	  waiter_handler_tid },
	{ "HANDLER_PID", "its process", COL_RIGHT | COL_HIDDEN, waiter_handler_pid },
	{ "HANDLER_COMM", "its name", COL_HIDDEN, waiter_handler_comm },
	{ "HOLDERS", "holders of the userfaultfd, as PID:FD", COL_HIDDEN, waiter_holders },
	{ "OFFSET", "offset of the address in its file, or from the start of a mapping without one, bytes",
	  COL_RIGHT | COL_HIDDEN, waiter_offset },
	{ "NAME", "mapping, as in maps; [anon:START] if it has no name there", COL_WIDE, waiter_name },
	{}
};

enum {
	OPT_WAIT = 0x200,
	OPT_NONE,
	OPT_TIMEOUT,
};

static const struct argp_option pending_options[] = {
	{ "watch", 'w', "TIME", 0, "List again at this interval (2, 500ms), until Ctrl-C", 10 },
	{ "older-than", 's', "TIME", 0,
	  "List only threads that have waited this long (500ms, 10s), or for an unknown time", 10 },
	{ "fail-if-any", 'e', NULL, 0, "Exit with status 1 if a thread waits, for scripts and health checks", 10 },
	{ "wait", OPT_WAIT, NULL, 0, "Sleep until there is a thread to list, then list it and exit with status 0", 11 },
	{ "none", OPT_NONE, NULL, 0, "With --wait: sleep until there is no thread to list", 11 },
	{ "timeout", OPT_TIMEOUT, "TIME", 0, "With --wait: after this time, exit with status 1", 11 },
	{}
};

static error_t check_options(const struct pending_options *o, const struct argp_state *state)
{
	const struct alarm *a = &o->alarm;

	if (!a->wait && (a->none || a->timeout_ns != UFFDCTL_UNKNOWN))
		return usage_error(state, "%s needs --wait", a->none ? "--none" : "--timeout");
	if (o->interval_ns && (a->wait || o->fail_if_any))
		return usage_error(state,
				   "--watch can't be combined with --wait: to sleep until a thread waits use --wait alone");
	if (a->wait && o->fail_if_any)
		return usage_error(state, "--fail-if-any looks once, and --wait sleeps: use one of them");
	return 0;
}

static error_t parse_alarm(int key, char *arg, struct alarm *a, const struct argp_state *state)
{
	switch (key) {
	case 's':
		if (parse_time(arg, &a->older_than_ns) < 0)
			return usage_error(state, "--older-than=%s: write a time such as 100us, 5ms or 2s", arg);
		return 0;
	case OPT_WAIT:
		a->wait = true;
		invocation_of(state)->exit_failed = EXIT_UNKNOWN;
		return 0;
	case OPT_NONE:
		a->none = true;
		return 0;
	case OPT_TIMEOUT:
		if (parse_time(arg, &a->timeout_ns) < 0)
			return usage_error(state, "--timeout=%s: write a time such as 500ms, 30s or 5m", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_pending(int key, char *arg, struct argp_state *state)
{
	struct pending_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		o->alarm.timeout_ns = UFFDCTL_UNKNOWN;
		return ARGP_ERR_UNKNOWN;
	case ARGP_KEY_END:
		return check_options(o, state);
	case 'w':
		if (parse_time(arg, &o->interval_ns) < 0 || o->interval_ns < 10000000 ||
		    o->interval_ns > UINT64_C(86400000000000))
			return usage_error(state,
					   "--watch=%s: write a time such as 2 (seconds) or 500ms, from 10ms to a day",
					   arg);
		return 0;
	case 'e':
		o->fail_if_any = true;
		invocation_of(state)->exit_failed = EXIT_UNKNOWN;
		return 0;
	default:
		return parse_alarm(key, arg, &o->alarm, state);
	}
}

/* The results of one listing. */
struct seen {
	bool any;      /* a thread that waits */
	size_t hidden; /* processes that could not be inspected */
};

static int add_rows(struct invocation *inv, const struct uffdctl_pending *p, bool *any)
{
	const struct pending_options *o = inv->options;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < uffdctl_pending_count(p); i++) {
		struct waiter_row row = { uffdctl_pending_get(p, i), uffdctl_pending_list(p) };

		if (!alarm_counts(&o->alarm, row.waiter))
			continue;
		*any = true;
		r = table_row(inv->table, &row);
	}
	return r;
}

/* Is a waiter on this userfaultfd listed? */
static bool is_waited_on(uint32_t ctx, const struct pending_options *o, const struct uffdctl_pending *p)
{
	for (size_t i = 0; i < uffdctl_pending_count(p); i++)
		if (uffdctl_pending_get(p, i)->ctx == ctx && alarm_counts(&o->alarm, uffdctl_pending_get(p, i)))
			return true;
	return false;
}

/* Scripts that read columns choose them, or take them without a heading or blanks: these get the waiters alone. */
static bool wants_handlers(const struct table_style *s, const struct uffdctl_pending *p, bool any)
{
	/* In JSON each list is there, if empty. */
	return s->json || (p && any && uffdctl_pending_handlers(p) && !s->columns && !s->raw && !s->noheadings);
}

static bool is_first_holder(const struct uffdctl_list *l, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (uffdctl_list_get(l, j)->ctx == uffdctl_list_get(l, i)->ctx)
			return false;
	return true;
}

/* Waiters that have nobody to turn to. */
static void say_unread(struct invocation *inv, const struct uffdctl_pending *p)
{
	const struct uffdctl_list *l = uffdctl_pending_list(p);
	const struct uffdctl_uffd *first = NULL;
	char more[80] = "";
	size_t nr = 0;

	for (size_t i = 0; i < uffdctl_list_count(l); i++) {
		const struct uffdctl_uffd *v = uffdctl_list_get(l, i);

		if (v->has_reader != 0 || !v->pending || v->pending == UFFDCTL_UNKNOWN || !is_first_holder(l, i) ||
		    !is_waited_on(v->ctx, inv->options, p))
			continue;
		first = first ?: v;
		nr++;
	}
	if (!first)
		return;
	if (nr > 1)
		snprintf(more, sizeof(more), ", nor for those of %zu more (READER of uffdctl list)", nr - 1);
	note(&inv->messages,
	     "no thread waits for the messages of userfaultfd %d of %d (%" PRIu64
	     " not read)%s: the handler is busy, or there is none",
	     first->fd, first->pid, first->pending, more);
}

/* So many rows fit on a screen. Those that matter come first: readers, then those in a system call on a descriptor. */
#define MAX_HANDLERS 32

static int add_handlers(struct invocation *inv, const struct uffdctl_pending *p)
{
	size_t nr = p ? uffdctl_pending_handlers(p) : 0, nr_shown = 0, nr_left = 0;
	bool traced = false;
	int r;

	for (size_t i = 0; i < nr; i++)
		traced |= uffdctl_pending_handler(p, i)->tracer_pid != 0;
	r = table_next(inv->table, "handlers", handler_columns, inv->style.json || traced ? COL_GROUP : 0);
	for (size_t i = 0; r >= 0 && i < nr; i++) {
		const struct uffdctl_handler *h = uffdctl_pending_handler(p, i);

		if (!is_waited_on(h->ctx, inv->options, p))
			continue;
		if (inv->style.json || nr_shown++ < MAX_HANDLERS)
			r = table_row(inv->table, h);
		else
			nr_left++;
	}
	if (!inv->style.json && p)
		say_unread(inv, p);
	if (nr_left)
		note(&inv->messages, "%zu more threads can resolve: --json lists all", nr_left);
	return r;
}

static void say_none(struct invocation *inv, size_t hidden)
{
	const struct pending_options *o = inv->options;

	/* A health check that may not inspect all processes must not report success. */
	if (hidden && o->fail_if_any)
		error(&inv->messages, "it is not known whether a thread waits: %zu processes can't be inspected",
		      hidden);
	else if (!inv->style.json)
		note(&inv->messages, o->alarm.older_than_ns ? "no thread has waited that long on a userfaultfd"
				     : hidden		    ? "no visible thread waits on a userfaultfd"
							    : "no thread waits on a userfaultfd");
}

/* @r: of finding them; without any, p is NULL */
static int show_waiters(struct invocation *inv, struct uffdctl_pending *p, int r, struct seen *ret)
{
	*ret = (struct seen){};
	if (r >= 0) {
		r = add_rows(inv, p, &ret->any);
		ret->hidden = uffdctl_pending_hidden(p);
	}
	if (wants_handlers(&inv->style, p, ret->any) && add_handlers(inv, p) < 0)
		r = -EIO;
	if (r >= 0 && !ret->any)
		say_none(inv, ret->hidden);
	if (table_end(inv->table) < 0)
		r = -EIO;
	if (p)
		source_note(inv, uffdctl_pending_list(p), 0);
	return r;
}

static int list_waiters(struct invocation *inv, const struct uffdctl_find_opts *opts, struct seen *ret)
{
	struct pending_options *o = inv->options;
	struct uffdctl_pending *p = NULL;
	int r = pids_check(&o->pids, inv);

	if (r >= 0)
		r = uffdctl_pending(inv->context, opts, &p);
	r = show_waiters(inv, p, r, ret);
	uffdctl_pending_free(p);
	return r;
}

/* Wait for the next listing, if there is one. */
static bool goes_on(struct invocation *inv)
{
	const struct pending_options *o = inv->options;
	struct timespec interval = { o->interval_ns / 1000000000, o->interval_ns % 1000000000 };

	if (!o->interval_ns || stdout_unread(&inv->messages))
		return false;
	return !interrupted() && nanosleep(&interval, NULL) == 0 && !interrupted();
}

static int run_wait(struct invocation *inv, const struct uffdctl_find_opts *opts)
{
	struct pending_options *o = inv->options;
	struct uffdctl_pending *p = NULL;
	struct seen seen;
	int r = alarm_until(inv, &o->alarm, &o->pids, opts, &p), shown;

	if (r == -EINTR)
		return EXIT_INTERRUPTED;
	shown = show_waiters(inv, p, r, &seen);
	uffdctl_pending_free(p);
	if (r < 0 || shown < 0)
		return EXIT_UNKNOWN;
	if (!r)
		note(&inv->messages, "the time is over (--timeout)");
	return r ? EXIT_DONE : EXIT_UNDONE;
}

static int run_list(struct invocation *inv, const struct uffdctl_find_opts *opts)
{
	const struct pending_options *o = inv->options;
	struct seen seen = {};
	int r;

	if (o->interval_ns)
		interrupts_catch(true);
	do {
		r = list_waiters(inv, opts, &seen);
	} while (r >= 0 && goes_on(inv));
	if (r < 0 || !o->fail_if_any)
		return r < 0 ? inv->exit_failed : EXIT_DONE;
	return seen.any ? EXIT_UNDONE : seen.hidden ? EXIT_UNKNOWN : EXIT_DONE;
}

static int run_pending(struct invocation *inv)
{
	struct pending_options *o = inv->options;
	struct uffdctl_find_opts opts = { sizeof(opts), o->pids.list, o->pids.nr, o->source, UFFDCTL_FIND_HANDLERS };
	int status = o->alarm.wait ? run_wait(inv, &opts) : run_list(inv, &opts);

	pids_free(&o->pids);
	return status;
}

static const struct option_group pending_groups[] = {
	{ &pids_argp, offsetof(struct pending_options, pids) },
	{ &source_argp, offsetof(struct pending_options, source) },
	{},
};

const struct cmd cmd_pending = {
	.name = "pending",
	.summary = "List the threads that wait on a userfaultfd now",
	.args = "[PID...]",
	.options = pending_options,
	.parse = parse_pending,
	.groups = pending_groups,
	.options_size = sizeof(struct pending_options),
	.columns = pending_columns,
	.more_columns = handler_columns,
	.run = run_pending,
};
