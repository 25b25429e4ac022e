// SPDX-License-Identifier: GPL-2.0-or-later
/* A line of bash up to the cursor, as words without quotes, and text as bash would have it typed. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/complete/line.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* One character outside of single quotes behind which another one is taken as it is. */
static bool is_escape(const struct line *line, const char *at)
{
	return at[0] == '\\' && at[1] && line->quote != '\'' && (!line->quote || strchr("$`\"\\", at[1]));
}

/*
 * Copy the word at @at to @out, and return its end.
 * bash 5.2, lib/readline/complete.c, _rl_find_completion_word(): what is replaced begins behind an open quote, otherwise
 * behind the last break that is not quoted.
 */
static const char *copy_word(struct line *line, const char *at, const char *breaks, char *out)
{
	const char *word = out;
	size_t opened = 0;

	line->kept = 0;
	for (; *at && (line->quote || !is_blank(*at)); at++) {
		if (is_escape(line, at)) {
			*out++ = *++at;
		} else if (line->quote && *at == line->quote) {
			line->quote = 0;
		} else if (!line->quote && (*at == '\'' || *at == '"')) {
			line->quote = *at;
			opened = out - word;
		} else {
			*out++ = *at;
			if (!line->quote && strchr(breaks, *at))
				line->kept = out - word;
		}
	}
	*out = '\0';
	if (line->quote)
		line->kept = opened;
	return at;
}

int line_split(const char *typed, const char *breaks, struct line *ret)
{
	size_t len = strlen(typed);
	struct line line = {
		.text = malloc(len + 2),
		.words = calloc(len / 2 + 2, sizeof(*line.words)),
	};
	char *out = line.text;

	if (!out || !line.words) {
		line_free(&line);
		return -ENOMEM;
	}
	/* Blanks at the end begin an empty word. */
	do {
		while (is_blank(*typed))
			typed++;
		line.words[line.nr++] = out;
		typed = copy_word(&line, typed, breaks, out);
		out += strlen(out) + 1;
	} while (*typed);
	*ret = line;
	return 0;
}

void line_free(struct line *line)
{
	free(line->text);
	free(line->words);
}

/* Has no meaning for the shell, wherever it stands in a word. Bytes of UTF-8 have none. */
static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || strchr("_-./,:+%@=", c) || (unsigned char)c >= 0x80;
}

/*
 * The shell closes the quote behind the word, unless it believes that the word ends with it: lib/readline/complete.c,
 * append_to_match(). Then it is closed here.
 */
static char *close_quote(char quote, const char *begin, char *end)
{
	if (!quote || end == begin || end[-1] != quote)
		return end;
	if (quote == '\'')
		return end - 1; /* '\'' without the quote that it opens again */
	*end = quote;
	return end + 1;
}

char *line_insertion(const struct line *line, const char *word)
{
	char *text = malloc(4 * strlen(word) + 2), *out = text;

	if (!text)
		return NULL;
	for (const char *c = word + line->kept; *c; c++) {
		if (line->quote == '\'' && *c == '\'') {
			out = stpcpy(out, "'\\''");
			continue;
		}
		if (!line->quote ? !is_plain(*c) : line->quote == '"' && strchr("$`\"\\", *c))
			*out++ = '\\';
		*out++ = *c;
	}
	*close_quote(line->quote, text, out) = '\0';
	return text;
}
