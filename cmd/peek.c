// SPDX-License-Identifier: GPL-2.0-or-later
/* uffdctl peek: what pages hold. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/columns.h"
#include "cmd/contents.h"
#include "cmd/options.h"
#include "cmd/peek_diff.h"
#include "cmd/peek_dump.h"
#include "cmd/place.h"
#include "cmd/source.h"
#include "lib/cleanup.h"

struct peek_options {
	struct place place;
	enum uffdctl_source source;
	struct contents_options image; /* --diff */
	bool raw;
};

enum {
	OPT_RAW = 'r',
	OPT_DIFF = 'd',
	OPT_BY_OFFSET = 0x500,
};

static const struct argp_option peek_options[] = {
	{ "raw", OPT_RAW, NULL, 0, "Write the bytes themselves; zeros in place of pages that are not there", 10 },
	{ "diff", OPT_DIFF, "FILE[@OFFSET]", 0,
	  "List the pages that differ from FILE, an image of the ranges; exit status 0: none, 1: some, 3: not known",
	  10 },
	{ "by-offset", OPT_BY_OFFSET, NULL, 0, "FILE is an image of the mapped file: compare each page at its offset",
	  10 },
	{}
};

static error_t check_peek(const struct peek_options *o, const struct argp_state *state)
{
	if (!o->place.ranges)
		return usage_error(state,
				   "no RANGE given: START-END, START+LEN, ADDRESS, @GLOB, :SYMBOL or all (see uffdctl(1))");
	if (o->raw && (o->image.from || invocation_of(state)->style.json))
		return usage_error(state, "--raw excludes --diff and --json");
	if (o->image.by_offset && !o->image.from)
		return usage_error(state, "--by-offset needs --diff");
	if (o->raw && isatty(STDOUT_FILENO))
		return usage_error(state, "--raw writes bytes, not text: redirect it into a file or a pipe");
	return 0;
}

static error_t set_image(struct peek_options *o, const char *arg, const struct argp_state *state)
{
	o->image.from = arg;
	invocation_of(state)->exit_failed = EXIT_UNKNOWN;
	return 0;
}

