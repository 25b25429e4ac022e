/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A line of a shell up to the cursor, as words without quotes, and text as that shell would have it typed. */
#ifndef CMD_COMPLETE_LINE_H
#define CMD_COMPLETE_LINE_H

#include <stddef.h>

struct line {
	char **words; /* the last one is under the cursor, and may be "" */
	size_t nr;
	char *text;  /* their memory, or NULL */
	char quote;  /* that is open in the last one: ' or "; or 0 */
	size_t kept; /* this many bytes of the last word stand before what readline(3) replaces */
};

/*
 * Split what was typed in bash. Nothing in it is expanded.
 * @breaks: COMP_WORDBREAKS: at such a character in a word, readline(3) begins to replace
 * @ret: out, free with line_free()
 * -ENOMEM.
 */
int line_split(const char *typed, const char *breaks, struct line *ret);
void line_free(struct line *line);

/* For bash: what to insert so that the last word becomes this one, which begins with it. NULL when out of memory. */
char *line_insertion(const struct line *line, const char *word);

#endif
