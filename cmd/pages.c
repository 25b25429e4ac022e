// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl pages: what the pages of a process are. */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/columns.h"
#include "cmd/interrupt.h"
#include "cmd/options.h"
#include "cmd/pages_map.h"
#include "cmd/place.h"
#include "cmd/replace.h"
#include "cmd/source.h"
#include "cmd/values.h"
#include "lib/cleanup.h"

struct pages_options {
	struct place place;
	enum uffdctl_source source;
	bool all, runs, map;
	unsigned int form; /* enum map_form */
	size_t cells;	   /* 0: as many as fit */
	const char *to;	   /* of the picture; NULL: stdout */
	uint64_t every_ns; /* 0: once */
};

/* ---- columns ---- */

struct part_row {
	struct range_row place;
	const struct page_part *part;
};

static const struct page_part *part_of(const void *row)
{
	return ((const struct part_row *)row)->part;
}

static void part_page_size(const void *row, struct cell *ret)
{
	cell_size(ret, part_of(row)->page_size);
}

/* The columns have the names of the states. */
static void part_state(const void *row, struct cell *ret)
{
	for (unsigned int i = 0; uffdctl_page_state_name(i); i++)
		if (!strcasecmp(uffdctl_page_state_name(i), ret->column))
			cell_size(ret, part_of(row)->sums.states[i]);
}

static void part_wp(const void *row, struct cell *ret)
{
	const struct page_sums *s = &part_of(row)->sums;

	cell_size(ret, s->unmarked ? UFFDCTL_UNKNOWN : s->wp);
}

static void part_rwp(const void *row, struct cell *ret)
{
	const struct page_sums *s = &part_of(row)->sums;

	cell_size(ret, s->unmarked ? UFFDCTL_UNKNOWN : s->rwp);
}

static void part_poisoned(const void *row, struct cell *ret)
{
	cell_size(ret, part_of(row)->sums.poisoned);
}

static void part_share(const void *row, struct cell *ret)
{
	cell_number(ret, sums_share(&part_of(row)->sums));
}

static void part_rate(const void *row, struct cell *ret)
{
	cell_size(ret, part_of(row)->rate);
}

static void part_left(const void *row, struct cell *ret)
{
	cell_duration(ret, part_of(row)->left_ns);
}

static void part_name(const void *row, struct cell *ret)
{
	cell_text(ret, part_of(row)->name);
}

#define STATE(name, help)                         \
	{                                         \
		name, help, COL_RIGHT, part_state \
	}

static const struct column part_columns[] = {
	RANGE_COLUMNS,
	{ "PAGE_SIZE", "size of its pages", COL_RIGHT | COL_HIDDEN, part_page_size },
	STATE("MAPPED", "bytes in the page table"),
	STATE("MINOR", "bytes in the page cache, and not in the page table"),
	STATE("ABSENT", "bytes in neither"),
	STATE("SWAPPED", "bytes that are swapped out"),
	{ "WP", "bytes with the write-protect mark, whatever their state", COL_RIGHT, part_wp },
	{ "RWP", "bytes with the read-write-protect mark, likewise", COL_RIGHT | COL_HIDDEN, part_rwp },
	{ "POISONED", "bytes of which an access fails with SIGBUS, likewise", COL_RIGHT | COL_HIDDEN, part_poisoned },
	STATE("UNKNOWN", "bytes whose state is not known"),
	{ "SHARE", "percent that are mapped; with --watch", COL_RIGHT | COL_EXTRA | COL_GROUP, part_share },
	{ "RATE", "bytes a second that became mapped; with --watch", COL_RIGHT | COL_EXTRA | COL_GROUP, part_rate },
	{ "LEFT", "time until all is mapped, at that rate; with --watch", COL_RIGHT | COL_EXTRA | COL_GROUP | COL_NS,
	  part_left },
	{ "NAME", "as in maps; [anon:START] if it has none there", COL_WIDE, part_name },
	{}
};

struct run_row {
	struct range_row place;
	const struct uffdctl_page_run *run;
};

