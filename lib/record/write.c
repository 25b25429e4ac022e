// SPDX-License-Identifier: LGPL-2.1-or-later
/* Writes a recording: format.h has the layout. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/log.h"
#include "lib/opts.h"
#include "lib/record/dict.h"
#include "lib/record/file.h"
#include "lib/util.h"

#define FLUSH_NS UINT64_C(500000000)
/* Totals that have not changed are written that seldom: they say how long watching lasted. */
#define IDLE_NS UINT64_C(10000000000)

struct uffdctl_recorder {
	struct uffdctl *u;
	struct uffdctl_watch *watch;
	struct record_file file;
	char *selection;
	uint64_t max_bytes;
	uint64_t began_ns, wall_ns, recording, part;
	uint64_t written_ns; /* when the last block was written, or nothing had changed */
	uint64_t stats_ns;   /* when totals were last written */
	struct uffdctl_watch_stats stats;
	int err; /* after it nothing is written */
	struct dict dicts[RECORD_NR_KINDS];
	/* The last fault of the block. */
	struct {
		uint64_t start_ns, addr;
		uint32_t thread, shape, resolver, reader, mapping, code;
	} last;
	struct record_crc crc;
	size_t len;
	/* The head of a block, and items. */
	unsigned char block[RECORD_BLOCK_HEAD_BYTES + RECORD_MAX_BLOCK];
};

/* ---- items ---- */

static inline void put_byte(struct uffdctl_recorder *r, unsigned int byte)
{
	r->block[RECORD_BLOCK_HEAD_BYTES + r->len++] = (unsigned char)byte;
}

static inline void put_item(struct uffdctl_recorder *r, enum record_item item)
{
	put_byte(r, 2 * item);
}

static inline void put_number(struct uffdctl_recorder *r, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		put_byte(r, (n & 0x7f) | 0x80);
	put_byte(r, (unsigned int)n);
}

static inline void put_signed(struct uffdctl_recorder *r, uint64_t n)
{
	put_number(r, record_zigzag(n));
}

static void put_text(struct uffdctl_recorder *r, const char *text)
{
	size_t len = text ? strnlen(text, RECORD_MAX_TEXT) : 0;

	put_number(r, len);
	if (len)
		memcpy(&r->block[RECORD_BLOCK_HEAD_BYTES + r->len], text, len);
	r->len += len;
}

static void put_waits(struct uffdctl_recorder *r, const uint64_t *buckets)
{
	uint64_t nr = 0, empty = 0;

	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++)
		nr += buckets[i] != 0;
	put_number(r, nr);
	for (int i = 0; i < UFFDCTL_NR_BUCKETS; i++, empty++) {
		if (!buckets[i])
			continue;
		put_number(r, empty);
		put_number(r, buckets[i]);
		empty = UINT64_MAX; /* 0 after the increment */
	}
}

/* ---- blocks ---- */

static void put_u32(unsigned char *to, uint32_t n)
{
	n = htole32(n);
	memcpy(to, &n, sizeof(n));
}

static int write_block(struct uffdctl_recorder *r)
{
	if (r->err < 0 || !r->len)
		return r->err;
	put_u32(r->block, (uint32_t)r->len);
	put_u32(r->block + 4, record_crc(&r->crc, r->block + RECORD_BLOCK_HEAD_BYTES, r->len));
	put_u32(r->block + 8, record_crc(&r->crc, r->block, 8));
	r->err = record_file_write(&r->file, r->block, RECORD_BLOCK_HEAD_BYTES + r->len);
	r->len = 0;
	memset(&r->last, 0, sizeof(r->last));
	r->written_ns = now_ns(CLOCK_MONOTONIC);
	return r->err;
}

/* Before items that may fill the block. */
static int make_room(struct uffdctl_recorder *r)
{
	return r->len >= RECORD_BLOCK_BYTES ? write_block(r) : r->err;
}

static void put_info(struct uffdctl_recorder *r)
{
	struct utsname uts = {};

	uname(&uts);
	put_item(r, RECORD_INFO);
	put_text(r, UFFDCTL_VERSION);
	put_text(r, uts.release);
	put_text(r, r->watch ? uffdctl_watch_backend(r->watch) : "");
	put_text(r, r->selection);
	put_number(r, r->began_ns);
	put_number(r, r->wall_ns);
	put_number(r, r->recording);
	put_number(r, r->part);
}

