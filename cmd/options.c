// SPDX-License-Identifier: GPL-2.0-or-later
/* The options that mean the same in every command, and what they set. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

struct common common;

enum {
	OPT_LIST_COLUMNS = 0x100,
	OPT_COLOR,
};

static const struct argp_option options[] = {
	{ "json", 'J', NULL, 0, "Print JSON", 90 },
	{ "output", 'o', "COLS", 0, "Print these columns; +COLS adds to the usual ones", 90 },
	{ "list-columns", OPT_LIST_COLUMNS, NULL, 0, "List the columns there are", 90 },
	{ "noheadings", 'n', NULL, 0, "Print no headings", 90 },
	{ "raw", 'r', NULL, 0, "Print columns without alignment, blanks escaped", 90 },
	{ "bytes", 'b', NULL, 0, "Print sizes in bytes instead of 1.5G", 90 },
	{ "color", OPT_COLOR, "WHEN", OPTION_ARG_OPTIONAL, "Colour: auto, always or never", 90 },
	{ "verbose", 'v', NULL, 0, "Say on stderr what is being done", 91 },
	{ "quiet", 'q', NULL, 0, "No warnings and notes on stderr, only errors", 91 },
	{}
};

static error_t parse_color(const char *when, struct argp_state *state)
{
	if (!when || !strcmp(when, "always"))
		common.color = true;
	else if (!strcmp(when, "never"))
		common.color = false;
	else if (!strcmp(when, "auto"))
		common.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	else
		argp_error(state, "--color=%s: write auto, always or never", when);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		/* Parsed twice: before the command's name, and behind it. */
		return common.cmd ? 0 : parse_color("auto", state);
	case 'J':
		common.json = true;
		return 0;
	case 'o':
		common.columns = arg;
		return 0;
	case OPT_LIST_COLUMNS:
		if (common.cmd && common.cmd->columns)
			exit(table_list_columns(common.cmd->columns) < 0 ? EXIT_UNDONE : EXIT_DONE);
		argp_error(state, "--list-columns: %s",
			   common.cmd ? "this command has no columns" : "of which command?");
		return 0;
	case 'n':
		common.noheadings = true;
		return 0;
	case 'r':
		common.raw = true;
		return 0;
	case 'b':
		common.bytes = true;
		return 0;
	case OPT_COLOR:
		return parse_color(arg, state);
	case 'v':
		common.verbose++;
		return 0;
	case 'q':
		common.quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp common_argp = { .options = options, .parser = parse };

/* ---- messages ---- */

static void (*messages)(const char *msg);

void messages_to(void (*fn)(const char *msg))
{
	messages = fn;
}

static void say(const char *fmt, va_list ap)
{
	if (messages) {
		_cleanup_free_ char *msg = NULL;

		if (vasprintf(&msg, fmt, ap) < 0)
			msg = NULL;
		messages(msg ?: fmt);
		return;
	}
	flockfile(stderr);
	fputs("uffdctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	funlockfile(stderr);
}

void note(const char *fmt, ...)
{
	va_list ap;

	if (common.quiet)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

static void on_log(void *data, int level, const char *msg)
{
	(void)data, (void)level;
	if (messages)
		messages(msg);
	else
		fprintf(stderr, "uffdctl: %s\n", msg);
}

struct uffdctl *ctx(void)
{
	static struct uffdctl *u;

	if (!u && uffdctl_new(&u) < 0) {
		error("out of memory");
		exit(EXIT_UNDONE);
	}
	uffdctl_set_log(u,
			common.quiet	 ? UFFDCTL_LOG_ERROR
			: common.verbose ? UFFDCTL_LOG_DEBUG
					 : UFFDCTL_LOG_NOTICE,
			on_log, NULL);
	return u;
}

int parse_pid(const char *text, pid_t *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || end == text || n <= 0 || n > INT32_MAX || text[0] < '0' || text[0] > '9')
		return -EINVAL;
	*ret = n;
	return 0;
}

int parse_time(const char *text, uint64_t *ret)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 },  { "s", 1e9 },
		      { "", 1e9 }, { "m", 60e9 }, { "h", 3600e9 } };
	char *end;
	double n = strtod(text, &end);

	for (size_t i = 0; end > text && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) || !(n >= 0) || n * units[i].ns > 9e18)
			continue;
		*ret = n * units[i].ns;
		return 0;
	}
	return -EINVAL;
}
