/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pages hold, as a hex dump. */
#ifndef CMD_PEEK_DUMP_H
#define CMD_PEEK_DUMP_H

#include <stdio.h>

#include "lib/uffdctl.h"

#define DUMP_BYTES 16 /* a line */

struct dump {
	FILE *f;
	uint64_t next;		  /* the address after what was dumped; 0: nothing was */
	uint8_t last[DUMP_BYTES]; /* the last line */
	bool has_last, squeezing; /* lines like it are left out */
};

/* Add bytes; @len: a multiple of DUMP_BYTES */
void dump_bytes(struct dump *d, uint64_t addr, const uint8_t *bytes, uint64_t len);
/* Say instead of bytes why there are none. */
void dump_note(struct dump *d, struct uffdctl_range range, const char *what);
/* The address after the last byte, as hexdump -C ends. */
void dump_end(struct dump *d);

#endif
