// SPDX-License-Identifier: GPL-2.0-or-later
/* Text broken into lines between words. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/wrap.h"

/* Of UTF-8: all but the first byte of a character are 10xxxxxx. */
static bool begins_character(char c)
{
	return (c & 0xc0) != 0x80;
}

/* The bytes of the first line, at most width characters; all of the text if it is no longer. */
static size_t line_len(const char *text, size_t width)
{
	size_t at, characters = 0, blank = 0, mark = 0;

	for (at = 0; text[at]; at++) {
		characters += begins_character(text[at]);
		if (text[at] == ' ' && (characters <= width + 1 || !(blank || mark)))
			blank = at;
		if (characters > width && (blank || mark))
			return blank ?: mark;
		if ((text[at] == ',' || text[at] == '/') && text[at + 1] && text[at + 1] != ' ')
			mark = at + 1;
	}
	return at;
}

char *wrap_words(const char *text, size_t width)
{
	/* Each line ends with a newline of its own at most. */
	char *wrapped = malloc(2 * strlen(text) + 1), *to = wrapped;

	while (wrapped) {
		size_t len = line_len(text, width);

		to = mempcpy(to, text, len);
		text += len;
		text += strspn(text, " ");
		if (!*text)
			break;
		*to++ = '\n';
	}
	if (wrapped)
		*to = '\0';
	return wrapped;
}