static error_t parse_peek(int key, char *arg, struct argp_state *state)
{
	struct peek_options *o = state->input;

	switch (key) {
	case OPT_RAW:
		o->raw = true;
		return 0;
	case OPT_DIFF:
		return set_image(o, arg, state);
	case OPT_BY_OFFSET:
		o->image.by_offset = true;
		return 0;
	case ARGP_KEY_END:
		return check_peek(o, state);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* ---- pieces ---- */

struct peek {
	struct invocation *inv;
	struct table *table; /* JSON, --diff */
	struct dump dump;
	struct diff diff;
	bool seeks; /* --raw into a file, which gets holes */
	bool ends_in_hole;
	uint64_t nr_left; /* bytes that are there and were not read, or whose state is not known */
	uint64_t nr_absent, nr_swapped;
};

static const char *state_of(const struct uffdctl_piece *piece)
{
	if (piece->error)
		return "unreadable";
	return uffdctl_page_state_name(piece->state);
}

static void count(struct peek *p, const struct uffdctl_piece *piece)
{
	uint64_t len = piece->range.end - piece->range.start;

	if (piece->bytes)
		return;
	if (piece->state == UFFDCTL_PAGE_ABSENT)
		p->nr_absent += len;
	else if (piece->state == UFFDCTL_PAGE_SWAPPED)
		p->nr_swapped += len;
	else
		p->nr_left += len;
}

static int fail_stdout(struct peek *p)
{
	return stdout_failed(&p->inv->messages) ? -EIO : 0;
}

static int dump_piece(void *data, const struct uffdctl_piece *piece)
{
	struct peek *p = data;

	count(p, piece);
	if (piece->bytes)
		dump_bytes(&p->dump, piece->range.start, piece->bytes, piece->range.end - piece->range.start);
	else
		dump_note(&p->dump, piece->range, state_of(piece));
	return ferror(stdout) ? fail_stdout(p) : 0;
}

static int put_zeros(struct peek *p, uint64_t len)
{
	static const char zeros[1 << 16];

	p->ends_in_hole = p->seeks;
	if (p->seeks)
		return fflush(stdout) || lseek(STDOUT_FILENO, (off_t)len, SEEK_CUR) < 0 ? fail_stdout(p) : 0;
	for (uint64_t n; len; len -= n) {
		n = len < sizeof(zeros) ? len : sizeof(zeros);
		if (fwrite(zeros, 1, n, stdout) != n)
			return fail_stdout(p);
	}
	return 0;
}

static int raw_piece(void *data, const struct uffdctl_piece *piece)
{
	struct peek *p = data;
	uint64_t len = piece->range.end - piece->range.start;

	count(p, piece);
	if (!piece->bytes)
		return put_zeros(p, len);
	p->ends_in_hole = false;
	return fwrite(piece->bytes, 1, len, stdout) == len ? 0 : fail_stdout(p);
}

static int compare_piece(void *data, const struct uffdctl_piece *piece)
{
	struct peek *p = data;

	return diff_piece(&p->diff, piece);
}

/* ---- JSON ---- */

struct piece_row {
	struct range_row place;
	const struct uffdctl_piece *piece;
	const uint8_t *bytes;
};

static const struct piece_row *row_of(const void *row)
{
	return row;
}

static void piece_size(const void *row, struct cell *ret)
{
	cell_size(ret, row_of(row)->place.range.end - row_of(row)->place.range.start);
}

static void piece_state(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_page_state_name(row_of(row)->piece->state));
}

/* NULL: there are none, or they can't be read. */
static void piece_hex(const void *row, struct cell *ret)
{
	static const char digits[] = "0123456789abcdef";
	const struct piece_row *r = row_of(row);
	uint64_t len = r->place.range.end - r->place.range.start;
	_cleanup_free_ char *hex = r->bytes ? malloc(2 * len) : NULL;

	for (uint64_t i = 0; hex && i < len; i++) {
		hex[2 * i] = digits[r->bytes[i] >> 4];
		hex[2 * i + 1] = digits[r->bytes[i] & 15];
	}
	if (!hex) {
		ret->failed |= r->bytes != NULL;
		return;
	}
	cell_word_of(ret, hex, 2 * len);
	cell_text(ret, ret->words);
}

static const struct column piece_columns[] = { RANGE_COLUMNS,
					       { "SIZE", "bytes", COL_RIGHT, piece_size },
					       { "STATE", "as in uffdctl pages", 0, piece_state },
					       { "HEX", "what it holds", 0, piece_hex },
					       {} };

/* A row a page, or one for pages without bytes. */
static int list_piece(void *data, const struct uffdctl_piece *piece)
{
	struct peek *p = data;
	uint64_t page = piece->bytes ? (uint64_t)sysconf(_SC_PAGESIZE) : piece->range.end - piece->range.start;
	const struct peek_options *o = p->inv->options;
	int r = 0;

	count(p, piece);
	for (uint64_t at = piece->range.start; r >= 0 && at < piece->range.end; at += page) {
		const uint8_t *bytes = piece->bytes;
		const struct piece_row row = { { o->place.pid, { at, at + page } },
					       piece,
					       bytes ? bytes + (at - piece->range.start) : NULL };

		r = table_row(p->table, &row);
	}
	return r;
}

/* ---- the command ---- */

/* A file gets a hole where there is no page, unless it is appended to. */
static bool can_seek(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);
	struct stat st;

	return fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && !(flags & O_APPEND) &&
	       lseek(STDOUT_FILENO, 0, SEEK_CUR) >= 0;
}

static int end_raw(struct peek *p)
{
	off_t end = p->ends_in_hole ? lseek(STDOUT_FILENO, 0, SEEK_CUR) : 0;
	struct stat st;

	if (fail_stdout(p) < 0)
		return -EIO;
	if (!p->ends_in_hole || fstat(STDOUT_FILENO, &st) < 0 || st.st_size >= end)
		return 0;
	if (ftruncate(STDOUT_FILENO, end) == 0)
		return 0;
	error(&p->inv->messages, "stdout: %s", strerror(errno));
	return -EIO;
}

static uffdctl_piece_fn choose(const struct peek *p)
{
	const struct peek_options *o = p->inv->options;

	if (o->image.from)
		return compare_piece;
	if (o->raw)
		return raw_piece;
	return p->inv->style.json ? list_piece : dump_piece;
}

