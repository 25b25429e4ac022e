/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The formats of names, numbers and shades on the screen. */
#ifndef CMD_VIEW_TEXT_H
#define CMD_VIEW_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* From this size on, a screen has room for optional parts. */
enum {
	SCREEN_WIDE = 76
};

/* A name from a target, escaped for drawing; memfd names without " (deleted)". Free with free(). */
char *text_name(const char *raw);

/* Numbers, into buf; "-" for UFFDCTL_UNKNOWN. */
enum {
	NUM_SIZE = 32
};
const char *text_wait(char *buf, uint64_t ns, bool utf8); /* as duration_text(), in 7 columns */
/* An upper bound: "≤21.3ms", or "<=22ms" without UTF-8, in 7 columns; and an exact wait, rounded up as bounds are. */
const char *text_bound(char *buf, uint64_t ns, bool utf8);
const char *text_longest(char *buf, uint64_t ns, bool utf8);
const char *text_count(char *buf, uint64_t n, int width); /* 12,113; or 12.1M if that is too wide */
const char *text_bytes(char *buf, uint64_t n);		  /* 4K 64M 1.5G */
const char *text_uptime(char *buf, uint64_t ns);	  /* 12:31, 1:02:03 */

/* One character, of a shade from 0 (none) to 8. */
const char *text_shade(int level, bool utf8);
/* 0 for none; otherwise 1 to 8 by the square root of part, 8 for whole: small values are visible, too. */
int shade_of(double part, double whole);

#endif
