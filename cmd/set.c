// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl set: working sets that serve has recorded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/options.h"

struct set_options {
	const struct action *action; /* NULL: not given so far */
	bool runs;
	const char **files; /* free with free() */
	size_t nr_files;
};

/* ---- listings ---- */

struct set_row {
	const char *file;
	const struct uffdctl_workset *set;
	uint64_t bytes[3]; /* by enum uffdctl_access */
	uint64_t last_ns;
};

static void row_file(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct set_row *)row)->file);
}

static void row_image(const void *row, struct cell *ret)
{
	cell_size(ret, uffdctl_workset_image_bytes(((const struct set_row *)row)->set));
}

static uint64_t bytes_of(const struct set_row *r)
{
	return r->bytes[UFFDCTL_ACCESS_READ] + r->bytes[UFFDCTL_ACCESS_WRITE];
}

static void row_size(const void *row, struct cell *ret)
{
	cell_size(ret, bytes_of(row));
}

static void row_share(const void *row, struct cell *ret)
{
	const struct set_row *r = row;
	uint64_t image = uffdctl_workset_image_bytes(r->set);

	cell_number(ret, image ? (uint64_t)((double)bytes_of(r) * 100 / (double)image) : UFFDCTL_UNKNOWN);
}

static void row_read(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct set_row *)row)->bytes[UFFDCTL_ACCESS_READ]);
}

static void row_written(const void *row, struct cell *ret)
{
	cell_size(ret, ((const struct set_row *)row)->bytes[UFFDCTL_ACCESS_WRITE]);
}

static void row_runs(const void *row, struct cell *ret)
{
	cell_number(ret, uffdctl_workset_count(((const struct set_row *)row)->set));
}

static void row_time(const void *row, struct cell *ret)
{
	cell_duration(ret, ((const struct set_row *)row)->last_ns);
}

static const struct column set_columns[] = {
	{ "FILE", "file of the working set", COL_WIDE, row_file },
	{ "IMAGE", "size of the image that it belongs to", COL_RIGHT, row_image },
	{ "SIZE", "bytes that were touched", COL_RIGHT, row_size },
	{ "SHARE", "their share of the image, in percent", COL_RIGHT, row_share },
	{ "READ", "bytes whose first access was a read", COL_RIGHT, row_read },
	{ "WRITTEN", "bytes whose first access was a write", COL_RIGHT, row_written },
	{ "RUNS", "parts of the image, as set show --runs lists them", COL_RIGHT, row_runs },
	{ "LAST", "when the last of them was touched first, since the recording began", COL_RIGHT | COL_NS, row_time },
	{}
};

struct run_row {
	const char *file;
	const struct uffdctl_workset_item *item;
};

static const struct uffdctl_workset_item *item_of(const void *row)
{
	return ((const struct run_row *)row)->item;
}

static void run_file(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct run_row *)row)->file);
}

static void run_offset(const void *row, struct cell *ret)
{
	cell_number(ret, item_of(row)->offset);
}

static void run_size(const void *row, struct cell *ret)
{
	cell_size(ret, item_of(row)->len);
}

static void run_access(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_access_name(item_of(row)->access));
}

static void run_time(const void *row, struct cell *ret)
{
	cell_duration(ret, item_of(row)->time_ns);
}

static const struct column run_columns[] = { { "FILE", "file of the working set", COL_WIDE, run_file },
					     { "OFFSET", "where the part begins in the image", COL_RIGHT, run_offset },
					     { "SIZE", "its bytes", COL_RIGHT, run_size },
					     { "ACCESS", "the first access: read or write", 0, run_access },
					     { "TIME", "when it was touched first, since the recording began",
					       COL_RIGHT | COL_NS, run_time },
					     {} };

/* ---- the actions ---- */

static void show_runs(const struct invocation *inv, const char *path, const struct uffdctl_workset *set)
{
	for (size_t i = 0; i < uffdctl_workset_count(set); i++)
		table_row(inv->table, &(struct run_row){ path, uffdctl_workset_get(set, i) });
}

static void show_sums(const struct invocation *inv, const char *path, const struct uffdctl_workset *set)
{
	struct set_row row = { .file = path, .set = set };

	for (size_t i = 0; i < uffdctl_workset_count(set); i++) {
		const struct uffdctl_workset_item *item = uffdctl_workset_get(set, i);

		row.bytes[item->access] += item->len;
		row.last_ns = item->time_ns > row.last_ns ? item->time_ns : row.last_ns;
	}
	table_row(inv->table, &row);
}

static int show(struct invocation *inv, const char *path)
{
	const struct set_options *o = inv->options;
	struct uffdctl_workset *set;
	int r = uffdctl_workset_read(inv->context, path, &set);

	if (r < 0)
		return r;
	if (o->runs)
		show_runs(inv, path, set);
	else
		show_sums(inv, path, set);
	uffdctl_workset_free(set);
	return 0;
}

