// SPDX-License-Identifier: GPL-2.0-or-later
/* watch as lines for a reader and as JSON lines: each fault, then the summary. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "cmd/duration.h"
#include "cmd/names.h"
#include "cmd/watch/watch.h"

/* Long enough for the first one of a large program; the stream has room for what comes meanwhile. */
#define SYMBOL_MS 300

static bool started;

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

static void print_json(json_object *o)
{
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

static void json_fault(const struct uffdctl_fault *f)
{
	json_object *o = json_object_new_object();

	add(o, "type", json_object_new_string("fault"));
	add(o, "ts_ns", json_number(f->start_ns));
	add(o, "pid", f->pid ? json_number(f->pid) : NULL);
	add(o, "tid", f->tid ? json_number(f->tid) : NULL);
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
	add(o, "symbol", json_text(watch_symbol(f->pid, f->ip, SYMBOL_MS)));
	print_json(o);
}

/* ---- lines ---- */

/* Lines come by the hundred thousand: printf(3) with its formats took most of the time. */
static char *put_left(char *p, const char *text, size_t width)
{
	size_t len = strlen(text);

	p = mempcpy(p, text, len);
	for (; len < width; len++)
		*p++ = ' ';
	*p++ = ' ';
	return p;
}

static char *put_right(char *p, uint64_t n, unsigned int base, int width, char pad)
{
	char digits[24];
	int nr = 0;

	do
		digits[nr++] = "0123456789abcdef"[n % base];
	while (n /= base);
	for (; width > nr; width--)
		*p++ = pad;
	while (nr)
		*p++ = digits[--nr];
	return p;
}

static char *put_wait(char *p, uint64_t ns)
{
	char text[DURATION_SIZE];
	size_t len = strlen(duration_text(text, ns, 0));

	for (; len < 9; len++)
		*p++ = ' ';
	return put_left(p, text, 0);
}

/* The same names come again and again. */
struct shown {
	char *raw, *text;
};

static const char *show(struct shown *s, const char *raw)
{
	if (s->raw && !strcmp(s->raw, raw))
		return s->text;
	free(s->raw);
	free(s->text);
	*s = (struct shown){ .raw = strdup(raw) };
	return uffdctl_escape(raw, &s->text) == 0 ? s->text : "?";
}

static void line_fault(const struct uffdctl_fault *f)
{
	static struct shown comm, resolver, name, symbol;
	const char *instruction = watch_symbol(f->pid, f->ip, SYMBOL_MS);
	char line[512], *p = line;

	if (!started && !common.noheadings)
		printf("%15s %8s %-15s %-7s %-6s %12s %9s %-10s %8s %-15s %s\n", "TIME", "TID", "COMM", "KIND",
		       "ACCESS", "ADDR", "WAIT", "ENDED", "RESOLVER", "", "NAME SYMBOL");
	started = true;
	p = put_right(p, f->start_ns / 1000000000, 10, 8, ' ');
	*p++ = '.';
	p = put_right(p, f->start_ns / 1000 % 1000000, 10, 6, '0');
	*p++ = ' ';
	p = put_right(p, f->tid, 10, 8, ' ');
	*p++ = ' ';
	p = put_left(p, show(&comm, f->comm), 15);
	p = put_left(p, uffdctl_kind_name(f->kind), 7);
	p = put_left(p, access_name(f->access), 6);
	p = put_right(p, f->addr, 16, 12, ' ');
	*p++ = ' ';
	p = put_wait(p, f->wait_ns);
	p = put_left(p, f->op ? f->op : uffdctl_end_name(f->end), 10);
	p = put_right(p, f->resolver_pid, 10, 8, ' ');
	*p++ = ' ';
	p = put_left(p, f->resolver_pid ? show(&resolver, f->resolver_comm) : "-", 15);
	fwrite_unlocked(line, 1, p - line, stdout);
	fputs_unlocked(f->name && *f->name ? show(&name, f->name) : "-", stdout);
	if (f->offset != UFFDCTL_UNKNOWN) {
		p = put_right(mempcpy(line, "+0x", 3), f->offset, 16, 0, ' ');
		fwrite_unlocked(line, 1, p - line, stdout);
	}
	if (instruction) {
		putchar_unlocked(' ');
		fputs_unlocked(show(&symbol, instruction), stdout);
	}
	putchar_unlocked('\n');
}

/* ---- the summary ---- */

uint64_t watch_percentile(const struct uffdctl_watch_stats *st, double p)
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

uint64_t watch_sum(const uint64_t *n, int nr)
{
	uint64_t sum = 0;

	for (int i = 0; i < nr; i++)
		sum += n[i];
	return sum;
}

static void totals_json(const char *type, const struct uffdctl_watch_stats *st, uint64_t ns, const char *name)
{
	json_object *o = json_object_new_object(), *faults = json_object_new_object(),
		    *ended = json_object_new_object(), *wait = json_object_new_object(),
		    *histogram = json_object_new_array();

	for (int i = 0; i < 4; i++)
		add(faults, uffdctl_kind_name(UFFDCTL_KIND_MINOR + i), json_number(st->faults[i]));
	for (int i = 0; i < UFFDCTL_NR_ENDS; i++)
		add(ended, uffdctl_end_name(i), json_number(st->ended[i]));
	add(wait, "p50", json_number(watch_percentile(st, 0.5)));
	add(wait, "p90", json_number(watch_percentile(st, 0.9)));
	add(wait, "p99", json_number(watch_percentile(st, 0.99)));
	add(wait, "max", json_number(watch_sum(st->buckets, UFFDCTL_NR_BUCKETS) ? st->max_wait_ns : UFFDCTL_UNKNOWN));
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		json_object *b = json_object_new_object();

		add(b, "le_ns", json_number(i < UFFDCTL_NR_BUCKETS - 1 ? UINT64_C(1000) << i : UFFDCTL_UNKNOWN));
		add(b, "count", json_number(st->buckets[i]));
		json_object_array_add(histogram, b);
	}
	add(o, "type", json_object_new_string(type));
	add(o, "duration_ns", json_number(ns));
	add(o, "faults", faults);
	add(o, "delivered", json_number(st->delivered));
	add(o, "blocked", json_number(st->blocked));
	add(o, "ended", ended);
	add(o, "pending", json_number(st->pending));
	add(o, "pending_before", json_number(st->before));
	add(o, "lost_events", json_number(st->lost_events));
	add(o, "missed", json_number(st->missed));
	add(o, "unknown_waits", json_number(st->unknown_waits));
	add(o, "wait_ns", wait);
	add(o, "histogram", histogram);
	add(o, "backend", json_object_new_string(name));
	print_json(o);
}

