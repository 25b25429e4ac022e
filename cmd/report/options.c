// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of report, as a struct that its parser fills. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/report/options.h"
#include "cmd/usage.h"

enum {
	OPT_TIME = 0x500,
	OPT_RANGE,
	OPT_THREAD,
	OPT_TOP,
	OPT_CELLS,
	/* In the order of enum report_form. */
	OPT_FAULTS,
	OPT_RAW,
	OPT_TRACE,
	OPT_HTML,
	OPT_SVG,
	OPT_DIFF,
};

#define DEFAULT_TOP 10
#define MAX_TOP 1000
#define MAX_CELLS 2000

const struct argp_option report_argp_options[] = {
	{ "faults", OPT_FAULTS, NULL, 0, "Print each fault as a line, as watch does, or as an object with --json", 10 },
	{ "html", OPT_HTML, NULL, 0, "Print a page for a browser: a heat map, waits over time, who waited", 10 },
	{ "svg", OPT_SVG, NULL, 0, "Print the heat map as a picture", 10 },
	{ "chrome-trace", OPT_TRACE, NULL, 0,
	  "Print a trace that Perfetto and chrome://tracing open: a track for each thread", 10 },
	{ "raw", OPT_RAW, NULL, 0,
	  "Print the heat map as numbers for gnuplot: seconds, address and number of faults of each cell", 10 },
	{ "diff", OPT_DIFF, NULL, 0, "Compare two recordings: the first FILE is A, the second one is B", 10 },
	{ "time", OPT_TIME, "FROM-TO", 0,
	  "Only faults that began in this time after watching began: 2s-5s, 500ms-, -1m", 20 },
	{ "range", OPT_RANGE, "RANGE", 0,
	  "Only faults in START-END, START+LEN or, by name of the mapping, @GLOB; may be given several times", 20 },
	{ "thread", OPT_THREAD, "THREAD", 0,
	  "Only faults of this thread ID, or of threads whose name matches; may be given several times", 20 },
	{ "top", OPT_TOP, "N", 0, "Print N rows of each table; the default is 10", 30 },
	{ "cells", OPT_CELLS, "COLUMNSxROWS", 0, "Number of cells of the heat map, at most 2000x2000", 30 },
	{}
};

/* ---- arguments ---- */

static error_t add_file(struct report_options *o, char *arg)
{
	char **p = reallocarray(o->files, o->nr_files + 1, sizeof(*p));

	if (!p)
		return ENOMEM;
	o->files = p;
	o->files[o->nr_files++] = arg;
	return 0;
}

static error_t set_form(struct report_options *o, int key, const struct argp_state *state)
{
	enum report_form form = (enum report_form)(key - OPT_FAULTS + REPORT_FAULTS);

	if (o->form && o->form != form)
		return usage_error(state,
				   "--faults, --html, --svg, --chrome-trace, --raw and --diff can't be combined");
	o->form = form;
	return 0;
}

static error_t add_filter(int err, const char *option, const char *arg, const char *wanted,
			  const struct argp_state *state)
{
	if (err == -ENOSPC)
		return usage_error(state, "--%s is given more than %d times", option, MAX_FILTERS);
	return err < 0 ? usage_error(state, "--%s=%s: write %s", option, arg, wanted) : 0;
}

static error_t set_top(struct report_options *o, const char *arg, const struct argp_state *state)
{
	if (uffdctl_size_parse(arg, &o->top) == 0 && o->top && o->top <= MAX_TOP)
		return 0;
	return usage_error(state, "--top=%s: write a number from 1 to %d", arg, MAX_TOP);
}

static error_t set_cells(struct report_options *o, const char *arg, const struct argp_state *state)
{
	int end = 0;

	if (sscanf(arg, "%4ux%4u%n", &o->cells[0], &o->cells[1], &end) == 2 && !arg[end] && o->cells[0] &&
	    o->cells[1] && o->cells[0] <= MAX_CELLS && o->cells[1] <= MAX_CELLS)
		return 0;
	return usage_error(state, "--cells=%s: write COLUMNSxROWS, such as 400x200, at most %dx%d", arg, MAX_CELLS,
			   MAX_CELLS);
}

/* ---- the parser ---- */

/* What can't be given together. */
static error_t check(const struct report_options *o, const struct argp_state *state)
{
	if (!o->nr_files)
		return usage_error(state, "no FILE given: one that uffdctl watch --record has written");
	if (o->form == REPORT_DIFF && o->nr_files != 2)
		return usage_error(state, "--diff requires two FILEs");
	if (o->json && o->form && o->form != REPORT_FAULTS && o->form != REPORT_DIFF)
		return usage_error(state, "--json can't be combined with --html, --svg, --chrome-trace and --raw");
	if (o->cells[0] && o->form != REPORT_HTML && o->form != REPORT_SVG && o->form != REPORT_RAW)
		return usage_error(state, "--cells is for --html, --svg and --raw");
	return 0;
}

static error_t parse_filter(struct report_options *o, int key, const char *arg, const struct argp_state *state)
{
	switch (key) {
	case OPT_TIME:
		return add_filter(filter_add_time(&o->filter, arg), "time", arg,
				  "FROM-TO, such as 2s-5s, 500ms- or -1m", state);
	case OPT_RANGE:
		return add_filter(filter_add_range(&o->filter, arg), "range", arg,
				  "START-END, START+LEN or @GLOB; START and END are hexadecimal", state);
	case OPT_THREAD:
		return add_filter(filter_add_thread(&o->filter, arg), "thread", arg,
				  "a thread ID, or a name with * and ?", state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

error_t report_options_parse(struct report_options *o, int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		o->top = DEFAULT_TOP;
		return 0;
	case ARGP_KEY_ERROR:
		report_options_free(o);
		return 0;
	case ARGP_KEY_ARG:
		return add_file(o, arg);
	case ARGP_KEY_END:
		return check(o, state);
	case OPT_TOP:
		return set_top(o, arg, state);
	case OPT_CELLS:
		return set_cells(o, arg, state);
	case OPT_FAULTS ... OPT_DIFF:
		return set_form(o, key, state);
	default:
		return parse_filter(o, key, arg, state);
	}
}

void report_options_free(struct report_options *o)
{
	free(o->files);
	o->files = NULL;
	o->nr_files = 0;
}