static int end_peek(struct peek *p)
{
	const struct peek_options *o = p->inv->options;

	if (o->image.from)
		diff_end(&p->diff);
	if (p->table)
		return table_end(p->table) < 0 ? -EIO : 0;
	if (o->raw)
		return end_raw(p);
	dump_end(&p->dump);
	return fail_stdout(p);
}

/* The whole output says where; this says that there is something. */
static void say_left(const struct peek *p)
{
	const struct peek_options *o = p->inv->options;

	if (o->raw && p->nr_absent)
		error(&p->inv->messages,
		      "%d: %" PRIu64 " bytes are absent: zeros were written for them (see uffdctl pages --runs)",
		      o->place.pid, p->nr_absent);
	if (p->nr_swapped)
		error(&p->inv->messages, "%d: %" PRIu64 " bytes are swapped out, and were not read in", o->place.pid,
		      p->nr_swapped);
	if (p->nr_left)
		error(&p->inv->messages, "%d: %" PRIu64 " bytes could not be read, or are not known to be there",
		      o->place.pid, p->nr_left);
}

static int look(struct peek *p)
{
	struct peek_options *o = p->inv->options;
	const struct uffdctl_peek_opts opts = { sizeof(opts), o->place.ranges, o->source, 0, choose(p), p };
	int r = place_open(&o->place, p->inv), ended;

	p->diff.pid = o->place.pid;
	if (r >= 0)
		r = uffdctl_peek_ranges(o->place.target, &opts);
	if (r >= 0)
		say_left(p);
	ended = end_peek(p);
	return r < 0 ? r : ended;
}

static int prepare(struct peek *p, struct uffdctl_action_opts *image)
{
	struct peek_options *o = p->inv->options;
	int r = 0;

	if (o->image.from || p->inv->style.json)
		r = table_new("peek", o->image.from ? diff_columns : piece_columns, &p->inv->style, &p->inv->messages,
			      &p->table);
	if (r >= 0 && o->image.from)
		r = open_contents(&o->image, image, &p->inv->messages);
	if (r >= 0 && image->from_uri) {
		r = -EINVAL;
		error(&p->inv->messages, "%s: --diff compares with a file (nbdfuse(1) makes one of a server's image)",
		      image->from_uri);
	} else if (r >= 0 && o->image.from && lseek(image->from_fd, 0, SEEK_CUR) < 0) {
		r = -errno;
		error_errno(&p->inv->messages, r, "%s: is compared at offsets, so that it must be a file: %s",
			    o->image.from, strerror(-r));
	}
	p->diff = (struct diff){ .inv = p->inv,
				 .table = p->table,
				 .image = image->from_fd,
				 .offset = image->from_offset,
				 .by_offset = o->image.by_offset };
	return r;
}

static int run_peek(struct invocation *inv)
{
	struct peek_options *o = inv->options;
	struct peek p = { .inv = inv, .dump.f = stdout, .seeks = o->raw && can_seek() };
	struct uffdctl_action_opts image = { .from_fd = -1 };
	int status, r = prepare(&p, &image);

	if (r >= 0)
		r = look(&p);
	else if (p.table)
		table_end(p.table);
	status = r < 0 ? inv->exit_failed : o->image.from ? diff_status(&p.diff) : EXIT_DONE;
	if (!o->image.from && (p.nr_left || p.nr_swapped || (o->raw && p.nr_absent)))
		status = EXIT_UNDONE;
	cleanup_close(&image.from_fd);
	free((char *)image.from_uri);
	free(p.diff.buf);
	free(p.diff.name);
	table_free(p.table);
	place_close(&o->place);
	return status;
}

static const struct option_group peek_groups[] = {
	{ &place_argp, offsetof(struct peek_options, place) },
	{ &source_argp, offsetof(struct peek_options, source) },
	{},
};

const struct cmd cmd_peek = {
	.name = "peek",
	.summary = "Dump what pages hold, or compare it with an image",
	.args = "PID RANGE...",
	.options = peek_options,
	.parse = parse_peek,
	.groups = peek_groups,
	.options_size = sizeof(struct peek_options),
	.run = run_peek,
};
