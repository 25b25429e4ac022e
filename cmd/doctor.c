// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl doctor: what this kernel and this user can do, and what to do about the rest. */
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/options.h"
#include "cmd/pids.h"
#include "cmd/usage.h"
#include "cmd/values.h"

struct doctor_options {
	const char *command; /* --for; NULL: all */
	pid_t pid;
	const char *pid_name; /* given as %NAME */
};

/* ---- checks ---- */

static void put_verdict(struct cell *ret, enum uffdctl_verdict v)
{
	cell_bool(ret, v == UFFDCTL_NOT_KNOWN ? UFFDCTL_UNKNOWN : v == UFFDCTL_YES);
}

static void check_name(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct uffdctl_check *)row)->name);
}

static void check_ok(const void *row, struct cell *ret)
{
	const struct uffdctl_check *c = row;

	put_verdict(ret, c->verdict);
	ret->alert = c->needed && c->verdict == UFFDCTL_NO;
}

static void check_needed(const void *row, struct cell *ret)
{
	cell_bool(ret, ((const struct uffdctl_check *)row)->needed);
}

static void check_detail(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct uffdctl_check *)row)->detail);
}

static void check_remedy(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct uffdctl_check *)row)->remedy);
}

static const struct column check_columns[] = {
	{ "CHECK", "what was tried", 0, check_name },
	{ "OK", "yes or no; unknown if it could not be tried", 0, check_ok },
	{ "NEEDED", "is it needed by the command of --for, or, without that, by any?", COL_HIDDEN, check_needed },
	{ "DETAIL", "what was seen, or which layer says no", 0, check_detail },
	{ "REMEDY", "what to type, the least privilege first; unknown if none is known or needed", COL_HIDDEN,
	  check_remedy },
	{}
};

/* What to do, where people read. */
static const struct column remedy_columns[] = { { "CHECK", "what failed", 0, check_name },
						{ "REMEDY", "what to type, the least privilege first", 0,
						  check_remedy },
						{} };

/* ---- memory ---- */

static void memory_name(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct uffdctl_memory_check *)row)->memory);
}

static void memory_mode(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_mode_name(((const struct uffdctl_memory_check *)row)->mode));
}

static void memory_ok(const void *row, struct cell *ret)
{
	put_verdict(ret, ((const struct uffdctl_memory_check *)row)->verdict);
}

static void memory_ioctls(const void *row, struct cell *ret)
{
	const struct uffdctl_memory_check *m = row;

	if (m->verdict == UFFDCTL_YES)
		cell_bits(ret, m->ioctls, uffdctl_ioctl_name);
}

static void memory_detail(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct uffdctl_memory_check *)row)->detail);
}

static const struct column memory_columns[] = { { "MEMORY", "kind of memory, of which a page was registered", 0,
						  memory_name },
						{ "MODE", "mode of registration", 0, memory_mode },
						{ "OK", "yes or no; unknown if it could not be tried", 0, memory_ok },
						{ "IOCTLS", "what UFFDIO_REGISTER names for it", 0, memory_ioctls },
						{ "DETAIL", "why not, or what it needs", 0, memory_detail },
						{} };

/* ---- mappings of the process ---- */

static void mapping_start(const void *row, struct cell *ret)
{
	cell_address(ret, ((const struct uffdctl_mapping_check *)row)->range.start);
}

static void mapping_end(const void *row, struct cell *ret)
{
	cell_address(ret, ((const struct uffdctl_mapping_check *)row)->range.end);
}

static void mapping_ok(const void *row, struct cell *ret)
{
	put_verdict(ret, ((const struct uffdctl_mapping_check *)row)->verdict);
}

static void mapping_modes(const void *row, struct cell *ret)
{
	const struct uffdctl_mapping_check *m = row;

	if (m->verdict != UFFDCTL_NOT_KNOWN || m->modes)
		cell_bits(ret, m->modes, uffdctl_mode_name);
}

static void mapping_name(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct uffdctl_mapping_check *)row)->label);
}

static void mapping_detail(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct uffdctl_mapping_check *)row)->detail);
}

static const struct column mapping_columns[] = { { "START", "start of the mapping", COL_RIGHT, mapping_start },
						 { "END", "its end", COL_RIGHT, mapping_end },
						 { "OK", "can it be registered?", 0, mapping_ok },
						 { "MODES", "for which modes, by its kind of memory", 0,
						   mapping_modes },
						 { "NAME", "name of the mapping, as in maps", 0, mapping_name },
						 { "DETAIL", "why not, or what limits it", 0, mapping_detail },
						 {} };

/* ---- options ---- */

static const struct argp_option doctor_options[] = {
	{ "for", 'F', "COMMAND", 0, "Can COMMAND be used, on PID if one is given? Exit with status 1 if not", 10 }, {}
};

