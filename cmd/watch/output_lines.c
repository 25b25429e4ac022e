// SPDX-License-Identifier: GPL-2.0-or-later
/* watch as text: a line for each fault, then the summary. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/watch/output.h"
#include "cmd/watch/summary.h"
#include "cmd/watch/totals.h"

/* The last escaped name: names often repeat. */
struct shown {
	char *raw, *text;
};

struct lines {
	struct watch_session *session;
	bool started; /* a fault was shown */
	struct shown comm, resolver, name, symbol;
	struct uffdctl_watch_stats last; /* interval */
	uint64_t last_ns;
};

static int begin(struct watch_session *s, void **ret)
{
	struct lines *l = calloc(1, sizeof(*l));

	if (!l) {
		error(s->messages, "out of memory");
		return -ENOMEM;
	}
	l->session = s;
	*ret = l;
	return 0;
}

/* ---- faults ---- */

static void free_shown(struct shown *s)
{
	free(s->raw);
	free(s->text);
}

static const char *show(struct shown *s, const char *raw)
{
	if (s->raw && !strcmp(s->raw, raw))
		return s->text;
	free_shown(s);
	*s = (struct shown){ .raw = strdup(raw) };
	return uffdctl_escape(raw, &s->text) == 0 ? s->text : "?";
}

/* There are hundreds of thousands of lines: printf(3) took most of the time. */
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

static char *put_column(char *p, uint64_t n, unsigned int base, int width)
{
	p = put_right(p, n, base, width, ' ');
	*p++ = ' ';
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

/* All columns of a fixed width. */
static char *put_columns(char *p, struct lines *l, const struct uffdctl_fault *f)
{
	p = put_right(p, f->start_ns / 1000000000, 10, 8, ' ');
	*p++ = '.';
	p = put_right(p, f->start_ns / 1000 % 1000000, 10, 6, '0');
	*p++ = ' ';
	p = put_column(p, f->tid, 10, 8);
	p = put_left(p, show(&l->comm, f->comm), 15);
	p = put_left(p, uffdctl_kind_name(f->kind), 7);
	p = put_left(p, uffdctl_access_name(f->access) ?: "-", 6);
	p = put_column(p, f->addr, 16, 12);
	p = put_wait(p, f->wait_ns);
	p = put_left(p, f->op ?: uffdctl_end_name(f->end), 10);
	p = put_column(p, f->resolver_tid, 10, 8);
	return put_left(p, f->resolver_pid ? show(&l->resolver, f->resolver_comm) : "-", 15);
}

void lines_put_fault(void *data, const struct uffdctl_fault *f, const char *symbol)
{
	struct lines *l = data;
	char line[512], *p;

	if (!l->started && l->session->headings)
		printf("%15s %8s %-15s %-7s %-6s %12s %9s %-10s %8s %-15s %s\n", "TIME", "TID", "COMM", "KIND",
		       "ACCESS", "ADDR", "WAIT", "ENDED", "RESOLVER", "", "NAME SYMBOL");
	l->started = true;
	p = put_columns(line, l, f);
	fwrite_unlocked(line, 1, p - line, stdout);
	fputs_unlocked(f->name && *f->name ? show(&l->name, f->name) : "-", stdout);
	if (f->offset != UFFDCTL_UNKNOWN) {
		p = put_right(mempcpy(line, "+0x", 3), f->offset, 16, 0, ' ');
		fwrite_unlocked(line, 1, p - line, stdout);
	}
	if (symbol) {
		putchar_unlocked(' ');
		fputs_unlocked(show(&l->symbol, symbol), stdout);
	}
	putchar_unlocked('\n');
}

static void put_fault(void *data, const struct uffdctl_fault *f)
{
	struct lines *l = data;

	lines_put_fault(data, f, symbols_get(&l->session->symbols, f->pid, f->ip, SYMBOL_MS));
}

/* ---- totals ---- */

/* What came since the last call; the waits also since the start. */
static void put_interval(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct lines *l = data;
	double s = (double)(passed_ns - l->last_ns) / 1e9;
	struct uffdctl_watch_stats since;
	char p99[DURATION_SIZE];

	totals_since(st, &l->last, &since);
	printf("%8.1f s %10.0f faults/s:", (double)passed_ns / 1e9, (double)totals_sum(since.faults, NR_KINDS) / s);
	for (int i = 0; i < NR_KINDS; i++)
		printf(" %s %.0f", uffdctl_kind_name(totals_kind(i)),
		       (double)since.faults[BY_KIND(totals_kind(i))] / s);
	printf(", pending %" PRIu64, st->pending);
	for (int i = 0; i < NR_WAITS; i++) {
		const struct totals_wait *w = &totals_waits[i];

		uint64_t ns = totals_percentile(&since, w, 99);

		printf(", %s p99 %s%s", w->name, ns == UFFDCTL_UNKNOWN ? "" : "<= ", duration_text(p99, ns, 0));
		printf(" (all %s)", duration_text(p99, totals_percentile(st, w, 99), 0));
	}
	printf(", lost %" PRIu64 "\n", since.lost_events);
	l->last = *st;
	l->last_ns = passed_ns;
}

static void end(void *data, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	struct lines *l = data;

	if (st && l->started)
		putchar('\n');
	if (st)
		summary_text(l->session, st, passed_ns);
	free_shown(&l->comm);
	free_shown(&l->resolver);
	free_shown(&l->name);
	free_shown(&l->symbol);
	free(l);
}

const struct watch_output output_lines = { .begin = begin, .fault = put_fault, .totals = put_interval, .end = end };
