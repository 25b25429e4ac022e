/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text broken into lines between words. */
#ifndef CMD_WRAP_H
#define CMD_WRAP_H

#include <stddef.h>

/*
 * The text with newlines, so that its lines have at most so many characters: in place of a blank, and where that is not
 * enough, behind a comma or a slash. A longer word stays whole. NULL: out of memory; free with free().
 */
char *wrap_words(const char *text, size_t width);

#endif
