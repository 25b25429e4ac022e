// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl watch: every fault as it ends, and totals. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "pids.h"
#include "progress.h"

static const char *backend;
static unsigned int only_kinds, only_access;
static uint64_t min_wait_ns, max_count = UINT64_MAX, duration_ns = UINT64_MAX;
static bool summary_only, started;
static uint64_t nr_shown;

/* ---- options ---- */

enum {
	OPT_LINE = 0x400,
	OPT_SUMMARY,
	OPT_BACKEND,
	OPT_MIN_WAIT,
};

static const struct argp_option options[] = {
	{ "line", OPT_LINE, NULL, 0, "One line a fault, and a summary at the end (the default)", 10 },
	{ "summary", OPT_SUMMARY, NULL, 0, "The summary alone: no event stream, the cheapest way", 10 },
	{ "kind", 'k', "KINDS", 0, "Only these kinds: minor, missing, wp, rwp, or several with commas", 20 },
	{ "access", 'a', "ACCESS", 0, "Only read or write", 20 },
	{ "min-wait", OPT_MIN_WAIT, "TIME", 0, "Only faults that waited this long: 100us, 5ms, 2s", 20 },
	{ "count", 'c', "N", 0, "End after N faults that were shown", 30 },
	{ "duration", 'd', "TIME", 0, "End after this time: 500ms, 10s, 5m", 30 },
	{ "backend", OPT_BACKEND, "NAME", 0, "How faults are seen: sched; by default the best that can be had", 40 },
	{}
};

static int parse_time(const char *text, uint64_t *ret)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 },  { "s", 1e9 },
		      { "", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	char *end;
	double n = strtod(text, &end);

	for (size_t i = 0; end > text && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) || !(n >= 0) || n * units[i].ns > 9e18)
			continue;
		*ret = n * units[i].ns;
		return 0;
	}
	return -EINVAL;
}

static void parse_kinds(const char *arg, struct argp_state *state)
{
	_cleanup_free_ char *copy = strdup(arg);
	char *rest = copy, *name;

	while (copy && (name = strsep(&rest, ","))) {
		enum uffdctl_kind k = UFFDCTL_KIND_MINOR;

		while (k <= UFFDCTL_KIND_RWP && strcmp(name, uffdctl_kind_name(k)))
			k++;
		if (k > UFFDCTL_KIND_RWP)
			argp_error(state, "--kind=%s: write minor, missing, wp, rwp, or several with commas", arg);
		only_kinds |= 1u << k;
	}
}

