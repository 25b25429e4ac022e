/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which pages differ from an image. */
#ifndef CMD_PEEK_DIFF_H
#define CMD_PEEK_DIFF_H

#include "cmd/command.h"

enum verdict {
	SAME,
	DIFFERS,
	NOT_THERE,   /* absent: there is nothing to compare */
	NOT_IN,	     /* swapped out: not read */
	NOT_READ,    /* its state is not known, or it can't be read */
	NOT_IN_IMAGE /* the image ends before it */
};

#define NR_VERDICTS (NOT_IN_IMAGE + 1)

struct diff {
	struct invocation *inv;
	struct table *table;
	pid_t pid;
	int image;
	uint64_t offset; /* of the next page in the image */
	bool by_offset;	 /* pages are at their offset in the mapped file, after this */
	uint8_t *buf;
	uint64_t bytes[NR_VERDICTS];
	/* The run that is not printed so far; empty: none. */
	struct uffdctl_range run;
	uint64_t run_offset;
	enum verdict verdict;
	char *name;
};

extern const struct column diff_columns[];

/* Compare a piece. 0, or a negative errno, reported. */
int diff_piece(struct diff *d, const struct uffdctl_piece *piece);
/* Print what is left. */
int diff_end(struct diff *d);
/* EXIT_DONE: all is the same; EXIT_UNDONE: something differs or is absent; EXIT_UNKNOWN. */
int diff_status(const struct diff *d);

#endif
