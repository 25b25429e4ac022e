// SPDX-License-Identifier: GPL-2.0-or-later
/* Which pages differ from an image. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/columns.h"
#include "cmd/peek_diff.h"
#include "lib/cleanup.h"

/* As much as a piece has at most. */
#define BUFFER_BYTES (1 << 20)

struct diff_row {
	struct range_row place;
	const struct diff *d;
};

static void diff_size(const void *row, struct cell *ret)
{
	const struct diff_row *r = row;

	cell_size(ret, r->place.range.end - r->place.range.start);
}

static void diff_state(const void *row, struct cell *ret)
{
	static const char *const names[] = {
		[DIFFERS] = "differs",	[NOT_THERE] = "absent",	   [NOT_IN] = "swapped",
		[NOT_READ] = "unknown", [NOT_IN_IMAGE] = "beyond",
	};

	cell_text(ret, names[((const struct diff_row *)row)->d->verdict]);
}

static void diff_offset(const void *row, struct cell *ret)
{
	cell_number(ret, ((const struct diff_row *)row)->d->run_offset);
}

static void diff_name(const void *row, struct cell *ret)
{
	cell_text(ret, ((const struct diff_row *)row)->d->name);
}

const struct column diff_columns[] = {
	RANGE_COLUMNS,
	{ "SIZE", "bytes", COL_RIGHT, diff_size },
	{ "STATE", "differs; absent, swapped or unknown: not compared; beyond the end of the image", 0, diff_state },
	{ "OFFSET", "offset in the image, bytes", COL_RIGHT | COL_LONG, diff_offset },
	{ "NAME", "as in maps; [anon:START] if it has none there", COL_WIDE, diff_name },
	{}
};

int diff_end(struct diff *d)
{
	const struct diff_row row = { { d->pid, d->run }, d };
	int r = 0;

	if (d->run.end > d->run.start && d->verdict != SAME)
		r = table_row(d->table, &row);
	d->run = (struct uffdctl_range){};
	free(d->name);
	d->name = NULL;
	return r;
}

static int add(struct diff *d, const struct uffdctl_piece *piece, struct uffdctl_range range, enum verdict verdict)
{
	uint64_t len = range.end - range.start;
	char label[UFFDCTL_LABEL_BYTES];
	const char *name;
	int r;

	d->bytes[verdict] += len;
	if (d->run.end == range.start && d->run.start < d->run.end && d->verdict == verdict &&
	    range.start != piece->vma->range.start) {
		d->run.end = range.end;
		return 0;
	}
	r = diff_end(d);
	name = uffdctl_vma_label(piece->vma, label);
	d->name = name ? strdup(name) : NULL;
	d->verdict = verdict;
	d->run = range;
	d->run_offset = d->offset + (range.start - piece->range.start);
	return r;
}

/* Up to len bytes of the image; less where it ends. */
static ssize_t read_image(const struct diff *d, uint64_t len)
{
	ssize_t done = 0;

	while ((uint64_t)done < len) {
		ssize_t n = pread(d->image, d->buf + done, len - (uint64_t)done, (off_t)(d->offset + (uint64_t)done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += n;
	}
	return done;
}

/* Behind its end, the last page of an image has zeros, as a mapping of it would have. */
static int compare(struct diff *d, const struct uffdctl_piece *piece)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), len = piece->range.end - piece->range.start;
	ssize_t got = read_image(d, len);
	int r = 0;

	if (got < 0) {
		error_errno(&d->inv->messages, (int)got, "the image: %s", strerror((int)-got));
		return (int)got;
	}
	memset(d->buf + got, 0, len - (uint64_t)got);
	for (uint64_t i = 0; r >= 0 && i < len; i += page) {
		struct uffdctl_range at = { piece->range.start + i, piece->range.start + i + page };
		bool same = !memcmp((const uint8_t *)piece->bytes + i, d->buf + i, page);

		r = add(d, piece, at, i >= (uint64_t)got ? NOT_IN_IMAGE : same ? SAME : DIFFERS);
	}
	return r;
}

static enum verdict without_bytes(const struct uffdctl_piece *piece)
{
	if (piece->state == UFFDCTL_PAGE_ABSENT)
		return NOT_THERE;
	return piece->state == UFFDCTL_PAGE_SWAPPED ? NOT_IN : NOT_READ;
}

int diff_piece(struct diff *d, const struct uffdctl_piece *piece)
{
	uint64_t start = d->offset;
	int r;

	if (!d->buf)
		d->buf = malloc(BUFFER_BYTES);
	if (!d->buf) {
		error(&d->inv->messages, "out of memory");
		return -ENOMEM;
	}
	if (d->by_offset)
		d->offset += piece->vma->offset + (piece->range.start - piece->vma->range.start);
	r = piece->bytes ? compare(d, piece) : add(d, piece, piece->range, without_bytes(piece));
	d->offset = d->by_offset ? start : start + (piece->range.end - piece->range.start);
	return r;
}

int diff_status(const struct diff *d)
{
	if (d->bytes[DIFFERS] || d->bytes[NOT_THERE])
		return EXIT_UNDONE;
	return d->bytes[NOT_IN] || d->bytes[NOT_READ] || d->bytes[NOT_IN_IMAGE] ? EXIT_UNKNOWN : EXIT_DONE;
}
