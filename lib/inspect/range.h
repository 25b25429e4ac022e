/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parsing of ranges. */
#ifndef UFFDCTL_RANGE_H
#define UFFDCTL_RANGE_H

#include "lib/context.h"

enum range_kind {
	RANGE_ADDRESS, /* START-END, START+LEN */
	RANGE_PAGE,    /* an address: its page, which may be a huge one */
	RANGE_GLOB,    /* @GLOB, N@GLOB */
	RANGE_SYMBOL,  /* :SYMBOL, FILE:SYMBOL */
	RANGE_ALL,
};

struct range_spec {
	enum range_kind kind;
	char *text;		    /* as written, escaped for messages */
	struct uffdctl_range range; /* RANGE_ADDRESS; RANGE_PAGE: the small page there */
	uint64_t nth;		    /* RANGE_GLOB: only this one of the matches, from 1; 0: all */
	char *module;		    /* RANGE_SYMBOL: may be NULL */
	char *pattern;		    /* the symbol, or the glob */
};

struct uffdctl_ranges {
	struct uffdctl *u;
	struct range_spec *specs;
	size_t nr, alloc;
};

#endif