static const struct uffdctl_page_run *run_of(const void *row)
{
	return ((const struct run_row *)row)->run;
}

static void run_size(const void *row, struct cell *ret)
{
	cell_size(ret, run_of(row)->range.end - run_of(row)->range.start);
}

static void run_state(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_page_state_name(run_of(row)->state));
}

static void run_marks(const void *row, struct cell *ret)
{
	cell_bits(ret, run_of(row)->marks, uffdctl_page_mark_name);
}

static void run_page_size(const void *row, struct cell *ret)
{
	cell_size(ret, run_of(row)->vma->page_size);
}

static void run_offset(const void *row, struct cell *ret)
{
	const struct uffdctl_page_run *run = run_of(row);

	cell_number(ret, run->vma->offset + (run->range.start - run->vma->range.start));
}

static void run_name(const void *row, struct cell *ret)
{
	char label[UFFDCTL_LABEL_BYTES];
	const char *name = uffdctl_vma_label(run_of(row)->vma, label);

	/* A label that was made is gone after this: a word of the cell stays. */
	if (name == label) {
		cell_word(ret, label);
		ret->type = CELL_TEXT;
		ret->text = ret->words;
	} else {
		cell_text(ret, name);
	}
}

static const struct column run_columns[] = {
	RANGE_COLUMNS,
	{ "SIZE", "bytes", COL_RIGHT, run_size },
	{ "STATE", "mapped, minor, absent, swapped or unknown", 0, run_state },
	{ "MARKS", "wp, rwp, poisoned; unknown if the kernel does not show wp and rwp", 0, run_marks },
	{ "PAGE_SIZE", "size of its pages", COL_RIGHT | COL_HIDDEN, run_page_size },
	{ "OFFSET", "offset in the file, bytes", COL_RIGHT | COL_HIDDEN | COL_LONG, run_offset },
	{ "NAME", "as in maps; [anon:START] if it has none there", COL_WIDE, run_name },
	{}
};

/* ---- options ---- */

enum {
	OPT_RUNS = 'R',
	OPT_ALL = 'a',
	OPT_MAP = 'm',
	OPT_CELLS = 'c',
	OPT_WATCH = 'w',
	OPT_TO = 't',
};

static const struct argp_option pages_options[] = {
	{ "all", OPT_ALL, NULL, 0, "Without RANGE: every mapping, not only those registered on a userfaultfd", 10 },
	{ "runs", OPT_RUNS, NULL, 0, "List runs of pages that are alike, instead of totals", 10 },
	{ "map", OPT_MAP, "FORM", OPTION_ARG_OPTIONAL, "Draw a picture: text (the default), svg or html", 11 },
	{ "cells", OPT_CELLS, "N", 0, "Draw each mapping as at most N cells", 11 },
	{ "to", OPT_TO, "FILE", 0, "Write the picture into FILE, replaced at once", 11 },
	{ "watch", OPT_WATCH, "TIME", 0, "Look again every TIME (such as 2 or 500ms), with rate, share and time left",
	  12 },
	{}
};

static error_t parse_map(struct pages_options *o, const char *arg, const struct argp_state *state)
{
	o->map = true;
	return arg ? parse_word(state, "map", arg, map_forms, &o->form) : 0;
}

static error_t parse_cells(struct pages_options *o, const char *arg, const struct argp_state *state)
{
	int n;

	if (parse_number(arg, &n) < 0 || n < 1 || n > 1 << 16)
		return usage_error(state, "--cells=%s: write a number from 1 to 65536", arg);
	o->cells = (size_t)n;
	return 0;
}

static error_t parse_watch(struct pages_options *o, const char *arg, const struct argp_state *state)
{
	if (parse_time(arg, &o->every_ns) < 0 || o->every_ns < 10000000 || o->every_ns > UINT64_C(86400000000000))
		return usage_error(state, "--watch=%s: write a time such as 2 (seconds) or 500ms, from 10ms to a day",
				   arg);
	return 0;
}

