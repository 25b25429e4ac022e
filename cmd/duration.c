// SPDX-License-Identifier: GPL-2.0-or-later
/* Nanoseconds in a readable form. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmd/duration.h"
#include "lib/uffdctl.h"

struct unit {
	uint64_t ns;
	const char *name;
};

/* There are hundreds of thousands of lines: printf(3) would take most of the time. */
static char *put_digits(char *p, uint64_t n)
{
	char digits[20];
	int nr = 0;

	do
		digits[nr++] = (char)('0' + n % 10);
	while (n /= 10);
	while (nr)
		*p++ = digits[--nr];
	return p;
}

static const char *put_unit(char *buf, uint64_t ns, const struct unit *u, unsigned int flags)
{
	uint64_t tenths = (ns + u->ns / 20) / (u->ns / 10);
	bool whole = flags & DURATION_WHOLE || (flags & DURATION_SHORT && tenths >= 1000);
	char *p = put_digits(buf, whole ? (ns + u->ns / 2) / u->ns : tenths / 10);

	if (!whole) {
		*p++ = '.';
		*p++ = (char)('0' + tenths % 10);
	}
	stpcpy(p, flags & DURATION_MICRO && u->ns == 1000 ? "µs" : u->name);
	return buf;
}

/* Hours and minutes, or minutes and seconds. */
static const char *put_two(char *buf, uint64_t n, char large, char small)
{
	snprintf(buf, DURATION_SIZE, "%u%c%02u%c", (unsigned int)(n / 60), large, (unsigned int)(n % 60), small);
	return buf;
}

const char *duration_text(char *buf, uint64_t ns, unsigned int flags)
{
	static const struct unit units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" } };
	uint64_t s = ns / 1000000000;

	if (ns == UFFDCTL_UNKNOWN)
		return memcpy(buf, "-", 2);
	if (s >= 3600)
		return put_two(buf, s / 60, 'h', 'm');
	if (s >= 60)
		return put_two(buf, s, 'm', 's');
	/* A value that would be rounded to 1000.0 of a unit is 1.0 of the next one. */
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (ns >= units[i].ns - units[i].ns / 20000)
			return put_unit(buf, ns, &units[i], flags);
	stpcpy(put_digits(buf, ns), "ns");
	return buf;
}