static int begin_file(struct uffdctl_recorder *r)
{
	static const char magic[8] = RECORD_MAGIC; /* without its 0 */
	unsigned char head[RECORD_HEAD_BYTES];

	memcpy(head, magic, sizeof(magic));
	put_u32(head + 8, RECORD_VERSION);
	put_u32(head + 12, record_crc(&r->crc, head, 12));
	r->err = record_file_write(&r->file, head, sizeof(head));
	put_info(r);
	return write_block(r);
}

/* ---- totals ---- */

static void put_stats(struct uffdctl_recorder *r, const struct uffdctl_watch_stats *st, uint64_t passed_ns)
{
	put_item(r, RECORD_STATS);
	put_number(r, passed_ns);
#define PUT(field) put_number(r, st->field);
	RECORD_COUNTS(PUT)
#undef PUT
	put_waits(r, st->buckets);
	put_waits(r, st->queued);
	put_waits(r, st->handled);
}

/* @always: also if they have not changed */
static void put_stats_of_now(struct uffdctl_recorder *r, bool always)
{
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	if (!r->watch || uffdctl_watch_stats(r->watch, &st) < 0)
		return;
	if (!always && now - r->stats_ns < IDLE_NS && !memcmp(&st, &r->stats, sizeof(st)))
		return;
	r->stats = st;
	r->stats_ns = now;
	put_stats(r, &st, now - r->began_ns);
}

static void put_threads(struct uffdctl_recorder *r)
{
	const struct uffdctl_thread_totals *t;
	const struct uffdctl_team_totals *team;

	for (size_t at = 0; (team = uffdctl_watch_team(r->watch, &at)) && make_room(r) >= 0;) {
		put_item(r, RECORD_TEAM);
		put_number(r, (uint64_t)team->pid);
		put_text(r, team->name);
		put_number(r, team->threads);
		put_number(r, team->faults);
		put_number(r, team->wait_ns);
		put_number(r, team->all_wait_ns);
	}
	for (size_t at = 0; (t = uffdctl_watch_thread(r->watch, &at)) && make_room(r) >= 0;) {
		put_item(r, RECORD_TOTAL);
		put_number(r, (uint64_t)t->pid);
		put_number(r, (uint64_t)t->tid);
		put_text(r, t->comm);
		put_number(r, t->faults);
		put_number(r, t->wait_ns);
	}
}

static void put_resolvers(struct uffdctl_recorder *r)
{
	const struct uffdctl_resolver_totals *t;

	for (size_t at = 0; (t = uffdctl_watch_resolver(r->watch, &at)) && make_room(r) >= 0;) {
		put_item(r, RECORD_RESOLVER);
		put_number(r, (uint64_t)t->pid);
		put_number(r, (uint64_t)t->tid);
		put_text(r, t->comm);
		put_number(r, t->faults);
		put_number(r, t->max_wait_ns);
		put_number(r, t->max_queued_ns);
		put_number(r, t->max_handled_ns);
		put_waits(r, t->waits);
		put_waits(r, t->queued);
		put_waits(r, t->handled);
	}
}

static void put_failures(struct uffdctl_recorder *r)
{
	const struct uffdctl_failure_totals *t;

	for (size_t at = 0; (t = uffdctl_watch_failure(r->watch, &at)) && make_room(r) >= 0;) {
		put_item(r, RECORD_FAILURE);
		put_number(r, (uint64_t)t->pid);
		put_number(r, (uint64_t)t->tid);
		put_text(r, t->comm);
		put_number(r, t->op);
		put_number(r, (uint64_t)t->error);
		put_number(r, t->count);
	}
}

static int end_file(struct uffdctl_recorder *r, bool continues)
{
	put_item(r, RECORD_END);
	put_number(r, continues);
	return write_block(r);
}

static void forget(struct uffdctl_recorder *r)
{
	for (int i = 0; i < RECORD_NR_KINDS; i++)
		dict_clear(&r->dicts[i]);
}

static int begin_next_file(struct uffdctl_recorder *r)
{
	put_stats_of_now(r, true);
	if (end_file(r, true) < 0)
		return r->err;
	r->err = record_file_rotate(&r->file);
	if (r->err < 0)
		return r->err;
	forget(r);
	r->part++;
	return begin_file(r);
}

/* ---- faults ---- */

static uint32_t thread_of(struct uffdctl_recorder *r, pid_t pid, pid_t tid, const char comm[16])
{
	struct dict_key key = { .a = (uint64_t)pid << 32 | (uint32_t)tid };
	uint32_t nr;
	bool made;

	memcpy(&key.b, comm, 8);
	memcpy(&key.c, comm + 8, 8);
	nr = dict_get(&r->dicts[RECORD_THREADS], &key, &made);
	if (made) {
		put_item(r, RECORD_THREAD);
		put_number(r, (uint64_t)pid);
		put_number(r, (uint64_t)tid);
		put_text(r, comm);
	}
	return nr;
}