static void json_totals(const struct uffdctl_watch_stats *st, uint64_t ns, const char *name)
{
	totals_json("interval", st, ns, name);
}

static void json_end(const struct uffdctl_watch_stats *st, uint64_t ns, const char *name)
{
	if (st)
		totals_json("summary", st, ns, name);
}

/* A fault that showed in its message alone may turn out to have shown in more. */
uint64_t watch_grown(uint64_t now, uint64_t last)
{
	return now > last ? now - last : 0;
}

/* What came since the last time. */
static void line_totals(const struct uffdctl_watch_stats *st, uint64_t ns, const char *name)
{
	static struct uffdctl_watch_stats last;
	static uint64_t last_ns;
	double s = (ns - last_ns) / 1e9;
	char p99[DURATION_SIZE];
	struct uffdctl_watch_stats since = *st;

	(void)name;
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		since.buckets[i] -= last.buckets[i];
	printf("%8.1f s %10.0f faults/s:", ns / 1e9,
	       watch_grown(watch_sum(st->faults, 4), watch_sum(last.faults, 4)) / s);
	for (int i = 0; i < 4; i++)
		printf(" %s %.0f", uffdctl_kind_name(UFFDCTL_KIND_MINOR + i),
		       watch_grown(st->faults[i], last.faults[i]) / s);
	printf(", pending %" PRIu64 ", p99 <= %s, lost %" PRIu64 "\n", st->pending,
	       duration_text(p99, watch_percentile(&since, 0.99), 0), watch_grown(st->lost_events, last.lost_events));
	last = *st;
	last_ns = ns;
}

static void line_end(const struct uffdctl_watch_stats *st, uint64_t ns, const char *name)
{
	static const char *const labels[] = { "p50", "p90", "p99" };
	static const double points[] = { 0.5, 0.9, 0.99 };
	char text[DURATION_SIZE];
	uint64_t most = 0, total = st ? watch_sum(st->buckets, UFFDCTL_NR_BUCKETS) : 0;

	if (!st)
		return;
	printf("%s%" PRIu64 " faults in %.1f s (%s): minor %" PRIu64 ", missing %" PRIu64 ", wp %" PRIu64
	       ", rwp %" PRIu64 "\n",
	       started ? "\n" : "", watch_sum(st->faults, 4), ns / 1e9, name, st->faults[0], st->faults[1],
	       st->faults[2], st->faults[3]);
	printf("delivered %" PRIu64 ", blocked %" PRIu64 ", woken %" PRIu64 ", signal %" PRIu64 ", released %" PRIu64
	       ", not waited %" PRIu64 ", pending %" PRIu64 "; waited before %" PRIu64 "; events lost %" PRIu64
	       ", missed %" PRIu64 ", unknown waits %" PRIu64 "\n",
	       st->delivered, st->blocked, st->ended[0], st->ended[1], st->ended[2], st->ended[3], st->pending,
	       st->before, st->lost_events, st->missed, st->unknown_waits);
	if (!total)
		return;
	printf("wait");
	for (int i = 0; i < 3; i++)
		printf(" %s <= %s,", labels[i], duration_text(text, watch_percentile(st, points[i]), 0));
	printf(" max %s\n", duration_text(text, st->max_wait_ns, 0));
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		most = st->buckets[i] > most ? st->buckets[i] : most;
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++) {
		static const char bar[] = "########################################";

		duration_text(text, UINT64_C(1000) << i, 0);
		if (st->buckets[i])
			printf("%10s %10" PRIu64 " %.*s\n", i < UFFDCTL_NR_BUCKETS - 1 ? text : "more", st->buckets[i],
			       (int)(st->buckets[i] * 40 / most), bar);
	}
}

const struct dress dress_lines = { .fault = line_fault, .totals = line_totals, .end = line_end };
const struct dress dress_json = { .fault = json_fault, .totals = json_totals, .end = json_end };
