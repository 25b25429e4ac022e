/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocks of a recording, and what items are made of. Every length is checked. */
#ifndef UFFDCTL_RECORD_INPUT_H
#define UFFDCTL_RECORD_INPUT_H

#include <stdbool.h>

#include "lib/context.h"
#include "lib/record/format.h"

struct record_input {
	struct uffdctl *u;
	char *path;
	int fd;
	uint64_t offset; /* of the block, in the file */
	bool wrong;	 /* a number or a text did not fit: what was read since is 0 */
	struct record_crc crc;
	size_t len, at; /* of the block's items */
	unsigned char block[RECORD_MAX_BLOCK];
};

/* Open the file, and read its head. Errors are logged. */
int record_input_open(struct uffdctl *u, const char *path, struct record_input *ret);
/* Read the next block: 1; 0: there is none, or an incomplete one, which is logged as a notice. */
int record_input_block(struct record_input *in);
void record_input_close(struct record_input *in);

/* -EBADMSG, logged with where it is. */
int record_corrupted(struct record_input *in, const char *why);

/* ---- parts of items ---- */

static inline unsigned int get_byte(struct record_input *in)
{
	if (in->at < in->len)
		return in->block[in->at++];
	in->wrong = true;
	return 0;
}

/* A number of one byte is by far the most frequent. */
uint64_t get_long_number(struct record_input *in);
static inline uint64_t get_number(struct record_input *in)
{
	if (in->at < in->len && in->block[in->at] < 0x80)
		return in->block[in->at++];
	return get_long_number(in);
}

/* At most so large. */
uint64_t get_limited(struct record_input *in, uint64_t max);
/* A copy, free with free(). NULL: wrong, or out of memory. */
char *get_text(struct record_input *in);
/* Into an array of a thread's name. */
void get_comm(struct record_input *in, char ret[16]);
/* The name of an ioctl: callers need not escape it. */
void get_op(struct record_input *in, char ret[RECORD_MAX_OP + 1]);
void get_waits(struct record_input *in, uint64_t *ret);

static inline uint64_t get_signed(struct record_input *in)
{
	return record_unzigzag(get_number(in));
}

#endif
