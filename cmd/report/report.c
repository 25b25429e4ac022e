// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl report: what watch --record has recorded. */
#include <stdlib.h>

#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/report/report.h"
#include "cmd/usage.h"

static int (*const forms[])(const struct report *r) = {
	[REPORT_TEXT] = report_text,   [REPORT_FAULTS] = report_faults, [REPORT_RAW] = report_raw,
	[REPORT_TRACE] = report_trace, [REPORT_HTML] = report_html,	[REPORT_SVG] = report_svg,
};

static int run_one(struct invocation *inv, struct recording *rec)
{
	const struct report_options *o = inv->options;
	struct report r = { o, rec, &inv->messages, !inv->style.noheadings };
	int err = recording_open(rec, inv->context, &inv->messages, &o->filter, o->files, o->nr_files);

	if (err < 0)
		return err;
	return o->json && o->form == REPORT_TEXT ? report_json(&r) : forms[o->form](&r);
}

static int run_diff(struct invocation *inv, struct recording *rec)
{
	const struct report_options *o = inv->options;
	struct report r = { o, rec, &inv->messages, !inv->style.noheadings };
	struct recording other = {};
	int err = recording_open(rec, inv->context, &inv->messages, &o->filter, o->files, 1);

	if (err >= 0)
		err = recording_open(&other, inv->context, &inv->messages, &o->filter, o->files + 1, 1);
	if (err >= 0)
		err = report_diff(&r, &other);
	rec->failed |= other.failed;
	recording_close(&other);
	return err;
}

static int run_report(struct invocation *inv)
{
	struct report_options *o = inv->options;
	struct recording rec = {};
	int err = o->form == REPORT_DIFF ? run_diff(inv, &rec) : run_one(inv, &rec);
	bool failed = err < 0 || rec.failed;

	/* Otherwise it was printed, with the errors. */
	if (err < 0 && o->json && o->form != REPORT_FAULTS)
		report_print(&inv->messages, NULL);
	recording_close(&rec);
	report_options_free(o);
	json_put_errors(&inv->messages);
	return stdout_failed(&inv->messages) || failed ? EXIT_UNDONE : EXIT_DONE;
}

static error_t parse_report(int key, char *arg, struct argp_state *state)
{
	struct report_options *o = state->input;
	const struct invocation *inv = invocation_of(state);

	if (key != ARGP_KEY_END)
		return report_options_parse(o, key, arg, state);
	o->json = inv->style.json;
	/* Before the name of the command, they are taken for all. */
	if (inv->style.columns || inv->style.raw || inv->style.bytes)
		return usage_error(state, "--output, --raw and --bytes are for commands that print a table");
	return report_options_parse(o, key, arg, state);
}

const struct cmd cmd_report = {
	.name = "report",
	.summary = "Report what watch --record has recorded",
	.args = "FILE...",
	.options = report_argp_options,
	.parse = parse_report,
	.groups = (const struct option_group[]){ {} },
	.options_size = sizeof(struct report_options),
	.run = run_report,
};
