// SPDX-License-Identifier: GPL-2.0-or-later
/* The options that mean the same in every command. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/options.h"
#include "cmd/values.h"

enum {
	OPT_LIST_COLUMNS = 0x100,
	OPT_COLOR,
	OPT_USAGE,
};

static const struct argp_option common_options[] = {
	{ "json", 'J', NULL, 0, "Print JSON", 90 },
	{ "noheadings", 'n', NULL, 0, "Print no headings", 90 },
	{ "color", OPT_COLOR, "WHEN", OPTION_ARG_OPTIONAL, "Colour: auto, always or never", 90 },
	{ "verbose", 'v', NULL, 0, "Print on stderr what is being done; twice: also what libbpf says", 91 },
	{ "quiet", 'q', NULL, 0, "Print only errors on stderr, no warnings and notes", 91 },
	{}
};

static const struct argp_option table_options[] = {
	{ "output", 'o', "COLS", 0, "Print these columns; +COLS adds them to the default columns", 90 },
	{ "raw", 'r', NULL, 0, "Print columns without alignment, blanks escaped", 90 },
	{ "bytes", 'b', NULL, 0, "Print sizes in bytes instead of 1.5G", 90 },
	{}
};

static const struct argp_option columns_options[] = {
	{ "list-columns", OPT_LIST_COLUMNS, NULL, 0, "List the columns of the command", 90 }, {}
};

static void set_color(struct invocation *inv, enum when when)
{
	inv->style.color = when == WHEN_AUTO ? isatty(STDOUT_FILENO) && !getenv("NO_COLOR") : when == WHEN_ALWAYS;
}

void options_default(struct invocation *inv)
{
	set_color(inv, WHEN_AUTO);
}

static error_t parse_color(struct invocation *inv, const char *arg, const struct argp_state *state)
{
	enum when when = WHEN_ALWAYS;
	error_t err = arg ? parse_when(state, "color", arg, &when) : 0;

	set_color(inv, when);
	return err;
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct invocation *inv = invocation_of(state);

	switch (key) {
	case 'J':
		inv->style.json = true;
		return 0;
	case 'n':
		inv->style.noheadings = true;
		return 0;
	case 'o':
		inv->style.columns = arg;
		return 0;
	case 'r':
		inv->style.raw = true;
		return 0;
	case 'b':
		inv->style.bytes = true;
		return 0;
	case OPT_LIST_COLUMNS:
		table_list_columns(inv->cmd->columns);
		if (inv->cmd->more_columns) {
			putchar('\n');
			table_list_columns(inv->cmd->more_columns);
		}
		return ECANCELED;
	case OPT_COLOR:
		return parse_color(inv, arg, state);
	case 'v':
		inv->verbose++;
		return 0;
	case 'q':
		inv->messages.quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp common_argp = { .options = common_options, .parser = parse_common };
const struct argp table_argp = { .options = table_options, .parser = parse_common };
const struct argp columns_argp = { .options = columns_options, .parser = parse_common };

/* Texts and their translations are those of argp. */
static const struct argp_option help_options[] = {
	{ "help", 'h', NULL, 0, "Give this help list", -1 },
	{ NULL, '?', NULL, OPTION_HIDDEN, NULL, -1 },
	{ "usage", OPT_USAGE, NULL, 0, "Give a short usage message", 0 },
	{ "version", 'V', NULL, 0, "Print program version", -1 },
	{},
};

static error_t parse_help(int key, char *arg __attribute__((unused)), struct argp_state *state)
{
	switch (key) {
	case 'h':
	case '?':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return ECANCELED;
	case OPT_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE);
		return ECANCELED;
	case 'V':
		printf("uffdctl %s\n", UFFDCTL_VERSION);
		return ECANCELED;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp help_argp = { .options = help_options, .parser = parse_help, .argp_domain = "libc" };