static uint32_t shape_of(struct uffdctl_recorder *r, const struct uffdctl_fault *f)
{
	struct dict_key key = { .a = f->kind, .b = f->access, .c = f->end, .text = f->op };
	uint32_t nr;
	bool made;

	nr = dict_get(&r->dicts[RECORD_SHAPES], &key, &made);
	if (made) {
		put_item(r, RECORD_SHAPE);
		put_number(r, f->kind);
		put_number(r, f->access);
		put_number(r, f->end);
		put_text(r, f->op);
	}
	return nr;
}

static uint32_t mapping_of(struct uffdctl_recorder *r, const struct uffdctl_fault *f)
{
	bool has_offset = f->offset != UFFDCTL_UNKNOWN, made;
	unsigned int flags = (f->name ? RECORD_HAS_TEXT : 0) | (has_offset ? RECORD_HAS_NUMBER : 0);
	struct dict_key key = {
		.a = (uint64_t)f->target_pid, .b = has_offset ? f->addr - f->offset : 0, .c = flags, .text = f->name
	};
	uint32_t nr;

	nr = dict_get(&r->dicts[RECORD_MAPPINGS], &key, &made);
	if (made) {
		put_item(r, RECORD_MAPPING);
		put_number(r, (uint64_t)f->target_pid);
		put_number(r, flags);
		put_text(r, f->name);
		put_number(r, key.b);
	}
	return nr;
}

static uint32_t code_of(struct uffdctl_recorder *r, uint64_t ip, const char *symbol, bool *made)
{
	struct dict_key key = { .a = ip, .text = symbol };
	uint32_t nr;

	*made = false;
	if (ip == UFFDCTL_UNKNOWN && !symbol)
		return 0;
	nr = dict_get(&r->dicts[RECORD_CODES], &key, made);
	if (*made) {
		put_item(r, RECORD_CODE);
		put_number(r, ip);
		put_number(r, (symbol ? RECORD_HAS_TEXT : 0) | (ip != UFFDCTL_UNKNOWN ? RECORD_HAS_NUMBER : 0));
		put_text(r, symbol);
	}
	return nr;
}

/* A number, unless it is that of the last fault, which the flag says. */
#define PUT_IF_NEW(r, flags, flag, member, n)   \
	do {                                    \
		if ((r)->last.member == (n)) {  \
			(flags) |= (flag);      \
		} else {                        \
			(r)->last.member = (n); \
			put_number(r, n);       \
		}                               \
	} while (0)

static void put_fault(struct uffdctl_recorder *r, const struct uffdctl_fault *f, uint32_t code)
{
	uint32_t thread = thread_of(r, f->pid, f->tid, f->comm), shape = shape_of(r, f), mapping = mapping_of(r, f);
	uint32_t resolver = f->resolver_pid ? thread_of(r, f->resolver_pid, f->resolver_tid, f->resolver_comm) : 0;
	uint32_t reader = f->reader_pid ? thread_of(r, f->reader_pid, f->reader_tid, f->reader_comm) : 0;
	unsigned char *first = &r->block[RECORD_BLOCK_HEAD_BYTES + r->len++];
	unsigned int flags = RECORD_IS_FAULT;

	PUT_IF_NEW(r, flags, RECORD_SAME_THREAD, thread, thread);
	PUT_IF_NEW(r, flags, RECORD_SAME_SHAPE, shape, shape);
	if (r->last.resolver == resolver && r->last.reader == reader) {
		flags |= RECORD_SAME_RESOLVER;
	} else {
		put_number(r, r->last.resolver = resolver);
		put_number(r, r->last.reader = reader);
	}
	PUT_IF_NEW(r, flags, RECORD_SAME_MAPPING, mapping, mapping);
	PUT_IF_NEW(r, flags, RECORD_SAME_CODE, code, code);
	put_signed(r, f->start_ns - r->last.start_ns);
	if (f->wait_ns == UFFDCTL_UNKNOWN)
		flags |= RECORD_NO_WAIT;
	else
		put_number(r, f->wait_ns);
	if (f->queue_ns == UFFDCTL_UNKNOWN)
		flags |= RECORD_NO_QUEUE;
	else
		put_number(r, f->queue_ns);
	put_signed(r, f->addr - r->last.addr);
	r->last.start_ns = f->start_ns;
	r->last.addr = f->addr;
	*first = (unsigned char)flags;
}

