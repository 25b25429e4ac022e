// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The file of a working set: lines of text.
 *
 *	uffdctl-set 1
 *	image BYTES CONTENTS
 *	OFFSET LENGTH r|w NANOSECONDS	(in the order of the first touch)
 *	end ITEMS
 *
 * BYTES, NANOSECONDS and ITEMS are decimal, the others hexadecimal.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/set/set.h"

#define VERSION 1
#define MAX_LINE 128

/* ---- writing ---- */

static int put_text(FILE *f, const struct uffdctl_workset *s)
{
	fprintf(f, "uffdctl-set %d\nimage %" PRIu64 " %016" PRIx64 "\n", VERSION, s->image_bytes, s->image_id);
	for (size_t i = 0; i < s->nr; i++) {
		const struct uffdctl_workset_item *item = &s->items[i];

		fprintf(f, "%" PRIx64 " %" PRIx64 " %c %" PRIu64 "\n", item->offset, item->len,
			item->access == UFFDCTL_ACCESS_WRITE ? 'w' : 'r', item->time_ns);
	}
	fprintf(f, "end %zu\n", s->nr);
	return ferror(f) ? -(errno ?: EIO) : 0;
}

UFFDCTL_EXPORT int uffdctl_workset_write(const struct uffdctl_workset *s, int fd)
{
	_cleanup_close_ int copy = dup(fd);
	FILE *f = copy < 0 ? NULL : fdopen(copy, "w");
	int r;

	if (!f)
		return fail(s->u, -errno, "working set: %s", strerror(errno));
	copy = -1;
	r = put_text(f, s);
	if (fclose(f) && r >= 0)
		r = -errno;
	return r < 0 ? fail(s->u, r, "working set: can't be written: %s", strerror(-r)) : 0;
}

/* ---- reading ---- */

struct reader {
	struct uffdctl *u;
	const char *path;
	FILE *f;
	unsigned int line; /* its number */
	char text[MAX_LINE];
};

static int fail_line(const struct reader *r, const char *why)
{
	return fail(r->u, -EBADMSG, "%s: line %u: %s", r->path, r->line, why);
}

/* The next line without its end. */
static int next_line(struct reader *r)
{
	size_t len;

	r->line++;
	if (!fgets(r->text, sizeof(r->text), r->f))
		return ferror(r->f) ? fail(r->u, -errno, "%s: %s", r->path, strerror(errno))
				    : fail_line(r, "the file ends early: it was not written to its end");
	len = strlen(r->text);
	if (!len || r->text[len - 1] != '\n')
		return fail_line(r, "not a line of a working set");
	r->text[len - 1] = '\0';
	return 0;
}

/* A number up to the next blank, or the end. False: there is none. */
static bool take_number(const char **at, int base, uint64_t *ret)
{
	const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
	size_t len = strspn(*at, digits);
	char *end;

	if (!len || len > (base == 16 ? 16 : 20) || ((*at)[len] && (*at)[len] != ' '))
		return false;
	errno = 0;
	*ret = strtoull(*at, &end, base);
	*at = *end ? end + 1 : end;
	return !errno;
}

static int read_head(struct reader *r, struct uffdctl_workset *s)
{
	const char *at = r->text;
	uint64_t version;
	int err = next_line(r);

	if (err < 0)
		return err;
	if (strncmp(at, "uffdctl-set ", 12) || (at += 12, !take_number(&at, 10, &version)) || *at)
		return fail_line(r, "not a working set of uffdctl");
	if (version != VERSION)
		return fail(r->u, -EPROTONOSUPPORT,
			    "%s: a working set of version %" PRIu64 ", and this program knows version %d", r->path,
			    version, VERSION);
	err = next_line(r);
	at = r->text + 6;
	if (err >= 0 && (strncmp(r->text, "image ", 6) || !take_number(&at, 10, &s->image_bytes) ||
			 !take_number(&at, 16, &s->image_id) || *at))
		err = fail_line(r, "expected: image BYTES CONTENTS");
	return err;
}

static bool parse_item(const char *at, struct uffdctl_workset_item *ret)
{
	if (!take_number(&at, 16, &ret->offset) || !take_number(&at, 16, &ret->len) || (*at != 'r' && *at != 'w') ||
	    at[1] != ' ')
		return false;
	ret->access = *at == 'w' ? UFFDCTL_ACCESS_WRITE : UFFDCTL_ACCESS_READ;
	at += 2;
	return take_number(&at, 10, &ret->time_ns) && !*at;
}

static int read_items(struct reader *r, struct uffdctl_workset *s)
{
	uint64_t nr = 0, told;

	for (;; nr++) {
		struct uffdctl_workset_item item = {}, *next;
		const char *at = r->text + 4;
		int err = next_line(r);

		if (err < 0)
			return err;
		if (!strncmp(r->text, "end ", 4))
			return take_number(&at, 10, &told) && !*at && told == nr
				       ? 0
				       : fail_line(r, "the number of items is another one");
		if (!parse_item(r->text, &item))
			return fail_line(r, "expected: OFFSET LENGTH r|w NANOSECONDS");
		if (!item.len || item.len > s->image_bytes || item.offset > s->image_bytes - item.len)
			return fail_line(r, "it is outside the image");
		next = vec_add(s->items, s->nr, s->alloc);
		if (!next)
			return log_oom(r->u);
		*next = item;
	}
}

static int check_items(const struct reader *rd, const struct uffdctl_workset *s)
{
	_cleanup_free_ struct uffdctl_workset_item *sorted = NULL;
	int r = set_sort(s, &sorted);

	for (size_t i = 1; r >= 0 && i < s->nr; i++)
		if (sorted[i - 1].offset + sorted[i - 1].len > sorted[i].offset)
			r = fail(s->u, -EBADMSG, "%s: offset %" PRIx64 " is in it twice", rd->path, sorted[i].offset);
	return r;
}

UFFDCTL_EXPORT int uffdctl_workset_read(struct uffdctl *u, const char *path, struct uffdctl_workset **ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct reader rd = { .u = u, .path = path, .f = f };
	struct uffdctl_workset *s = NULL;
	int r;

	if (!f)
		return fail(u, -errno, "%s: %s", path, strerror(errno));
	r = uffdctl_workset_new(u, 0, 0, &s);
	if (r >= 0)
		r = read_head(&rd, s);
	if (r >= 0)
		r = read_items(&rd, s);
	if (r >= 0 && fgetc(f) != EOF)
		r = fail_line(&rd, "something follows the end");
	if (r >= 0)
		r = check_items(&rd, s);
	if (r < 0)
		uffdctl_workset_free(s);
	else
		*ret = s;
	return r;
}
