// SPDX-License-Identifier: GPL-2.0-or-later
/* Errors of usage, with arguments escaped: argp and getopt(3) print them as they are. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd/usage.h"
#include "lib/cleanup.h"
#include "lib/uffdctl.h"

error_t usage_error(const struct argp_state *state, const char *fmt, ...)
{
	_cleanup_free_ char *msg = NULL, *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&msg, fmt, ap) < 0)
		msg = NULL;
	va_end(ap);
	if (!msg || uffdctl_escape(msg, &text) < 0)
		text = NULL;
	fprintf(stderr, "%s: %s\n", state->name, text ?: "out of memory");
	argp_state_help(state, stderr, ARGP_HELP_STD_ERR);
	return EINVAL;
}

static bool is_plain(const char *text)
{
	_cleanup_free_ char *same = NULL;

	return uffdctl_escape(text, &same) == 0 && !strcmp(text, same);
}

/* The recursion is as deep as the tables of parsers are nested. */
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

/* Count the options whose name begins with this or is this. */
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

/* Is it handled by our own parsers, whose messages are escaped? */
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

int usage_check(const struct argp *argp, int argc, char **argv, bool in_order, struct messages *m)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (argv[i][0] != '-' || !argv[i][1]) {
			if (in_order)
				return 0;
			continue;
		}
		if (is_plain(argv[i]) || is_known(argp, argv[i]))
			continue;
		error(m, "%s: no such option: see %s --help", argv[i], argv[0]);
		return -EINVAL;
	}
	return 0;
}
