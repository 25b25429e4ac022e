// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of watch, as a struct that its parser fills. */
#include <stdlib.h>
#include <string.h>

#include "cmd/http_server.h"
#include "cmd/usage.h"
#include "cmd/values.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/options.h"

/* As often as Prometheus looks. */
#define METRICS_NS (15000 * MILLISECOND)
/* Of --record-size, as uffdctl_recorder_new() wants it. */
#define MIN_RECORD_SIZE 65536

enum {
	OPT_LINE = 0x400,
	OPT_SUMMARY,
	OPT_BACKEND,
	OPT_MIN_WAIT,
	OPT_CONTROL,
	OPT_RANGE,
	OPT_CHILDREN,
	OPT_INTERVAL,
	OPT_SOURCE_LINES,
	OPT_UNTIL_CLOSED,
	OPT_METRICS,
	OPT_LISTEN,
	OPT_BY_MAPPING,
	OPT_RECORD,
	OPT_RECORD_SIZE,
};

const struct argp_option watch_argp_options[] = {
	{ "line", OPT_LINE, NULL, 0,
	  "Print a line for each fault, and a summary at the end; the default if there is no terminal", 10 },
	{ "summary", OPT_SUMMARY, NULL, 0, "Print only a summary; this costs the watched processes least", 10 },
	{ "openmetrics", OPT_METRICS, "FILE", 0,
	  "Print nothing; write totals to FILE at each interval, by default 15s, for Prometheus' node_exporter", 10 },
	{ "listen", OPT_LISTEN, "[ADDRESS:]PORT", 0,
	  "Print nothing; answer GET /metrics with the same totals, by default only to this machine", 10 },
	{ "by-mapping", OPT_BY_MAPPING, NULL, 0,
	  "With --openmetrics and --listen: totals by mapping, too; this costs what lines cost", 10 },
	{ "control", OPT_CONTROL, NULL, 0, "Enable keys in the view that continue minor faults, after a confirmation",
	  10 },
	{ "record", OPT_RECORD, "FILE", 0,
	  "Record every fault into FILE, for uffdctl report, and print only a summary (with --line, lines too)", 15 },
	{ "record-size", OPT_RECORD_SIZE, "SIZE", 0,
	  "When FILE has this size (64K or more), rename it to FILE.1 and begin a new one; 8 older files are kept",
	  15 },
	{ "children", OPT_CHILDREN, NULL, 0,
	  "Also watch the descendants of each PID, those that exist and those to come", 20 },
	{ "range", OPT_RANGE, "RANGE", 0, "Watch only faults in this range of one PID; may be given several times",
	  20 },
	{ "kind", 'k', "KINDS", 0, "Watch only these kinds: minor, missing, wp, rwp, or several, separated by commas",
	  20 },
	{ "access", 'a', "ACCESS", 0, "Watch only read or write faults", 20 },
	{ "min-wait", OPT_MIN_WAIT, "TIME", 0,
	  "Show only faults that waited at least this long (100us, 5ms, 2s); totals count all", 20 },
	{ "source-lines", OPT_SOURCE_LINES, NULL, 0,
	  "Also show the source file and line of the instruction, if there is debug information", 25 },
	{ "count", 'c', "N", 0, "End after N faults were shown", 30 },
	{ "duration", 'd', "TIME", 0, "End after this time: 500ms, 10s, 5m", 30 },
	{ "until-closed", OPT_UNTIL_CLOSED, NULL, 0,
	  "End when the last userfaultfd that governs the memory of the PIDs was closed", 30 },
	{ "interval", OPT_INTERVAL, "TIME", 0, "Show totals at this interval", 30 },
	{ "backend", OPT_BACKEND, "NAME", 0,
	  "How faults are seen: tracepoint, fentry, kprobe or sched; by default the best available one", 40 },
	{}
};

const char *const watch_backends[] = { "tracepoint", "fentry", "kprobe", "sched", NULL };

/* ---- arguments: each false when arg is none ---- */

static bool set_flag(void *field, const char *arg)
{
	(void)arg;
	*(bool *)field = true;
	return true;
}

static bool set_time(void *field, const char *arg)
{
	return parse_time(arg, field) == 0;
}

static bool set_record_size(void *field, const char *arg)
{
	return uffdctl_size_parse(arg, field) == 0 && *(uint64_t *)field >= MIN_RECORD_SIZE;
}

static bool set_interval(void *field, const char *arg)
{
	return set_time(field, arg) && *(uint64_t *)field >= 10 * MILLISECOND;
}

static bool set_count(void *field, const char *arg)
{
	return uffdctl_size_parse(arg, field) == 0 && *(uint64_t *)field;
}

static bool set_kinds(void *field, const char *arg)
{
	return uffdctl_modes_parse(arg, field) == 0;
}

static bool set_access(void *field, const char *arg)
{
	for (unsigned int a = UFFDCTL_ACCESS_READ; a <= UFFDCTL_ACCESS_WRITE; a++) {
		if (strcmp(arg, uffdctl_access_name(a)))
			continue;
		*(enum uffdctl_access *)field = a;
		return true;
	}
	return false;
}

static bool set_path(void *field, const char *arg)
{
	*(const char **)field = arg;
	return *arg;
}

/* PORT, ADDRESS:PORT, [ADDRESS]:PORT: whether it is an address is seen when it is used. */
static bool set_listen(void *field, const char *arg)
{
	*(const char **)field = arg;
	return is_http_address(arg);
}

