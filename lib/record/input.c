// SPDX-License-Identifier: LGPL-2.1-or-later
/* Blocks of a recording, and what items are made of. Every length is checked. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/record/input.h"

int record_corrupted(struct record_input *in, const char *why)
{
	return fail(in->u, -EBADMSG, "%s: corrupted at byte %" PRIu64 ": %s", in->path, in->offset, why);
}

/* As much as there is; less only at the end of the file. */
static ssize_t read_all(struct record_input *in, void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(in->fd, (char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(in->u, -errno, "%s: %s", in->path, strerror(errno));
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static uint32_t u32_at(const unsigned char *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return le32toh(n);
}

/* ---- the file ---- */

static int check_head(struct record_input *in)
{
	unsigned char head[RECORD_HEAD_BYTES];
	ssize_t n = read_all(in, head, sizeof(head));

	if (n < 0)
		return (int)n;
	if (n < 8 || memcmp(head, RECORD_MAGIC, 8))
		return fail(in->u, -EBADMSG, "%s: not a recording of uffdctl watch --record", in->path);
	if (n < RECORD_HEAD_BYTES)
		return fail(in->u, -EBADMSG, "%s: the file ends within its first %d bytes: nothing was recorded",
			    in->path, RECORD_HEAD_BYTES);
	if (u32_at(head + 12) != record_crc(&in->crc, head, 12))
		return record_corrupted(in, "checksum of the first bytes");
	if (u32_at(head + 8) > RECORD_VERSION)
		return fail(in->u, -EPROTONOSUPPORT,
			    "%s: a recording of version %" PRIu32 ", and uffdctl %s reads up to version %d: use the "
			    "version that made it, or a newer one",
			    in->path, u32_at(head + 8), UFFDCTL_VERSION, RECORD_VERSION);
	if (u32_at(head + 8) != RECORD_VERSION)
		return record_corrupted(in, "there is no version 0");
	in->offset = RECORD_HEAD_BYTES;
	return 0;
}

int record_input_open(struct uffdctl *u, const char *path, struct record_input *ret)
{
	struct stat st;

	ret->u = u;
	ret->path = strdup(path);
	record_crc_init(&ret->crc);
	/* A FIFO must not block us. */
	ret->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (!ret->path)
		return log_oom(u);
	if (ret->fd < 0 || fstat(ret->fd, &st) < 0)
		return fail(u, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(u, -EINVAL, "%s: not a regular file", path);
	return check_head(ret);
}

void record_input_close(struct record_input *in)
{
	if (in->fd >= 0)
		close(in->fd);
	free(in->path);
}

/* ---- blocks ---- */

static int drop_incomplete(struct record_input *in, uint64_t bytes)
{
	log_notice(in->u, "%s: the last block is incomplete, as after a kill: its %" PRIu64 " bytes were left out",
		   in->path, bytes);
	return 0;
}

int record_input_block(struct record_input *in)
{
	unsigned char head[RECORD_BLOCK_HEAD_BYTES];
	ssize_t n;

	in->offset += in->len ? RECORD_BLOCK_HEAD_BYTES + in->len : 0;
	in->len = in->at = 0;
	n = read_all(in, head, sizeof(head));
	if (n <= 0)
		return (int)n;
	if (n < RECORD_BLOCK_HEAD_BYTES)
		return drop_incomplete(in, (uint64_t)n);
	if (u32_at(head + 8) != record_crc(&in->crc, head, 8))
		return record_corrupted(in, "checksum of the head of a block");
	if (!u32_at(head) || u32_at(head) > RECORD_MAX_BLOCK)
		return record_corrupted(in, "length of a block");
	n = read_all(in, in->block, u32_at(head));
	if (n < 0)
		return (int)n;
	if ((size_t)n < u32_at(head))
		return drop_incomplete(in, RECORD_BLOCK_HEAD_BYTES + (uint64_t)n);
	if (u32_at(head + 4) != record_crc(&in->crc, in->block, (size_t)n))
		return record_corrupted(in, "checksum of a block");
	in->len = (size_t)n;
	return 1;
}

/* ---- parts of items ---- */

uint64_t get_long_number(struct record_input *in)
{
	uint64_t n = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		unsigned int byte = get_byte(in);

		/* Of the tenth byte only one bit fits. */
		if (shift == 63 && byte > 1)
			break;
		n |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return n;
	}
	in->wrong = true;
	return 0;
}

uint64_t get_limited(struct record_input *in, uint64_t max)
{
	uint64_t n = get_number(in);

	if (n <= max)
		return n;
	in->wrong = true;
	return 0;
}

/* The length of a text, which lies at in->at. */
static size_t text_len(struct record_input *in, size_t max)
{
	size_t len = get_limited(in, max);

	if (len <= in->len - in->at && !memchr(in->block + in->at, '\0', len))
		return len;
	in->wrong = true;
	return 0;
}

char *get_text(struct record_input *in)
{
	size_t len = text_len(in, RECORD_MAX_TEXT);
	char *text = in->wrong ? NULL : strndup((const char *)in->block + in->at, len);

	in->at += len;
	return text;
}

void get_comm(struct record_input *in, char ret[16])
{
	size_t len = text_len(in, 15);

	memset(ret, 0, 16);
	memcpy(ret, in->block + in->at, len);
	in->at += len;
}

void get_op(struct record_input *in, char ret[RECORD_MAX_OP + 1])
{
	size_t len = text_len(in, RECORD_MAX_OP);

	memcpy(ret, in->block + in->at, len);
	ret[len] = '\0';
	in->at += len;
	in->wrong |= strspn(ret, "abcdefghijklmnopqrstuvwxyz0123456789_") != len;
}

void get_waits(struct record_input *in, uint64_t *ret)
{
	uint64_t nr = get_limited(in, UFFDCTL_NR_BUCKETS);

	memset(ret, 0, UFFDCTL_NR_BUCKETS * sizeof(*ret));
	for (uint64_t i = 0; nr && !in->wrong; nr--, i++) {
		i += get_limited(in, UFFDCTL_NR_BUCKETS);
		if (i < UFFDCTL_NR_BUCKETS)
			ret[i] = get_number(in);
		else
			in->wrong = true;
	}
}
