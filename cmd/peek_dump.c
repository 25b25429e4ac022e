// SPDX-License-Identifier: GPL-2.0-or-later
/* What pages hold, as a hex dump in the form of hexdump -C. */
#include <inttypes.h>
#include <string.h>

#include "cmd/peek_dump.h"

/* "7f2b4a600000  00 01 … 07  08 … 0f  |................|" */
static void put_line(FILE *f, uint64_t addr, const uint8_t *bytes)
{
	static const char digits[] = "0123456789abcdef";
	char line[DUMP_BYTES * 4 + 16], *p = line;

	for (int i = 0; i < DUMP_BYTES; i++) {
		*p++ = ' ';
		if (i % 8 == 0)
			*p++ = ' ';
		*p++ = digits[bytes[i] >> 4];
		*p++ = digits[bytes[i] & 15];
	}
	p = stpcpy(p, "  |");
	for (int i = 0; i < DUMP_BYTES; i++)
		*p++ = (char)(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.');
	*stpcpy(p, "|\n") = '\0';
	fprintf(f, "%012" PRIx64 "%s", addr, line);
}

static void begin(struct dump *d, uint64_t addr)
{
	if (d->next == addr)
		return;
	dump_end(d);
	d->next = addr;
}

void dump_bytes(struct dump *d, uint64_t addr, const uint8_t *bytes, uint64_t len)
{
	begin(d, addr);
	for (uint64_t i = 0; i < len; i += DUMP_BYTES) {
		if (d->has_last && !memcmp(d->last, bytes + i, DUMP_BYTES)) {
			if (!d->squeezing)
				fputs("*\n", d->f);
			d->squeezing = true;
			continue;
		}
		put_line(d->f, addr + i, bytes + i);
		memcpy(d->last, bytes + i, DUMP_BYTES);
		d->has_last = true;
		d->squeezing = false;
	}
	d->next = addr + len;
}

void dump_note(struct dump *d, struct uffdctl_range range, const char *what)
{
	begin(d, range.start);
	fprintf(d->f, "%012" PRIx64 "  (%s: %" PRIu64 " bytes)\n", range.start, what, range.end - range.start);
	d->has_last = d->squeezing = false;
	d->next = range.end;
}

void dump_end(struct dump *d)
{
	if (d->next)
		fprintf(d->f, "%012" PRIx64 "\n", d->next);
	d->has_last = d->squeezing = false;
	d->next = 0;
}
