// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl watch: every fault as it ends, and totals. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "cmd/values.h"
#include "cmd/watch/watch.h"

static struct uffdctl_watch_opts opts;
static struct uffdctl_ranges *ranges;
static uint64_t max_count = UINT64_MAX, duration_ns = UINT64_MAX;
static uint64_t nr_shown;
struct watch_options watch_options;

/* ---- options ---- */

enum {
	OPT_LINE = 0x400,
	OPT_SUMMARY,
	OPT_BACKEND,
	OPT_MIN_WAIT,
	OPT_CONTROL,
	OPT_RANGE,
	OPT_CHILDREN,
	OPT_INTERVAL,
	OPT_LINES,
};

static const struct argp_option options[] = {
	{ "line", OPT_LINE, NULL, 0,
	  "One line a fault, and a summary at the end: the default where there is no terminal", 10 },
	{ "summary", OPT_SUMMARY, NULL, 0, "The summary alone: no event stream, the cheapest way", 10 },
	{ "control", OPT_CONTROL, NULL, 0,
	  "In the view on a terminal: keys that continue minor faults, after a question", 10 },
	{ "children", OPT_CHILDREN, NULL, 0, "Also processes that those of PID have started, or will", 20 },
	{ "range", OPT_RANGE, "RANGE", 0, "Only faults there; may be given several times, with one PID", 20 },
	{ "kind", 'k', "KINDS", 0, "Only these kinds: minor, missing, wp, rwp, or several with commas", 20 },
	{ "access", 'a', "ACCESS", 0, "Only read or write", 20 },
	{ "min-wait", OPT_MIN_WAIT, "TIME", 0,
	  "Show only faults that waited this long (100us, 5ms, 2s); totals count all", 20 },
	{ "lines", OPT_LINES, NULL, 0, "Show the instruction's file and line too, where there is debug information",
	  25 },
	{ "count", 'c', "N", 0, "End after N faults that were shown", 30 },
	{ "duration", 'd', "TIME", 0, "End after this time: 500ms, 10s, 5m", 30 },
	{ "interval", OPT_INTERVAL, "TIME", 0, "Show totals each time that this has passed", 30 },
	{ "backend", OPT_BACKEND, "NAME", 0,
	  "How faults are seen: tracepoint, fentry, kprobe or sched; by default the best that can be had", 40 },
	{}
};

static error_t parse_kinds(const char *arg, struct argp_state *state)
{
	_cleanup_free_ char *copy = strdup(arg);
	char *rest = copy, *name;

	while (copy && (name = strsep(&rest, ","))) {
		enum uffdctl_kind k = UFFDCTL_KIND_MINOR;

		while (k <= UFFDCTL_KIND_RWP && strcmp(name, uffdctl_kind_name(k)))
			k++;
		if (k > UFFDCTL_KIND_RWP)
			return usage_error(state, "--kind=%s: write minor, missing, wp, rwp, or several with commas",
					   arg);
		opts.kinds |= 1u << k;
	}
	return 0;
}

static error_t parse_access(const char *arg, struct argp_state *state)
{
	if (!strcmp(arg, "read"))
		opts.access = 1u << UFFDCTL_ACCESS_READ;
	else if (!strcmp(arg, "write"))
		opts.access = 1u << UFFDCTL_ACCESS_WRITE;
	else
		return usage_error(state, "--access=%s: write read or write", arg);
	return 0;
}

static bool has_view(void)
{
	return !watch_options.inv->style.json && !watch_options.lines && !watch_options.summary_only && view_usable();
}

