// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl_escape(): whatever goes in, what comes out is UTF-8 without control characters. glibc is the judge. */
#include <locale.h>
#include <wchar.h>
#include <wctype.h>

#include "fuzz.h"
#include "lib/util.h"

/* Characters that the header promises to escape, written down a second time. */
static bool turns_direction(wint_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static void check_characters(const char *text)
{
	mbstate_t state = {};
	size_t left = strlen(text);

	while (left) {
		wchar_t c = 0;
		size_t len = mbrtowc(&c, text, left, &state);

		ENSURE(len > 0 && len <= left);
		ENSURE(!iswcntrl((wint_t)c) && !turns_direction((wint_t)c));
		text += len;
		left -= len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size), *once, *twice;

	ENSURE(setlocale(LC_CTYPE, "C.UTF-8"));
	ENSURE(uffdctl_escape(text, &once) == 0);
	ENSURE(!has_control(once));
	check_characters(once);

	/* What is fit to print already stays as it is. */
	ENSURE(uffdctl_escape(once, &twice) == 0);
	ENSURE(!strcmp(once, twice));
	free(text);
	free(once);
	free(twice);
	return 0;
}
