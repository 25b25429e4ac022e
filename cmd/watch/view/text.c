// SPDX-License-Identifier: GPL-2.0-or-later
/* The formats of names, numbers and shades on the screen. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/duration.h"
#include "cmd/watch/clock.h"
#include "cmd/watch/view/text.h"
#include "lib/uffdctl.h"

char *text_name(const char *raw)
{
	static const char deleted[] = " (deleted)";
	char *name;
	size_t len;

	if (uffdctl_escape(raw, &name) < 0)
		return NULL;
	len = strlen(name);
	if (!strncmp(name, "/memfd:", 7) && len > sizeof(deleted) && !strcmp(name + len - sizeof(deleted) + 1, deleted))
		name[len - sizeof(deleted) + 1] = '\0';
	return name;
}

/* ---- numbers ---- */

static const char *unknown(char *buf)
{
	return memcpy(buf, "-", 2);
}

static void group_digits(char *buf, uint64_t n)
{
	char digits[NUM_SIZE];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
}

const char *text_count(char *buf, uint64_t n, int width)
{
	static const char units[] = "kMGTPE";
	double x = (double)n;
	int i = -1;

	if (n == UFFDCTL_UNKNOWN)
		return unknown(buf);
	group_digits(buf, n);
	if ((int)strlen(buf) <= width)
		return buf;
	for (; x >= 999.5; i++)
		x /= 1000;
	snprintf(buf, NUM_SIZE, x < 99.95 ? "%.1f%c" : "%.0f%c", x, units[i < 0 ? 0 : i]);
	return buf;
}

const char *text_wait(char *buf, uint64_t ns, bool utf8)
{
	return duration_text(buf, ns, DURATION_SHORT | (utf8 ? DURATION_MICRO : 0));
}

/* Rounded up to this many digits: what is shown of a bound must not be less than the bound. */
static const char *put_up(char *buf, const char *sign, uint64_t ns, int digits, bool utf8)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	uint64_t step = 1, unit = 1;
	char minutes[NUM_SIZE];
	int u = 0, before;

	while (ns / step >= (digits == 2 ? 100 : 1000))
		step *= 10;
	ns = (ns + step - 1) / step * step;
	for (; u < 3 && ns / unit >= 1000; u++)
		unit *= 1000;
	before = ns / unit >= 100 ? 3 : ns / unit >= 10 ? 2 : 1;
	if (ns >= 60 * SECOND)
		snprintf(buf, NUM_SIZE, "%s%.16s", sign, text_wait(minutes, ns, utf8));
	else
		snprintf(buf, NUM_SIZE, "%s%.*f%s", sign, u && before < digits ? digits - before : 0,
			 (double)ns / (double)unit, utf8 && u == 1 ? "µs" : units[u]);
	return buf;
}

const char *text_bound(char *buf, uint64_t ns, bool utf8)
{
	return ns == UFFDCTL_UNKNOWN ? unknown(buf) : put_up(buf, utf8 ? "≤" : "<=", ns, utf8 ? 3 : 2, utf8);
}

const char *text_longest(char *buf, uint64_t ns, bool utf8)
{
	return ns == UFFDCTL_UNKNOWN ? unknown(buf) : put_up(buf, "", ns, 3, utf8);
}

const char *text_bytes(char *buf, uint64_t n)
{
	static const char units[] = "BKMGTPE";
	double x = (double)n;
	int i = 0;

	if (n == UFFDCTL_UNKNOWN)
		return unknown(buf);
	for (; x >= 1024; i++)
		x /= 1024;
	snprintf(buf, NUM_SIZE, x < 100 && x != (double)(uint64_t)x ? "%.1f%c" : "%.0f%c", x, units[i]);
	return buf;
}

const char *text_uptime(char *buf, uint64_t ns)
{
	uint64_t s = ns / 1000000000;

	if (s < 3600)
		snprintf(buf, NUM_SIZE, "%02" PRIu64 ":%02" PRIu64, s / 60, s % 60);
	else
		snprintf(buf, NUM_SIZE, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
	return buf;
}

/* ---- shades ---- */

const char *text_shade(int level, bool utf8)
{
	static const char *const blocks[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	static const char *const ascii[] = { " ", ".", ":", "-", "=", "+", "*", "#", "@" };

	level = level < 0 ? 0 : level > 8 ? 8 : level;
	return utf8 ? blocks[level] : ascii[level];
}

int shade_of(double part, double whole)
{
	if (part <= 0 || whole <= 0)
		return 0;
	return part >= whole ? 8 : 1 + (int)(sqrt(part / whole) * 7 + 0.5);
}
