// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of escaping: what comes from a target can't act on a terminal. */
#include <errno.h>
#include <stdlib.h>

#include "lib/util.h"
#include "tests/unit.h"

static void check_escape(int line, const char *name, const char *want)
{
	char *got = NULL;

	check_num(line, name, uffdctl_escape(name, &got), 0);
	check_str(line, "escaped", got, want);
	free(got);
}

#define ESCAPE(name, want) check_escape(__LINE__, name, want)

TEST("escape-plain")
{
	ESCAPE("", "");
	ESCAPE("/memfd:guest (deleted)", "/memfd:guest (deleted)");
	ESCAPE(" ~", " ~");
}

TEST("escape-controls")
{
	ESCAPE("a\nb", "a\\x0ab");
	ESCAPE("\x1b[31m", "\\x1b[31m");
	ESCAPE("\t\r\b\a\x01\x1f", "\\x09\\x0d\\x08\\x07\\x01\\x1f");
	ESCAPE("\x7f", "\\x7f");
}

TEST("escape-c1")
{
	ESCAPE("\xc2\x80", "\\xc2\\x80");
	ESCAPE("\xc2\x9b", "\\xc2\\x9b");
	ESCAPE("\xc2\x9f", "\\xc2\\x9f");
	ESCAPE("\xc2\xa0", "\xc2\xa0");
	ESCAPE("\x9b", "\\x9b");
}

TEST("escape-multibyte")
{
	ESCAPE("h\xc3\xa4user", "h\xc3\xa4user");
	ESCAPE("\xe2\x82\xac", "\xe2\x82\xac");
	ESCAPE("\xef\xbf\xbd", "\xef\xbf\xbd");
	ESCAPE("\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7");
	ESCAPE("\xf4\x8f\xbf\xbd", "\xf4\x8f\xbf\xbd");
	ESCAPE("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
}

TEST("escape-truncated")
{
	ESCAPE("\xc3", "\\xc3");
	ESCAPE("\xe2\x82", "\\xe2\\x82");
	ESCAPE("\xf0\x9f\x90", "\\xf0\\x9f\\x90");
	ESCAPE("\xe2\x82z", "\\xe2\\x82z");
	ESCAPE("\xc3\xc3\xa4", "\\xc3\xc3\xa4");
	ESCAPE("\xe2\xf0\x9f\x90\xa7", "\\xe2\xf0\x9f\x90\xa7");
}

TEST("escape-stray")
{
	ESCAPE("\x80", "\\x80");
	ESCAPE("\xbf\xbf", "\\xbf\\xbf");
	ESCAPE("\xc3\xa4\xa4", "\xc3\xa4\\xa4");
	ESCAPE("\xfe\xff", "\\xfe\\xff");
	ESCAPE("\xf8\x90\x80\x80", "\\xf8\\x90\\x80\\x80");
	ESCAPE("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
}

TEST("escape-overlong")
{
	ESCAPE("\xc0\xaf", "\\xc0\\xaf");
	ESCAPE("\xc1\xbf", "\\xc1\\xbf");
	ESCAPE("\xe0\x80\x8a", "\\xe0\\x80\\x8a");
	ESCAPE("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");
	ESCAPE("\xe0\xa0\x80", "\xe0\xa0\x80");
	ESCAPE("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf");
	ESCAPE("\xf0\x90\x80\x80", "\xf0\x90\x80\x80");
}

TEST("escape-surrogates")
{
	ESCAPE("\xed\xa0\x80", "\\xed\\xa0\\x80");
	ESCAPE("\xed\xbf\xbf", "\\xed\\xbf\\xbf");
}

TEST("escape-too-large")
{
	ESCAPE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	ESCAPE("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80");
}

TEST("escape-direction")
{
	ESCAPE("\xe2\x80\xae" "cod", "\\xe2\\x80\\xae" "cod");	/* U+202E */
	ESCAPE("\xe2\x80\xaa", "\\xe2\\x80\\xaa");
	ESCAPE("\xe2\x81\xa6", "\\xe2\\x81\\xa6");		/* U+2066 */
	ESCAPE("\xe2\x81\xa9", "\\xe2\\x81\\xa9");
	ESCAPE("\xe2\x80\x8f", "\\xe2\\x80\\x8f");		/* U+200F */
	ESCAPE("\xd8\x9c", "\\xd8\\x9c");			/* U+061C */
	ESCAPE("\xd7\x90", "\xd7\x90");				/* a letter of Hebrew */
}

TEST("escape-line-ends")
{
	ESCAPE("\xe2\x80\xa8", "\\xe2\\x80\\xa8");
	ESCAPE("\xe2\x80\xa9", "\\xe2\\x80\\xa9");
	ESCAPE("\xc2\x85", "\\xc2\\x85");
}

TEST("escape-invisible")
{
	ESCAPE("\xe2\x80\x8b", "\\xe2\\x80\\x8b");		/* U+200B */
	ESCAPE("\xef\xbb\xbf", "\\xef\\xbb\\xbf");		/* U+FEFF */
	ESCAPE("\xf3\xa0\x80\xa1", "\\xf3\\xa0\\x80\\xa1");	/* U+E0021, a tag */
}

TEST("escape-for-messages")
{
	char *text = escaped("a\tb");

	STR(text, "a\\x09b");
	free(text);
}