static error_t check_options(struct argp_state *state)
{
	const struct pids *p = state->input;

	if (watch_options.inv->style.columns)
		return usage_error(state, "--output: this command has no columns");
	if (watch_options.control && !has_view())
		return usage_error(state, "--control: only the view has it, which needs a terminal");
	if (watch_options.summary_only && (watch_options.min_wait_ns || max_count != UINT64_MAX))
		return usage_error(state, "--summary shows no single fault: --min-wait and --count do without it");
	if (ranges && p->nr != 1)
		return usage_error(state, "--range is of one process: give its PID");
	if (opts.flags & UFFDCTL_WATCH_CHILDREN && !p->nr)
		return usage_error(state, "--children: of which PID? Without one, all processes are watched");
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		watch_options.inv = invocation_of(state);
		return 0;
	case ARGP_KEY_ERROR:
		uffdctl_ranges_free(ranges);
		return 0;
	case OPT_LINE:
		watch_options.lines = true;
		return 0;
	case OPT_SUMMARY:
		watch_options.summary_only = true;
		return 0;
	case OPT_CONTROL:
		watch_options.control = true;
		return 0;
	case OPT_BACKEND:
		if (strcmp(arg, "tracepoint") && strcmp(arg, "fentry") && strcmp(arg, "kprobe") && strcmp(arg, "sched"))
			return usage_error(state, "--backend=%s: write tracepoint, fentry, kprobe or sched", arg);
		opts.backend = arg;
		return 0;
	case 'k':
		return parse_kinds(arg, state);
	case 'a':
		return parse_access(arg, state);
	case OPT_MIN_WAIT:
		if (parse_time(arg, &watch_options.min_wait_ns) < 0)
			return usage_error(state, "--min-wait=%s: write a time such as 100us, 5ms or 2s", arg);
		return 0;
	case 'd':
		if (parse_time(arg, &duration_ns) < 0)
			return usage_error(state, "--duration=%s: write a time such as 500ms, 10s or 5m", arg);
		return 0;
	case OPT_INTERVAL:
		if (parse_time(arg, &watch_options.interval_ns) < 0 || watch_options.interval_ns < 10000000)
			return usage_error(state,
					   "--interval=%s: write a time such as 500ms, 10s or 5m, of 10ms at least",
					   arg);
		return 0;
	case OPT_LINES:
		watch_options.source_lines = true;
		return 0;
	case OPT_CHILDREN:
		opts.flags |= UFFDCTL_WATCH_CHILDREN;
		return 0;
	case OPT_RANGE:
		if (!ranges && uffdctl_ranges_new(watch_options.inv->context, &ranges) < 0)
			return ENOMEM;
		return uffdctl_ranges_add(ranges, arg) < 0 ? EINVAL : 0;
	case 'c':
		if (uffdctl_size_parse(arg, &max_count) < 0 || !max_count)
			return usage_error(state, "--count=%s: write a number from 1 on", arg);
		return 0;
	case ARGP_KEY_END:
		return check_options(state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- running ---- */

uint64_t watch_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

static const struct dress *dress;
static struct uffdctl_symbols *symbols;

const char *watch_symbol(pid_t pid, uint64_t ip, int timeout_ms)
{
	const char *text;

	if (ip == UFFDCTL_UNKNOWN)
		return NULL;
	if (!symbols && uffdctl_symbols_new(watch_options.inv->context,
					    watch_options.source_lines ? UFFDCTL_SYMBOLS_LINES : 0, &symbols) < 0)
		return NULL;
	return uffdctl_symbols_get(symbols, pid, ip, timeout_ms, &text) == 0 ? text : NULL;
}

static void on_fault(void *data, const struct uffdctl_fault *f)
{
	uint64_t least = watch_options.min_wait_ns;

	(void)data;
	/* A wait that is not known may have been shorter. */
	if ((least && f->wait_ns == UFFDCTL_UNKNOWN) || f->wait_ns < least || nr_shown >= max_count)
		return;
	nr_shown++;
	dress->fault(f);
}

/* Reads of the stream that are as much as it has room for. */
#define MAX_READS 32

/* What has ended until now. */
static int read_stream(struct uffdctl_watch *w)
{
	int r = 1;

	for (int i = 0; r > 0 && i < MAX_READS; i++)
		r = uffdctl_watch_poll(w, 0, on_fault, NULL);
	return r;
}

static int step(struct uffdctl_watch *w, int timeout_ms)
{
	int r = dress->wait ? dress->wait(timeout_ms) : 0;

	if (r)
		return r;
	r = dress->wait ? read_stream(w) : uffdctl_watch_poll(w, timeout_ms, on_fault, NULL);
	if (r >= 0 && dress->show)
		r = dress->show(w);
	/* Whoever reads a pipe wants the lines now; a reader that is gone ends us. */
	if (r >= 0 && fflush(stdout))
		return -EPIPE;
	return r == -EINTR || r > 0 ? 0 : r;
}

static int show_totals(struct uffdctl_watch *w, uint64_t passed)
{
	struct uffdctl_watch_stats st;
	int r = uffdctl_watch_stats(w, &st);

	if (r >= 0)
		dress->totals(&st, passed, uffdctl_watch_backend(w));
	return r;
}

/* In the view there is still something to look at. */
static bool is_over(struct uffdctl_watch *w)
{
	return interrupted() || (!dress->wait && uffdctl_watch_ended(w));
}

static uint64_t passed_ns(const struct uffdctl_watch *w)
{
	return watch_now_ns() - uffdctl_watch_began_ns(w);
}

static int watch(struct uffdctl_watch *w, struct uffdctl_watch_stats *st, uint64_t *passed)
{
	uint64_t interval = dress->totals ? watch_options.interval_ns : 0, ready = watch_now_ns(), now = 0;
	uint64_t due = interval ?: UINT64_MAX;
	int r = dress->begin ? dress->begin(w) : 0;

	while (!r && !is_over(w) && nr_shown < max_count && now < duration_ns) {
		uint64_t until = due < duration_ns ? due : duration_ns, left_ms = (until - now) / 1000000 + 1;

		r = step(w, left_ms < 200 ? (int)left_ms : 200);
		now = watch_now_ns() - ready;
		if (!r && interval && now >= due) {
			r = show_totals(w, passed_ns(w));
			due += interval * ((now - due) / interval + 1);
		}
	}
	/* What ended until now and is in the totals shall be in the stream too. */
	if (r >= 0 && !watch_options.summary_only)
		read_stream(w);
	if (r >= 0)
		r = uffdctl_watch_stats(w, st);
	*passed = passed_ns(w);
	return r;
}

static int run(struct invocation *inv)
{
	struct uffdctl_watch_stats st;
	struct uffdctl_watch *w = NULL;
	uint64_t passed = 0;
	int r;

	watch_options.pids = *(struct pids *)inv->options;
	if (pids_check(&watch_options.pids, inv) < 0)
		return EXIT_UNDONE;
	dress = watch_options.inv->style.json ? &dress_json : has_view() ? &dress_view : &dress_lines;
	interrupts_catch(true);
	opts.pids = watch_options.pids.list;
	opts.nr_pids = watch_options.pids.nr;
	opts.ranges = ranges;
	if (!watch_options.summary_only)
		opts.flags |= UFFDCTL_WATCH_STREAM;
	r = uffdctl_watch_open(watch_options.inv->context, &opts, &w);
	if (r >= 0) {
		if (watch_options.inv->verbose)
			note(&inv->messages, "watching by backend %s", uffdctl_watch_backend(w));
		if (dress == &dress_lines && uffdctl_watch_stats(w, &st) == 0 && st.before)
			note(&inv->messages, "%" PRIu64 " thread%s already: see uffdctl pending", st.before,
			     st.before == 1 ? " waits" : "s wait");
		r = watch(w, &st, &passed);
		dress->end(r < 0 ? NULL : &st, passed, uffdctl_watch_backend(w));
	}
	uffdctl_watch_close(w);
	uffdctl_symbols_free(symbols);
	uffdctl_ranges_free(ranges);
	pids_free(&watch_options.pids);
	if (stdout_failed(&inv->messages))
		return EXIT_UNDONE;
	return r < 0 ? EXIT_UNDONE : EXIT_DONE;
}

const struct cmd cmd_watch = {
	.name = "watch",
	.summary = "Show every fault as it ends, and totals",
	.args = "[PID...]",
	.options = options,
	.parse = parse,
	.groups = (const struct option_group[]){ { &pids_argp, 0 }, {} },
	.options_size = sizeof(struct pids),
	.run = run,
};