static int show_all(struct invocation *inv)
{
	const struct set_options *o = inv->options;
	int r = 0;

	for (size_t i = 0; i < o->nr_files; i++) {
		int err = show(inv, o->files[i]);

		r = err < 0 ? err : r;
	}
	return table_end(inv->table) < 0 ? -EIO : r;
}

/* From left to right. */
static int combine(struct invocation *inv, enum uffdctl_workset_op op, struct uffdctl_workset **ret)
{
	const struct set_options *o = inv->options;
	int r = uffdctl_workset_read(inv->context, o->files[0], ret);

	for (size_t i = 1; r >= 0 && i < o->nr_files; i++) {
		struct uffdctl_workset *next = NULL, *both = NULL;

		r = uffdctl_workset_read(inv->context, o->files[i], &next);
		if (r >= 0)
			r = uffdctl_workset_combine(*ret, op, next, &both);
		uffdctl_workset_free(next);
		if (r < 0)
			break;
		uffdctl_workset_free(*ret);
		*ret = both;
	}
	return r;
}

/* To stdout: as a working set, or as JSON. */
static int combine_all(struct invocation *inv, enum uffdctl_workset_op op)
{
	struct uffdctl_workset *sum = NULL;
	int r = combine(inv, op, &sum);

	if (r >= 0 && inv->style.json)
		show_runs(inv, NULL, sum); /* of no file */
	else if (r >= 0)
		r = uffdctl_workset_write(sum, STDOUT_FILENO);
	if (inv->style.json && table_end(inv->table) < 0)
		r = -EIO;
	uffdctl_workset_free(sum);
	return r;
}

static const struct action {
	const char *name;
	bool shows;
	enum uffdctl_workset_op op;
} actions[] = {
	{ "show", true, 0 },
	{ "union", false, UFFDCTL_WORKSET_UNION },
	{ "intersect", false, UFFDCTL_WORKSET_INTERSECT },
	{ "diff", false, UFFDCTL_WORKSET_DIFF },
};

static const struct action *find_action(const char *name)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(actions[i].name, name))
			return &actions[i];
	return NULL;
}

static int run_set(struct invocation *inv)
{
	struct set_options *o = inv->options;
	int r = o->action->shows ? show_all(inv) : combine_all(inv, o->action->op);

	free(o->files);
	return stdout_failed(&inv->messages) || r < 0 ? EXIT_UNDONE : EXIT_DONE;
}

/* ---- the command ---- */

enum {
	OPT_RUNS = 0x400,
};

static const struct argp_option set_argp_options[] = {
	{ "runs", OPT_RUNS, NULL, 0, "With show: a row for each part that was touched, in the order of the first touch",
	  0 },
	{}
};

static error_t add_file(struct set_options *o, const char *path)
{
	const char **files = reallocarray(o->files, o->nr_files + 1, sizeof(*files));

	if (!files)
		return ENOMEM;
	o->files = files;
	files[o->nr_files++] = path;
	return 0;
}

/* What is about a listing must not be taken for a file to write to, or pass unseen. */
static error_t check_combining(const struct set_options *o, const struct argp_state *state)
{
	struct invocation *inv = invocation_of(state);
	const struct table_style *style = &inv->style;
	const char *name = o->action->name;

	inv->columns = run_columns;
	if (o->runs)
		return usage_error(state, "--runs is for show");
	if (style->json)
		return 0;
	if (style->columns)
		return usage_error(
			state,
			"-o names columns, and %s prints a working set, to standard output: append >FILE, or add --json",
			name);
	if (style->noheadings || style->raw || style->bytes)
		return usage_error(state, "--noheadings, --raw and --bytes are for show: %s prints a working set",
				   name);
	return 0;
}

static error_t check(const struct set_options *o, const struct argp_state *state)
{
	const struct action *a = o->action;

	if (!a)
		return usage_error(state, "write what to do: show, union, intersect or diff");
	if (o->nr_files < (a->shows ? 1 : 2))
		return usage_error(state, "%s needs %s", a->name, a->shows ? "a file" : "two files or more");
	return a->shows ? 0 : check_combining(o, state);
}

static error_t parse_set(int key, char *arg, struct argp_state *state)
{
	struct set_options *o = state->input;

	switch (key) {
	case OPT_RUNS:
		o->runs = true;
		invocation_of(state)->columns = run_columns;
		return 0;
	case ARGP_KEY_ARG:
		if (o->action)
			return add_file(o, arg);
		o->action = find_action(arg);
		return o->action ? 0 : usage_error(state, "%s: write show, union, intersect or diff", arg);
	case ARGP_KEY_ERROR:
		free(o->files);
		return 0;
	case ARGP_KEY_END:
		return check(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct cmd cmd_set = {
	.name = "set",
	.summary = "Show working sets, or combine them",
	.args = "show|union|intersect|diff FILE...",
	.options = set_argp_options,
	.parse = parse_set,
	.groups = (const struct option_group[]){ {} },
	.options_size = sizeof(struct set_options),
	.columns = set_columns,
	.more_columns = run_columns,
	.run = run_set,
};
