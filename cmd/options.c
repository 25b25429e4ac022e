// SPDX-License-Identifier: GPL-2.0-or-later
/* The options that mean the same in every command, and what they set. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"

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

/* All messages pass here. What they quote, be it an argument or a name of a target's, must not act on the terminal. */
static void put(const char *msg)
{
	_cleanup_free_ char *text = NULL;

	if (uffdctl_escape(msg, &text) < 0)
		text = NULL;
	if (messages)
		messages(text ?: "out of memory");
	else
		fprintf(stderr, "uffdctl: %s\n", text ?: "out of memory");
}

static void say(const char *fmt, va_list ap)
{
	_cleanup_free_ char *msg = NULL;

	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	put(msg ?: "out of memory");
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

void usage_error(const struct argp_state *state, const char *fmt, ...)
{
	_cleanup_free_ char *msg = NULL, *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	va_end(ap);
	if (!msg || uffdctl_escape(msg, &text) < 0)
		text = NULL;
	/* The parentheses keep it from being the macro. */
	(argp_error)(state, "%s", text ?: "out of memory");
}

/* ---- arguments that getopt(3) would print as they are ---- */

static bool is_plain(const char *text)
{
	_cleanup_free_ char *same = NULL;

	return uffdctl_escape(text, &same) == 0 && !strcmp(text, same);
}

/* As deep as the parsers' own tables. */
/* NOLINTBEGIN(misc-no-recursion) */
static const struct argp_option *find_short(const struct argp *argp, int c)
{
	const struct argp_option *found = NULL;

	for (const struct argp_option *o = argp->options; o && (o->name || o->key) && !found; o++)
		if (o->key == c)
			found = o;
	for (const struct argp_child *child = argp->children; child && child->argp && !found; child++)
		found = find_short(child->argp, c);
	return found;
}

/* Options of which this is the beginning of the name, or all of it. */
static int count_long(const struct argp *argp, const char *name, size_t len, bool all)
{
	int n = 0;

	for (const struct argp_option *o = argp->options; o && (o->name || o->key); o++)
		n += o->name && !strncmp(o->name, name, len) && (!all || !o->name[len]);
	for (const struct argp_child *child = argp->children; child && child->argp; child++)
		n += count_long(child->argp, name, len, all);
	return n;
}
/* NOLINTEND(misc-no-recursion) */

/* Does it lead to a parser of ours, whose messages are escaped? */
static bool is_known(const struct argp *argp, const char *arg)
{
	const struct argp_option *o = NULL;
	size_t len = strcspn(arg, "=") - 2;

	if (arg[1] == '-')
		return count_long(argp, arg + 2, len, true) == 1 || count_long(argp, arg + 2, len, false) == 1;
	for (const char *c = arg + 1; *c && (!o || !o->arg); c++) {
		o = find_short(argp, *c);
		if (!o)
			return false;
	}
	return true;
}

void options_check(const struct argp *argp, int argc, char **argv, bool in_order)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (argv[i][0] != '-' || !argv[i][1]) {
			if (in_order)
				return;
			continue;
		}
		if (is_plain(argv[i]) || is_known(argp, argv[i]))
			continue;
		error("%s: no such option: see %s --help", argv[i], argv[0]);
		exit(EXIT_USAGE);
	}
}

static void on_log(void *data, int level, const char *msg)
{
	(void)data, (void)level;
	put(msg);
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
