/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of report, as a struct that its parser fills. */
#ifndef CMD_REPORT_OPTIONS_H
#define CMD_REPORT_OPTIONS_H

#include <argp.h>

#include "cmd/report/filter.h"

enum report_form {
	REPORT_TEXT,
	REPORT_FAULTS,
	REPORT_RAW,
	REPORT_TRACE,
	REPORT_HTML,
	REPORT_SVG,
	REPORT_DIFF,
};

struct report_options {
	char **files; /* free with free() */
	size_t nr_files;
	enum report_form form;
	bool json;
	struct filter filter;
	uint64_t top;	       /* rows of a table */
	unsigned int cells[2]; /* of the heat map: columns and rows; 0: as the form has them */
};

extern const struct argp_option report_argp_options[];

/* For an argp parser; ARGP_ERR_UNKNOWN for other keys. */
error_t report_options_parse(struct report_options *o, int key, char *arg, struct argp_state *state);
void report_options_free(struct report_options *o);

#endif
