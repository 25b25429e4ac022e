/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nanoseconds in a readable form. */
#ifndef CMD_DURATION_H
#define CMD_DURATION_H

#include <stdint.h>

enum {
	DURATION_SIZE = 32
};

enum duration_flags {
	DURATION_SHORT = 1 << 0, /* no fraction from 100 on: 128us */
	DURATION_WHOLE = 1 << 1, /* no fraction at all */
	DURATION_MICRO = 1 << 2, /* µs, in UTF-8 */
};

/* "41ns", "41.0us", "1.2ms", "38.0s", "12m03s", "3h20m", "-" for UFFDCTL_UNKNOWN; into buf, which it returns. */
const char *duration_text(char *buf, uint64_t ns, unsigned int flags);

#endif