static void parse_access(const char *arg, struct argp_state *state)
{
	if (!strcmp(arg, "read"))
		only_access = 1u << UFFDCTL_ACCESS_READ;
	else if (!strcmp(arg, "write"))
		only_access = 1u << UFFDCTL_ACCESS_WRITE;
	else
		argp_error(state, "--access=%s: write read or write", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case OPT_LINE:
		return 0;
	case OPT_SUMMARY:
		summary_only = true;
		return 0;
	case OPT_BACKEND:
		backend = arg;
		return 0;
	case 'k':
		parse_kinds(arg, state);
		return 0;
	case 'a':
		parse_access(arg, state);
		return 0;
	case OPT_MIN_WAIT:
		if (parse_time(arg, &min_wait_ns) < 0)
			argp_error(state, "--min-wait=%s: write a time such as 100us, 5ms or 2s", arg);
		return 0;
	case 'd':
		if (parse_time(arg, &duration_ns) < 0)
			argp_error(state, "--duration=%s: write a time such as 500ms, 10s or 5m", arg);
		return 0;
	case 'c':
		if (uffdctl_size_parse(arg, &max_count) < 0 || !max_count)
			argp_error(state, "--count=%s: write a number", arg);
		return 0;
	case ARGP_KEY_ARG:
		pids_add(arg, state);
		return 0;
	case ARGP_KEY_END:
		if (common.columns)
			argp_error(state, "--output: this command has no columns");
		if (summary_only && (only_kinds || only_access || min_wait_ns || max_count != UINT64_MAX))
			argp_error(state,
				   "--summary counts all faults: --kind, --access, --min-wait and --count need the stream");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- faults ---- */

static json_object *json_number(uint64_t n)
{
	return n == UFFDCTL_UNKNOWN ? NULL : json_object_new_uint64(n);
}

static json_object *json_text(const char *text)
{
	_cleanup_free_ char *s = NULL;

	return text && uffdctl_escape(text, &s) == 0 ? json_object_new_string(s) : NULL;
}

static json_object *json_address(uint64_t addr)
{
	char s[32];

	if (addr == UFFDCTL_UNKNOWN)
		return NULL;
	snprintf(s, sizeof(s), "0x%" PRIx64, addr);
	return json_object_new_string(s);
}

static void add(json_object *o, const char *key, json_object *value)
{
	json_object_object_add(o, key, value);
}

static const char *access_name(enum uffdctl_access access)
{
	return access == UFFDCTL_ACCESS_WRITE ? "write" : access == UFFDCTL_ACCESS_READ ? "read" : NULL;
}

static void print_json(json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

static void fault_json(const struct uffdctl_fault *f)
{
	json_object *o = json_object_new_object();

	add(o, "type", json_object_new_string("fault"));
	add(o, "ts_ns", json_number(f->start_ns));
	add(o, "pid", json_number(f->pid));
	add(o, "tid", json_number(f->tid));
	add(o, "comm", json_text(f->comm));
	add(o, "target_pid", f->target_pid ? json_number(f->target_pid) : NULL);
	add(o, "addr", json_address(f->addr));
	add(o, "kind", json_text(uffdctl_kind_name(f->kind)));
	add(o, "access", json_text(access_name(f->access)));
	add(o, "wait_ns", json_number(f->wait_ns));
	add(o, "queue_ns", json_number(f->queue_ns));
	add(o, "ended", json_text(uffdctl_end_name(f->end)));
	add(o, "resolver_pid", f->resolver_pid ? json_number(f->resolver_pid) : NULL);
	add(o, "resolver_comm", f->resolver_pid ? json_text(f->resolver_comm) : NULL);
	add(o, "op", json_text(f->op));
	add(o, "name", json_text(f->name));
	add(o, "offset", json_number(f->offset));
	add(o, "ip", json_address(f->ip));
	print_json(o);
}

static void fault_line(const struct uffdctl_fault *f)
{
	_cleanup_free_ char *comm = NULL, *resolver = NULL, *name = NULL, *wait = human_duration(f->wait_ns);

	uffdctl_escape(f->comm, &comm);
	uffdctl_escape(f->resolver_comm, &resolver);
	uffdctl_escape(f->name ? f->name : "-", &name);
	if (!started && !common.noheadings)
		printf("%15s %8s %-15s %-7s %-6s %12s %9s %-10s %8s %-15s %s\n", "TIME", "TID", "COMM", "KIND",
		       "ACCESS", "ADDR", "WAIT", "ENDED", "RESOLVER", "", "NAME");
	started = true;
	printf("%8" PRIu64 ".%06" PRIu64 " %8d %-15s %-7s %-6s %12" PRIx64 " %9s %-10s %8d %-15s %s",
	       f->start_ns / 1000000000, f->start_ns / 1000 % 1000000, f->tid, comm, uffdctl_kind_name(f->kind),
	       access_name(f->access), f->addr, wait, f->op ? f->op : uffdctl_end_name(f->end), f->resolver_pid,
	       resolver, name);
	if (f->offset != UFFDCTL_UNKNOWN)
		printf("+0x%" PRIx64, f->offset);
	putchar('\n');
}

static void on_fault(void *data, const struct uffdctl_fault *f)
{
	(void)data;
	if ((only_kinds && !(only_kinds >> f->kind & 1)) || (only_access && !(only_access >> f->access & 1)) ||
	    f->wait_ns < min_wait_ns || nr_shown >= max_count)
		return;
	nr_shown++;
	if (common.json)
		fault_json(f);
	else
		fault_line(f);
}

/* ---- the summary ---- */

/* The bucket's upper bound: what p of the waits did not exceed. */
static uint64_t percentile(const struct uffdctl_watch_stats *st, double p)
{
	uint64_t sum = 0, total = 0, bound;

	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		total += st->buckets[i];
	if (!total)
		return UFFDCTL_UNKNOWN;
	for (int i = 0; i < UFFDCTL_NR_BUCKETS - 1; i++) {
		sum += st->buckets[i];
		bound = UINT64_C(1000) << i;
		if (sum >= p * total)
			return bound < st->max_wait_ns ? bound : st->max_wait_ns;
	}
	return st->max_wait_ns;
}

static uint64_t sum_of(const uint64_t *n, int nr)
{
	uint64_t sum = 0;

	for (int i = 0; i < nr; i++)
		sum += n[i];
	return sum;
}

static void summary_json(const struct uffdctl_watch_stats *st, uint64_t ns, const char *name)
{
	json_object *o = json_object_new_object(), *faults = json_object_new_object(),
		    *ended = json_object_new_object(), *wait = json_object_new_object(),
		    *histogram = json_object_new_array();

	for (int i = 0; i < 4; i++)
		add(faults, uffdctl_kind_name(UFFDCTL_KIND_MINOR + i), json_number(st->faults[i]));
	for (int i = 0; i < UFFDCTL_NR_ENDS; i++)
		add(ended, uffdctl_end_name(i), json_number(st->ended[i]));
	add(wait, "p50", json_number(percentile(st, 0.5)));
	add(wait, "p90", json_number(percentile(st, 0.9)));
	add(wait, "p99", json_number(percentile(st, 0.99)));
	add(wait, "max", json_number(sum_of(st->buckets, UFFDCTL_NR_BUCKETS) ? st->max_wait_ns : UFFDCTL_UNKNOWN));
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		json_object *b = json_object_new_object();

		add(b, "le_ns", json_number(i < UFFDCTL_NR_BUCKETS - 1 ? UINT64_C(1000) << i : UFFDCTL_UNKNOWN));
		add(b, "count", json_number(st->buckets[i]));
		json_object_array_add(histogram, b);
	}
	add(o, "type", json_object_new_string("summary"));
	add(o, "duration_ns", json_number(ns));
	add(o, "faults", faults);
	add(o, "delivered", json_number(st->delivered));
	add(o, "blocked", json_number(st->blocked));
	add(o, "ended", ended);
	add(o, "pending", json_number(st->pending));
	add(o, "pending_before", json_number(st->before));
	add(o, "lost_events", json_number(st->lost_events));
	add(o, "missed", json_number(st->missed));
	add(o, "wait_ns", wait);
	add(o, "histogram", histogram);
	add(o, "backend", json_object_new_string(name));
	print_json(o);
}

static void summary_text(const struct uffdctl_watch_stats *st, uint64_t ns, const char *name)
{
	static const char *const labels[] = { "p50", "p90", "p99" };
	static const double points[] = { 0.5, 0.9, 0.99 };
	uint64_t most = 0, total = sum_of(st->buckets, UFFDCTL_NR_BUCKETS);

	printf("%s%" PRIu64 " faults in %.1f s (%s): minor %" PRIu64 ", missing %" PRIu64 ", wp %" PRIu64
	       ", rwp %" PRIu64 "\n",
	       started ? "\n" : "", sum_of(st->faults, 4), ns / 1e9, name, st->faults[0], st->faults[1], st->faults[2],
	       st->faults[3]);
	printf("delivered %" PRIu64 ", blocked %" PRIu64 ", woken %" PRIu64 ", signal %" PRIu64 ", released %" PRIu64
	       ", not waited %" PRIu64 ", pending %" PRIu64 "; waited before %" PRIu64 "; events lost %" PRIu64
	       ", missed %" PRIu64 "\n",
	       st->delivered, st->blocked, st->ended[0], st->ended[1], st->ended[2], st->ended[3], st->pending,
	       st->before, st->lost_events, st->missed);
	if (!total)
		return;
	printf("wait");
	for (int i = 0; i < 3; i++) {
		_cleanup_free_ char *s = human_duration(percentile(st, points[i]));

		printf(" %s <= %s,", labels[i], s);
	}
	_cleanup_free_ char *max = human_duration(st->max_wait_ns);
	printf(" max %s\n", max);
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		most = st->buckets[i] > most ? st->buckets[i] : most;
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		static const char bar[] = "########################################";
		_cleanup_free_ char *s = human_duration(UINT64_C(1000) << i);

		if (st->buckets[i])
			printf("%10s %10" PRIu64 " %.*s\n", i < UFFDCTL_NR_BUCKETS - 1 ? s : "more", st->buckets[i],
			       (int)(st->buckets[i] * 40 / most), bar);
	}
}

/* ---- running ---- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

static int watch(struct uffdctl_watch *w)
{
	uint64_t began = now_ns(), passed = 0;
	struct uffdctl_watch_stats st;
	int r = 0;

	if (!common.json && !summary_only && common.verbose)
		note("backend %s", uffdctl_watch_backend(w));
	while (!progress_interrupted() && nr_shown < max_count && passed < duration_ns && r >= 0) {
		uint64_t left_ms = (duration_ns - passed) / 1000000 + 1;

		r = uffdctl_watch_poll(w, left_ms < 200 ? (int)left_ms : 200, on_fault, NULL);
		if (r == -EINTR)
			r = 0;
		/* Whoever reads a pipe wants the lines now; a reader that is gone ends us. */
		if (r >= 0 && fflush(stdout))
			r = -EPIPE;
		passed = now_ns() - began;
	}
	/* What ended until now and is in the totals shall be in the stream too. */
	if (r >= 0 && !summary_only)
		uffdctl_watch_poll(w, 0, on_fault, NULL);
	if (r >= 0)
		r = uffdctl_watch_stats(w, &st);
	if (r < 0)
		return r;
	if (common.json)
		summary_json(&st, passed, uffdctl_watch_backend(w));
	else
		summary_text(&st, passed, uffdctl_watch_backend(w));
	return 0;
}

static int run(void)
{
	struct uffdctl_watch *w = NULL;
	int r;

	if (pids_check())
		return EXIT_UNDONE;
	progress_begin();
	r = uffdctl_watch_open(ctx(), backend, pids, nr_pids, summary_only ? 0 : UFFDCTL_WATCH_STREAM, &w);
	if (r >= 0)
		r = watch(w);
	uffdctl_watch_close(w);
	pids_free();
	uffdctl_free(ctx());
	if (stdout_failed())
		return EXIT_UNDONE;
	return r < 0 ? EXIT_UNDONE : EXIT_DONE;
}

const struct cmd cmd_watch = {
	.name = "watch",
	.summary = "Show every fault as it ends, and totals",
	.args = "[PID...]",
	.options = options,
	.parse = parse,
	.children = (const struct argp_child[]){ { &common_argp, 0, NULL, 0 }, {} },
	.run = run,
};