/* Later faults would name entries that are forgotten, so this comes before a fault. */
static void forget_if_full(struct uffdctl_recorder *r)
{
	for (int i = 0; i < RECORD_NR_KINDS; i++) {
		if (dict_has_room(&r->dicts[i]))
			continue;
		put_item(r, RECORD_FORGET);
		forget(r);
		r->last.thread = r->last.shape = r->last.resolver = r->last.reader = 0;
		r->last.mapping = r->last.code = 0;
		return;
	}
}

UFFDCTL_EXPORT int uffdctl_recorder_fault(struct uffdctl_recorder *r, const struct uffdctl_fault *f, const char *symbol)
{
	uint32_t code;
	bool made;

	if (make_room(r) < 0)
		return r->err;
	if (r->max_bytes && (uint64_t)r->file.bytes + r->len >= r->max_bytes && begin_next_file(r) < 0)
		return r->err;
	forget_if_full(r);
	code = code_of(r, f->ip, symbol, &made);
	put_fault(r, f, code);
	/* Its symbol may have been looked for for long. */
	if (made && now_ns(CLOCK_MONOTONIC) - r->written_ns >= FLUSH_NS)
		return write_block(r);
	return 0;
}

UFFDCTL_EXPORT int uffdctl_recorder_flush(struct uffdctl_recorder *r)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	if (r->err < 0 || now - r->written_ns < FLUSH_NS)
		return r->err;
	r->written_ns = now;
	put_stats_of_now(r, false);
	return write_block(r);
}

OPTS_CHECK(uffdctl_watch_stats, sum_wait_ns);

UFFDCTL_EXPORT int uffdctl_recorder_end(struct uffdctl_recorder *r, const struct uffdctl_watch_stats *stats,
					uint64_t passed_ns)
{
	struct uffdctl_watch_stats st;
	int err = stats ? OPTS_GET(r->u, stats, &st) : 0;

	if (err < 0 || r->err < 0)
		return err < 0 ? err : r->err;
	if (stats)
		put_stats(r, &st, passed_ns);
	else
		put_stats_of_now(r, true);
	if (r->watch) {
		put_threads(r);
		put_resolvers(r);
		put_failures(r);
	}
	return end_file(r, false);
}

/* ---- beginning ---- */

static uint64_t wall_now_ns(void)
{
	struct timespec ts;

	timespec_get(&ts, TIME_UTC);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void begin_clock(struct uffdctl_recorder *r)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	r->began_ns = r->watch ? uffdctl_watch_began_ns(r->watch) : now;
	r->wall_ns = wall_now_ns() - (now - r->began_ns);
	r->recording = r->wall_ns ^ (uint64_t)getpid() << 44;
}

static int begin(struct uffdctl_recorder *r, const char *path)
{
	int err = 0;

	record_crc_init(&r->crc);
	for (int i = 0; i < RECORD_NR_KINDS && err >= 0; i++)
		err = dict_init(&r->dicts[i]);
	if (err < 0)
		return log_oom(r->u);
	begin_clock(r);
	err = record_file_open(r->u, path, r->max_bytes, &r->file);
	return err < 0 ? err : begin_file(r);
}

OPTS_CHECK(uffdctl_recorder_opts, max_bytes);

UFFDCTL_EXPORT int uffdctl_recorder_new(struct uffdctl *u, const char *path, const struct uffdctl_recorder_opts *opts,
					struct uffdctl_recorder **ret)
{
	struct uffdctl_recorder_opts o;
	struct uffdctl_recorder *r;
	int err = OPTS_GET(u, opts, &o);

	if (err < 0)
		return err;
	if (o.max_bytes && o.max_bytes < RECORD_BLOCK_BYTES)
		return fail(u, -EINVAL, "the size of a file of a recording must be at least 64 KiB");
	r = calloc(1, sizeof(*r));
	if (!r)
		return log_oom(u);
	r->u = u;
	r->watch = o.watch;
	r->max_bytes = o.max_bytes;
	r->file.fd = -1;
	r->selection = o.selection ? strdup(o.selection) : NULL;
	err = o.selection && !r->selection ? log_oom(u) : begin(r, path);
	if (err < 0) {
		uffdctl_recorder_free(r);
		return err;
	}
	*ret = r;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_recorder_free(struct uffdctl_recorder *r)
{
	if (!r)
		return;
	for (int i = 0; i < RECORD_NR_KINDS; i++)
		dict_free(&r->dicts[i]);
	record_file_close(&r->file);
	free(r->selection);
	free(r);
}