static error_t check_pages(const struct pages_options *o, const struct argp_state *state)
{
	if (o->map && (o->runs || invocation_of(state)->style.json))
		return usage_error(
			state,
			"--map can't be combined with --runs and --json: for all runs as JSON use --runs --json");
	if ((o->cells || o->to) && !o->map)
		return usage_error(state, "--cells and --to need --map");
	if (o->all && o->place.ranges)
		return usage_error(state, "--all and RANGE exclude each other");
	return 0;
}

static error_t parse_pages(int key, char *arg, struct argp_state *state)
{
	struct pages_options *o = state->input;

	switch (key) {
	case OPT_ALL:
		o->all = true;
		return 0;
	case OPT_RUNS:
		o->runs = true;
		invocation_of(state)->columns = run_columns;
		return 0;
	case OPT_MAP:
		return parse_map(o, arg, state);
	case OPT_CELLS:
		return parse_cells(o, arg, state);
	case OPT_TO:
		o->to = arg;
		return 0;
	case OPT_WATCH:
		return parse_watch(o, arg, state);
	case ARGP_KEY_END:
		return check_pages(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- one look ---- */

struct look {
	struct invocation *inv;
	struct page_parts parts, before;
	uint64_t at_ns, before_ns; /* 0: there was none */
	uint64_t nr_runs;
};

static int add_run(void *data, const struct uffdctl_page_run *run)
{
	struct look *l = data;
	const struct pages_options *o = l->inv->options;
	struct run_row row = { { o->place.pid, run->range }, run };
	int r;

	l->nr_runs++;
	if (o->runs)
		return table_row(l->inv->table, &row);
	r = parts_add(&l->parts, run);
	if (r < 0)
		error(&l->inv->messages, "out of memory");
	return r;
}

static int list_parts(struct look *l)
{
	const struct pages_options *o = l->inv->options;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < l->parts.nr; i++) {
		const struct part_row row = { { o->place.pid, l->parts.parts[i].range }, &l->parts.parts[i] };

		r = table_row(l->inv->table, &row);
	}
	return r;
}

static struct map_style map_style(const struct look *l)
{
	const struct pages_options *o = l->inv->options;

	return (struct map_style){
		.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
		.color = l->inv->style.color && !o->to,
		.headings = !l->inv->style.noheadings,
		.rates = o->every_ns,
		.pid = o->place.pid,
		.comm = o->place.target ? uffdctl_target_comm(o->place.target) : "?",
		.every_ns = o->every_ns,
	};
}

static void draw(FILE *f, const struct look *l)
{
	static void (*const forms[])(FILE * f, const struct page_parts *p, const struct map_style *style) = {
		[MAP_TEXT] = map_text, [MAP_SVG] = map_svg, [MAP_HTML] = map_html
	};
	const struct pages_options *o = l->inv->options;
	const struct map_style style = map_style(l);

	forms[o->form](f, &l->parts, &style);
}

/* Who has the file open, such as a browser, sees the old picture or the new one. */
static int draw_to_file(const struct look *l, const char *path)
{
	_cleanup_free_ char *temporary = NULL;
	FILE *f;
	int err = check_replaceable(path, &l->inv->messages);

	if (err < 0)
		return err;
	if (asprintf(&temporary, "%s.%d", path, getpid()) < 0)
		return -ENOMEM;
	f = fopen(temporary, "wxe");
	if (!f) {
		err = errno;
	} else {
		draw(f, l);
		err = ferror(f) ? EIO : 0;
		err = fclose(f) ? errno : err;
		if (!err && rename(temporary, path) < 0)
			err = errno;
		if (err)
			unlink(temporary);
	}
	if (err)
		error_errno(&l->inv->messages, -err, "%s: %s", path, strerror(err));
	return -err;
}

/* A picture on a terminal stays where it is. */
static void begin_screen(const struct look *l)
{
	const struct pages_options *o = l->inv->options;

	if (o->every_ns && !l->inv->style.json && isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout);
	else if (l->before_ns && o->map && !o->to)
		putchar('\n');
}

static int print_look(struct look *l)
{
	const struct pages_options *o = l->inv->options;
	int r = 0;

	if (o->map && o->to)
		return draw_to_file(l, o->to);
	if (o->map) {
		draw(stdout, l);
		return stdout_failed(&l->inv->messages) ? -EIO : 0;
	}
	if (!o->runs)
		r = list_parts(l);
	return table_end(l->inv->table) < 0 ? -EIO : r;
}

static void say_none(const struct look *l)
{
	const struct pages_options *o = l->inv->options;

	if (!l->nr_runs && !l->inv->style.json)
		note(&l->inv->messages,
		     "%d: no mapping is registered on a userfaultfd: --all shows every mapping, and a RANGE one",
		     o->place.pid);
}

/* What the columns do not show by default. */
static void say_poisoned(const struct look *l)
{
	uint64_t poisoned = 0;

	for (size_t i = 0; i < l->parts.nr; i++)
		poisoned += l->parts.parts[i].sums.poisoned;
	if (poisoned && !l->inv->style.json && !l->inv->style.columns)
		note(&l->inv->messages, "%" PRIu64 " bytes are poisoned: -o +poisoned shows where", poisoned);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int look_once(struct look *l)
{
	const struct pages_options *o = l->inv->options;
	const struct map_style style = map_style(l);
	const struct uffdctl_pages_opts opts = { sizeof(opts), o->place.ranges,
						 o->source,    o->all ? UFFDCTL_PAGES_ALL : 0,
						 add_run,      l };
	int r, printed;

	if (o->map)
		l->parts.max_cells = o->cells ?: map_cells(o->form, &style);
	l->nr_runs = 0;
	l->at_ns = monotonic_ns();
	if (o->runs)
		begin_screen(l);
	r = uffdctl_pages(o->place.target, &opts);
	if (l->before_ns)
		parts_compare(&l->parts, &l->before, l->at_ns - l->before_ns);
	if (!o->runs)
		begin_screen(l);
	printed = print_look(l);
	if (r >= 0)
		say_none(l);
	say_poisoned(l);
	return r < 0 ? r : printed;
}

/* ---- the command ---- */

static bool goes_on(struct look *l)
{
	const struct pages_options *o = l->inv->options;
	struct timespec interval = { (time_t)(o->every_ns / 1000000000), (long)(o->every_ns % 1000000000) };

	if (!o->every_ns || stdout_unread(&l->inv->messages) || interrupted())
		return false;
	parts_clear(&l->before);
	l->before = l->parts;
	l->before_ns = l->at_ns;
	l->parts = (struct page_parts){};
	return nanosleep(&interval, NULL) == 0 && !interrupted();
}

static int run_pages(struct invocation *inv)
{
	struct pages_options *o = inv->options;
	struct look l = { .inv = inv };
	int r;

	if (o->every_ns) {
		interrupts_catch(true);
		table_show(inv->table, o->runs ? 0 : COL_GROUP);
	}
	r = place_open(&o->place, inv);
	if (r < 0)
		table_end(inv->table);
	else
		do
			r = look_once(&l);
		while (r >= 0 && goes_on(&l));
	parts_clear(&l.parts);
	parts_clear(&l.before);
	place_close(&o->place);
	return r < 0 ? EXIT_UNDONE : EXIT_DONE;
}

static const struct option_group pages_groups[] = {
	{ &place_argp, offsetof(struct pages_options, place) },
	{ &source_argp, offsetof(struct pages_options, source) },
	{},
};

const struct cmd cmd_pages = {
	.name = "pages",
	.summary = "Show the state of each page, as totals, runs or a picture",
	.args = "PID [RANGE...]",
	.options = pages_options,
	.parse = parse_pages,
	.groups = pages_groups,
	.options_size = sizeof(struct pages_options),
	.columns = part_columns,
	.more_columns = run_columns,
	.run = run_pages,
};