static bool set_backend(void *field, const char *arg)
{
	*(const char **)field = arg;
	for (size_t i = 0; watch_backends[i]; i++)
		if (!strcmp(arg, watch_backends[i]))
			return true;
	return false;
}

/* ---- the parser ---- */

/* What an option sets, and the form of its argument. */
static const struct setter {
	int key;
	size_t field; /* of struct watch_options */
	bool (*set)(void *field, const char *arg);
	const char *name, *wanted;
} setters[] = {
#define FIELD(name) offsetof(struct watch_options, name)
	{ OPT_LINE, FIELD(lines), set_flag, NULL, NULL },
	{ OPT_SUMMARY, FIELD(summary_only), set_flag, NULL, NULL },
	{ OPT_METRICS, FIELD(metrics), set_path, "openmetrics", "the path of a file" },
	{ OPT_LISTEN, FIELD(listen), set_listen, "listen", HTTP_ADDRESS },
	{ OPT_CONTROL, FIELD(control), set_flag, NULL, NULL },
	{ OPT_BY_MAPPING, FIELD(by_mapping), set_flag, NULL, NULL },
	{ OPT_CHILDREN, FIELD(children), set_flag, NULL, NULL },
	{ OPT_UNTIL_CLOSED, FIELD(until_closed), set_flag, NULL, NULL },
	{ OPT_SOURCE_LINES, FIELD(source_lines), set_flag, NULL, NULL },
	{ 'k', FIELD(modes), set_kinds, "kind", "minor, missing, wp, rwp, or several, separated by commas" },
	{ 'a', FIELD(access), set_access, "access", "read or write" },
	{ 'c', FIELD(max_count), set_count, "count", "a number, at least 1" },
	{ 'd', FIELD(duration_ns), set_time, "duration", "a time such as 500ms, 10s or 5m" },
	{ OPT_MIN_WAIT, FIELD(min_wait_ns), set_time, "min-wait", "a time such as 100us, 5ms or 2s" },
	{ OPT_INTERVAL, FIELD(interval_ns), set_interval, "interval",
	  "a time such as 500ms, 10s or 5m, at least 10ms" },
	{ OPT_BACKEND, FIELD(backend), set_backend, "backend", "tracepoint, fentry, kprobe or sched" },
	{ OPT_RECORD, FIELD(record), set_path, "record", "the name of a file" },
	{ OPT_RECORD_SIZE, FIELD(record_size), set_record_size, "record-size", "a size such as 64K, 100M or 2G" },
#undef FIELD
};

/* They are looked up later, when the process is known. */
static error_t keep_range(struct watch_options *o, const char *arg)
{
	const char **p = reallocarray(o->ranges, o->nr_ranges + 1, sizeof(*p));

	if (!p)
		return ENOMEM;
	o->ranges = p;
	o->ranges[o->nr_ranges++] = arg;
	return 0;
}

static error_t set(struct watch_options *o, int key, const char *arg, struct argp_state *state)
{
	for (size_t i = 0; i < sizeof(setters) / sizeof(setters[0]); i++) {
		const struct setter *s = &setters[i];

		if (s->key != key)
			continue;
		return s->set((char *)o + s->field, arg)
			       ? 0
			       : usage_error(state, "--%s=%s: write %s", s->name, arg, s->wanted);
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t check_metrics(const struct watch_options *o, struct argp_state *state)
{
	if (o->metrics && o->listen)
		return usage_error(state, "--openmetrics can't be combined with --listen");
	if ((o->metrics || o->listen) &&
	    (o->json || o->lines || o->record || o->min_wait_ns || o->max_count != UINT64_MAX))
		return usage_error(
			state,
			"--%s shows no faults: it can't be combined with --json, --line, --record, --min-wait and --count",
			o->metrics ? "openmetrics" : "listen");
	if (o->by_mapping && !o->metrics && !o->listen)
		return usage_error(
			state,
			"--by-mapping is for --openmetrics and --listen: a summary has these totals, but for --summary");
	if (o->listen && o->interval_ns)
		return usage_error(state, "--listen has no --interval: totals are made for each request");
	return 0;
}

/* What can't be given together, as far as that shows in the options. */
static error_t check(const struct watch_options *o, struct argp_state *state)
{
	if (o->summary_only && (o->min_wait_ns || o->max_count != UINT64_MAX))
		return usage_error(state,
				   "--summary shows no single faults: it can't be combined with --min-wait and --count");
	if (o->summary_only && o->record)
		return usage_error(state, "--summary gets no single faults: --record alone prints a summary, too");
	if (o->record_size && !o->record)
		return usage_error(state, "--record-size is for --record");
	if (o->nr_ranges && o->pids.nr != 1)
		return usage_error(state, "--range requires exactly one PID");
	if (!o->pids.nr && (o->children || o->until_closed))
		return usage_error(state, "--%s requires a PID; without a PID, all processes are watched",
				   o->children ? "children" : "until-closed");
	return check_metrics(o, state);
}

error_t watch_options_parse(struct watch_options *o, int key, const char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		o->max_count = o->duration_ns = UINT64_MAX;
		return 0;
	case ARGP_KEY_ERROR:
		watch_options_free(o);
		return 0;
	case OPT_RANGE:
		return keep_range(o, arg);
	case ARGP_KEY_END:
		o->summary_only |= (o->metrics || o->listen) && !o->by_mapping;
		if (o->metrics)
			o->interval_ns = o->interval_ns ?: METRICS_NS;
		return check(o, state);
	default:
		return set(o, key, arg, state);
	}
}

void watch_options_free(struct watch_options *o)
{
	free(o->ranges);
	o->ranges = NULL;
}
