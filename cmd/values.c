// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsing of options' values and arguments: numbers, PIDs, times, words. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/values.h"
#include "lib/cleanup.h"

int parse_number(const char *text, int *ret)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || *end || n > INT32_MAX || *text < '0' || *text > '9')
		return -EINVAL;
	*ret = (int)n;
	return 0;
}

int parse_time(const char *text, uint64_t *ret_ns)
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
		*ret_ns = n * units[i].ns;
		return 0;
	}
	return -EINVAL;
}

error_t parse_pid(const struct argp_state *state, const char *text, pid_t *ret, const char **ret_name)
{
	*ret = 0;
	*ret_name = NULL;
	if (text[0] == '%' && text[1]) {
		*ret_name = text + 1;
		return 0;
	}
	return parse_number(text, ret) < 0 || !*ret ? usage_error(state, "%s: not a PID, and not %%NAME", text) : 0;
}

/* "auto, always or never" */
static char *list_words(const char *const *words)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; words[i]; i++)
		fprintf(f, "%s%s", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
	return fclose(f) ? free(text), NULL : text;
}

error_t parse_word(const struct argp_state *state, const char *option, const char *text, const char *const *words,
		   unsigned int *ret)
{
	_cleanup_free_ char *all = NULL;

	for (unsigned int i = 0; words[i]; i++) {
		if (strcmp(text, words[i]))
			continue;
		*ret = i;
		return 0;
	}
	all = list_words(words);
	return usage_error(state, "--%s=%s: write %s", option, text, all ?: "another");
}

const char *const when_words[] = { "auto", "always", "never", NULL };

error_t parse_when(const struct argp_state *state, const char *option, const char *text, enum when *ret)
{
	unsigned int when = *ret;
	error_t err = parse_word(state, option, text, when_words, &when);

	*ret = when;
	return err;
}