static error_t parse_doctor(int key, char *arg, struct argp_state *state)
{
	struct doctor_options *o = state->input;

	switch (key) {
	case 'F':
		if (!uffdctl_doctor_knows(arg))
			return usage_error(state, "--for=%s: no command that needs anything", arg);
		o->command = arg;
		invocation_of(state)->exit_failed = EXIT_UNKNOWN;
		return 0;
	case ARGP_KEY_ARG:
		if (o->pid || o->pid_name)
			return usage_error(state, "%s: only one PID can be given", arg);
		return parse_pid(state, arg, &o->pid, &o->pid_name);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- printing ---- */

/* Is it shown? With --for only what counts for it. */
static bool is_of_interest(const struct doctor_options *o, const struct uffdctl_check *c)
{
	return !o->command || c->needed;
}

static int add_terminal(struct invocation *inv)
{
	const char *term = getenv("TERM");
	char detail[160];
	struct winsize w = {};
	struct uffdctl_check c = { .name = "terminal", .detail = detail };

	c.verdict = isatty(STDOUT_FILENO) ? UFFDCTL_YES : UFFDCTL_NO;
	if (c.verdict)
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	if (c.verdict)
		snprintf(detail, sizeof(detail), "TERM %.60s, %d columns, %d lines, %.30s", term ?: "not set", w.ws_col,
			 w.ws_row, nl_langinfo(CODESET));
	else
		snprintf(detail, sizeof(detail), "stdout is no terminal: watch prints lines");
	return table_row(inv->table, &c);
}

static int add_checks(struct invocation *inv, const struct uffdctl_doctor *d)
{
	const struct doctor_options *o = inv->options;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < uffdctl_doctor_checks(d); i++)
		if (is_of_interest(o, uffdctl_doctor_check(d, i)))
			r = table_row(inv->table, uffdctl_doctor_check(d, i));
	return r < 0 || o->command ? r : add_terminal(inv);
}

static int add_remedies(struct invocation *inv, const struct uffdctl_doctor *d)
{
	const struct doctor_options *o = inv->options;
	bool any = false;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < uffdctl_doctor_checks(d); i++) {
		const struct uffdctl_check *c = uffdctl_doctor_check(d, i);

		if (c->verdict != UFFDCTL_NO || !c->remedy || !is_of_interest(o, c))
			continue;
		if (!any)
			r = table_next(inv->table, "remedies", remedy_columns, 0);
		any = true;
		r = r < 0 ? r : table_row(inv->table, c);
	}
	return r;
}

static int add_memories(struct invocation *inv, const struct uffdctl_doctor *d)
{
	int r = table_next(inv->table, "memory", memory_columns, 0);

	for (size_t i = 0; r >= 0 && i < uffdctl_doctor_memories(d); i++)
		r = table_row(inv->table, uffdctl_doctor_memory(d, i));
	return r;
}

static int add_mappings(struct invocation *inv, const struct uffdctl_doctor *d)
{
	int r = table_next(inv->table, "mappings", mapping_columns, 0);

	for (size_t i = 0; r >= 0 && i < uffdctl_doctor_mappings(d); i++)
		r = table_row(inv->table, uffdctl_doctor_mapping(d, i));
	return r;
}

static int print(struct invocation *inv, const struct uffdctl_doctor *d)
{
	const struct doctor_options *o = inv->options;
	/* Scripts that choose columns, or want no heading, get the checks alone. */
	bool alone = !inv->style.json && (inv->style.columns || inv->style.raw || inv->style.noheadings);
	bool registers = !o->command || !strcmp(o->command, "register");
	int r = add_checks(inv, d);

	if (r >= 0 && !alone && !inv->style.json)
		r = add_remedies(inv, d);
	if (r >= 0 && !alone && registers)
		r = add_memories(inv, d);
	if (r >= 0 && !alone && registers && o->pid)
		r = add_mappings(inv, d);
	return r;
}

static int run_doctor(struct invocation *inv)
{
	struct doctor_options *o = inv->options;
	enum uffdctl_verdict verdict = UFFDCTL_NOT_KNOWN;
	struct uffdctl_doctor *d = NULL;
	int r = pid_find(inv, o->pid_name, &o->pid);

	if (r >= 0) {
		const struct uffdctl_doctor_opts opts = { sizeof(opts), o->command, o->pid };

		r = uffdctl_doctor(inv->context, &opts, &d);
	}
	if (r >= 0) {
		verdict = uffdctl_doctor_verdict(d);
		r = print(inv, d);
	}
	if (table_end(inv->table) < 0)
		r = -1;
	uffdctl_doctor_free(d);
	if (r < 0 || !o->command)
		return r < 0 ? inv->exit_failed : EXIT_DONE;
	return verdict == UFFDCTL_YES ? EXIT_DONE : verdict == UFFDCTL_NO ? EXIT_UNDONE : EXIT_UNKNOWN;
}

static const struct option_group no_groups[] = { {} };

const struct cmd cmd_doctor = {
	.name = "doctor",
	.summary = "Show what this kernel lets this user do, and the remedy for the rest",
	.args = "[PID]",
	.options = doctor_options,
	.parse = parse_doctor,
	.groups = no_groups,
	.options_size = sizeof(struct doctor_options),
	.columns = check_columns,
	.more_columns = memory_columns,
	.run = run_doctor,
};
