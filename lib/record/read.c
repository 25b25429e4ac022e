// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reads a recording: format.h has the layout. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "lib/log.h"
#include "lib/opts.h"
#include "lib/record/input.h"
#include "lib/util.h"

/* Times are added up and subtracted. */
#define MAX_NS (UINT64_MAX / 4)

struct thread {
	pid_t pid, tid;
	char comm[16];
};

struct shape {
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_end end;
	char op[RECORD_MAX_OP + 1]; /* "": none */
};

struct mapping {
	pid_t pid;
	char *name; /* NULL: not known */
	bool has_base;
	uint64_t base;
};

struct code {
	uint64_t ip;
	char *symbol; /* NULL: not known */
};

/* An array that grows. */
#define VECTOR(type)             \
	struct {                 \
		type *list;      \
		size_t nr, room; \
	}
#define ADD(v) vec_add((v).list, (v).nr, (v).room)

struct uffdctl_record {
	struct uffdctl *u;
	/* What faults name by number, from 1 on. */
	VECTOR(struct thread) threads;
	VECTOR(struct shape) shapes;
	VECTOR(struct mapping) mappings;
	VECTOR(struct code) codes;
	size_t text_bytes;

	struct uffdctl_record_info info;
	enum uffdctl_record_end end;
	bool has_info, has_end, has_stats;
	struct uffdctl_watch_stats stats;
	uint64_t passed_ns;
	VECTOR(struct uffdctl_thread_totals) totals;
	VECTOR(struct uffdctl_team_totals) teams;
	VECTOR(struct uffdctl_resolver_totals) resolvers;
	VECTOR(struct uffdctl_failure_totals) failures;

	/* The last fault of the block, and what it named. */
	struct uffdctl_fault fault;
	uint64_t start_ns, addr;
	size_t thread, shape, resolver, reader, mapping, code;
	int ended; /* after it nothing is read: 0 or a negative errno; 1: not yet */
	struct record_input in;
};

/* ---- what faults name by number ---- */

static void forget(struct uffdctl_record *r)
{
	for (size_t i = 0; i < r->mappings.nr; i++)
		free(r->mappings.list[i].name);
	for (size_t i = 0; i < r->codes.nr; i++)
		free(r->codes.list[i].symbol);
	r->threads.nr = r->shapes.nr = r->mappings.nr = r->codes.nr = 0;
	r->thread = r->shape = r->resolver = r->reader = r->mapping = r->code = 0;
	r->text_bytes = 0;
}

static pid_t get_pid(struct record_input *in)
{
	return (pid_t)get_limited(in, INT_MAX);
}

/* A text that is kept until all are forgotten; NULL: none. */
static char *keep_text(struct uffdctl_record *r, bool has_text)
{
	char *text = get_text(&r->in);

	if (text && (!has_text || (r->text_bytes += strlen(text) + 1) > RECORD_MAX_TEXTS)) {
		r->in.wrong |= has_text;
		free(text);
		return NULL;
	}
	return text;
}

static int read_thread(struct uffdctl_record *r)
{
	struct thread *t = ADD(r->threads);

	if (!t)
		return -ENOMEM;
	*t = (struct thread){ .pid = get_pid(&r->in) };
	t->tid = get_pid(&r->in);
	get_comm(&r->in, t->comm);
	return 0;
}

static int read_shape(struct uffdctl_record *r)
{
	struct shape *s = ADD(r->shapes);

	if (!s)
		return -ENOMEM;
	*s = (struct shape){};
	s->kind = (enum uffdctl_kind)get_limited(&r->in, UFFDCTL_KIND_RWP);
	s->access = (enum uffdctl_access)get_limited(&r->in, UFFDCTL_ACCESS_WRITE);
	s->end = (enum uffdctl_end)get_limited(&r->in, UFFDCTL_END_NOT_WAITED);
	get_op(&r->in, s->op);
	r->in.wrong |= s->kind < UFFDCTL_KIND_MISSING;
	return 0;
}

static int read_mapping(struct uffdctl_record *r)
{
	struct mapping *m = ADD(r->mappings);
	uint64_t flags;

	if (!m)
		return -ENOMEM;
	*m = (struct mapping){ .pid = get_pid(&r->in) };
	flags = get_limited(&r->in, RECORD_HAS_TEXT | RECORD_HAS_NUMBER);
	m->name = keep_text(r, flags & RECORD_HAS_TEXT);
	m->has_base = flags & RECORD_HAS_NUMBER;
	m->base = get_number(&r->in);
	return 0;
}

static int read_code(struct uffdctl_record *r)
{
	struct code *c = ADD(r->codes);
	uint64_t flags;

	if (!c)
		return -ENOMEM;
	*c = (struct code){ .ip = get_number(&r->in) };
	flags = get_limited(&r->in, RECORD_HAS_TEXT | RECORD_HAS_NUMBER);
	if (!(flags & RECORD_HAS_NUMBER))
		c->ip = UFFDCTL_UNKNOWN;
	c->symbol = keep_text(r, flags & RECORD_HAS_TEXT);
	return 0;
}

/* ---- about the recording ---- */

static int read_info(struct uffdctl_record *r)
{
	r->in.wrong |= r->has_info;
	if (r->in.wrong)
		return 0;
	r->has_info = true;
	r->info = (struct uffdctl_record_info){ .program = get_text(&r->in) };
	r->info.kernel = get_text(&r->in);
	r->info.backend = get_text(&r->in);
	r->info.selection = get_text(&r->in);
	r->info.began_ns = get_limited(&r->in, MAX_NS);
	r->info.wall_ns = get_number(&r->in);
	r->info.recording = get_number(&r->in);
	r->info.part = get_number(&r->in);
	return 0;
}

static int read_stats(struct uffdctl_record *r)
{
	struct uffdctl_watch_stats *st = &r->stats;

	*st = (struct uffdctl_watch_stats){ .size = sizeof(*st) };
	r->passed_ns = get_limited(&r->in, MAX_NS);
#define GET(field) st->field = get_number(&r->in);
	RECORD_COUNTS(GET)
#undef GET
	get_waits(&r->in, st->buckets);
	get_waits(&r->in, st->queued);
	get_waits(&r->in, st->handled);
	r->has_stats = true;
	return 0;
}

static int read_team(struct uffdctl_record *r)
{
	struct uffdctl_team_totals *t = ADD(r->teams);

	if (!t)
		return -ENOMEM;
	*t = (struct uffdctl_team_totals){ .pid = get_pid(&r->in) };
	get_comm(&r->in, t->name);
	t->threads = get_number(&r->in);
	t->faults = get_number(&r->in);
	t->wait_ns = get_number(&r->in);
	t->all_wait_ns = get_number(&r->in);
	return 0;
}

static int read_total(struct uffdctl_record *r)
{
	struct uffdctl_thread_totals *t = ADD(r->totals);

	if (!t)
		return -ENOMEM;
	*t = (struct uffdctl_thread_totals){ .pid = get_pid(&r->in) };
	t->tid = get_pid(&r->in);
	get_comm(&r->in, t->comm);
	t->faults = get_number(&r->in);
	t->wait_ns = get_number(&r->in);
	return 0;
}

static int read_resolver(struct uffdctl_record *r)
{
	struct uffdctl_resolver_totals *t = ADD(r->resolvers);

	if (!t)
		return -ENOMEM;
	*t = (struct uffdctl_resolver_totals){ .pid = get_pid(&r->in) };
	t->tid = get_pid(&r->in);
	get_comm(&r->in, t->comm);
	t->faults = get_number(&r->in);
	t->max_wait_ns = get_number(&r->in);
	t->max_queued_ns = get_number(&r->in);
	t->max_handled_ns = get_number(&r->in);
	get_waits(&r->in, t->waits);
	get_waits(&r->in, t->queued);
	get_waits(&r->in, t->handled);
	return 0;
}

static int read_failure(struct uffdctl_record *r)
{
	struct uffdctl_failure_totals *t = ADD(r->failures);

	if (!t)
		return -ENOMEM;
	*t = (struct uffdctl_failure_totals){ .pid = get_pid(&r->in) };
	t->tid = get_pid(&r->in);
	get_comm(&r->in, t->comm);
	t->op = (unsigned int)get_limited(&r->in, RECORD_MAX_IOCTL);
	t->error = (int)get_limited(&r->in, RECORD_MAX_ERRNO);
	t->count = get_number(&r->in);
	return 0;
}

static int read_end(struct uffdctl_record *r)
{
	r->end = get_limited(&r->in, 1) ? UFFDCTL_RECORD_CONTINUES : UFFDCTL_RECORD_COMPLETE;
	r->has_end = true;
	return 0;
}

static int read_forget(struct uffdctl_record *r)
{
	forget(r);
	return 0;
}

/* ---- faults ---- */

static void check_numbers(struct uffdctl_record *r)
{
	if (!r->thread || r->thread > r->threads.nr || !r->shape || r->shape > r->shapes.nr ||
	    r->resolver > r->threads.nr || r->reader > r->threads.nr || !r->mapping || r->mapping > r->mappings.nr ||
	    r->code > r->codes.nr)
		r->in.wrong = true;
}

static void read_numbers(struct uffdctl_record *r, unsigned int flags)
{
	struct record_input *in = &r->in;

	if (!(flags & RECORD_SAME_THREAD))
		r->thread = get_number(in);
	if (!(flags & RECORD_SAME_SHAPE))
		r->shape = get_number(in);
	if (!(flags & RECORD_SAME_RESOLVER)) {
		r->resolver = get_number(in);
		r->reader = get_number(in);
	}
	if (!(flags & RECORD_SAME_MAPPING))
		r->mapping = get_number(in);
	if (!(flags & RECORD_SAME_CODE))
		r->code = get_number(in);
	check_numbers(r);
}

static void put_threads(const struct uffdctl_record *r, struct uffdctl_fault *f)
{
	const struct thread *list = r->threads.list;
	const struct thread *resolver = r->resolver ? &list[r->resolver - 1] : NULL;
	const struct thread *reader = r->reader ? &list[r->reader - 1] : NULL;

	f->pid = list[r->thread - 1].pid;
	f->tid = list[r->thread - 1].tid;
	memcpy(f->comm, list[r->thread - 1].comm, sizeof(f->comm));
	if (resolver) {
		f->resolver_pid = resolver->pid;
		f->resolver_tid = resolver->tid;
		memcpy(f->resolver_comm, resolver->comm, sizeof(f->resolver_comm));
	}
	if (reader) {
		f->reader_pid = reader->pid;
		f->reader_tid = reader->tid;
		memcpy(f->reader_comm, reader->comm, sizeof(f->reader_comm));
	}
}

static void read_fault(struct uffdctl_record *r, unsigned int flags)
{
	struct uffdctl_fault *f = &r->fault;
	const struct mapping *m;
	const struct shape *s;

	read_numbers(r, flags);
	r->start_ns += get_signed(&r->in);
	*f = (struct uffdctl_fault){ .start_ns = r->start_ns };
	f->wait_ns = flags & RECORD_NO_WAIT ? UFFDCTL_UNKNOWN : get_limited(&r->in, MAX_NS);
	f->queue_ns = flags & RECORD_NO_QUEUE ? UFFDCTL_UNKNOWN : get_limited(&r->in, MAX_NS);
	f->addr = r->addr += get_signed(&r->in);
	r->in.wrong |= r->start_ns > MAX_NS;
	if (r->in.wrong)
		return;
	put_threads(r, f);
	s = &r->shapes.list[r->shape - 1];
	f->kind = s->kind;
	f->access = s->access;
	f->end = s->end;
	f->op = *s->op ? s->op : NULL;
	m = &r->mappings.list[r->mapping - 1];
	f->target_pid = m->pid;
	f->name = m->name;
	f->offset = m->has_base ? f->addr - m->base : UFFDCTL_UNKNOWN;
	f->ip = r->code ? r->codes.list[r->code - 1].ip : UFFDCTL_UNKNOWN;
}

/* ---- items ---- */

static const struct reader {
	int (*read)(struct uffdctl_record *r);
	/* Of such items there are at most so many; how many there are, in struct uffdctl_record. 0: no limit */
	size_t max, number;
} readers[] = {
	[RECORD_INFO] = { read_info, 0, 0 },
	[RECORD_THREAD] = { read_thread, RECORD_MAX_ENTRIES, offsetof(struct uffdctl_record, threads.nr) },
	[RECORD_SHAPE] = { read_shape, RECORD_MAX_ENTRIES, offsetof(struct uffdctl_record, shapes.nr) },
	[RECORD_MAPPING] = { read_mapping, RECORD_MAX_ENTRIES, offsetof(struct uffdctl_record, mappings.nr) },
	[RECORD_CODE] = { read_code, RECORD_MAX_ENTRIES, offsetof(struct uffdctl_record, codes.nr) },
	[RECORD_FORGET] = { read_forget, 0, 0 },
	[RECORD_STATS] = { read_stats, 0, 0 },
	[RECORD_TEAM] = { read_team, RECORD_MAX_PARTS, offsetof(struct uffdctl_record, teams.nr) },
	[RECORD_TOTAL] = { read_total, RECORD_MAX_PARTS, offsetof(struct uffdctl_record, totals.nr) },
	[RECORD_RESOLVER] = { read_resolver, RECORD_MAX_RESOLVERS, offsetof(struct uffdctl_record, resolvers.nr) },
	[RECORD_END] = { read_end, 0, 0 },
	[RECORD_FAILURE] = { read_failure, RECORD_MAX_PARTS, offsetof(struct uffdctl_record, failures.nr) },
};

static int read_item(struct uffdctl_record *r, unsigned int type)
{
	const struct reader *reader = type < ARRAY_SIZE(readers) && readers[type].read ? &readers[type] : NULL;
	int err;

	if (!reader)
		return fail(r->u, -EPROTONOSUPPORT,
			    "%s: an item of kind %u at byte %" PRIu64
			    ", which uffdctl %s does not know: use a newer one",
			    r->in.path, type, r->in.offset, UFFDCTL_VERSION);
	if (reader->max && *(const size_t *)((const char *)r + reader->number) >= reader->max)
		return record_corrupted(&r->in, "too many items of a kind");
	err = reader->read(r);
	if (err < 0)
		return log_oom(r->u);
	return r->in.wrong ? record_corrupted(&r->in, "an item is wrong") : 0;
}

/* The next item: 1: a fault; 0: another one; a negative errno. */
static int next_item(struct uffdctl_record *r)
{
	unsigned int first = get_byte(&r->in);

	if (!r->has_info && first != 2 * RECORD_INFO)
		return record_corrupted(&r->in, "it does not say what was recorded");
	if (r->has_end)
		return record_corrupted(&r->in, "something follows the end");
	if (!(first & RECORD_IS_FAULT))
		return read_item(r, first / 2);
	read_fault(r, first);
	return r->in.wrong ? record_corrupted(&r->in, "a fault is wrong") : 1;
}

/* 1: there is an item; 0: the file ends */
static int next_block(struct uffdctl_record *r)
{
	int err;

	if (r->in.at < r->in.len)
		return 1;
	err = record_input_block(&r->in);
	r->start_ns = r->addr = 0;
	r->thread = r->shape = r->resolver = r->reader = r->mapping = r->code = 0;
	return err;
}

UFFDCTL_EXPORT int uffdctl_record_next(struct uffdctl_record *r, const struct uffdctl_fault **ret, const char **symbol)
{
	int err = r->ended;

	if (err <= 0)
		return err;
	do {
		err = next_block(r);
		if (err <= 0)
			return r->ended = err;
		err = next_item(r);
	} while (!err);
	if (err < 0)
		return r->ended = err;
	*ret = &r->fault;
	*symbol = r->code ? r->codes.list[r->code - 1].symbol : NULL;
	return 1;
}

/* ---- the file ---- */

/* Read its first item. */
static int begin(struct uffdctl_record *r)
{
	int err = next_block(r);

	if (err == 0)
		return fail(r->u, -EBADMSG, "%s: the file ends before the first block: nothing was recorded",
			    r->in.path);
	return err < 0 ? err : next_item(r);
}

UFFDCTL_EXPORT int uffdctl_record_open(struct uffdctl *u, const char *path, struct uffdctl_record **ret)
{
	struct uffdctl_record *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return log_oom(u);
	r->u = u;
	r->ended = 1;
	err = record_input_open(u, path, &r->in);
	if (err >= 0)
		err = begin(r);
	if (err < 0) {
		uffdctl_record_close(r);
		return err;
	}
	*ret = r;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_record_close(struct uffdctl_record *r)
{
	if (!r)
		return;
	forget(r);
	free(r->threads.list);
	free(r->shapes.list);
	free(r->mappings.list);
	free(r->codes.list);
	free(r->totals.list);
	free(r->teams.list);
	free(r->resolvers.list);
	free(r->failures.list);
	free((char *)r->info.program);
	free((char *)r->info.kernel);
	free((char *)r->info.backend);
	free((char *)r->info.selection);
	record_input_close(&r->in);
	free(r);
}

UFFDCTL_EXPORT int uffdctl_record_info(struct uffdctl_record *r, struct uffdctl_record_info *ret)
{
	int err = out_check(r->u, ret);

	if (err < 0)
		return err;
	OUT_PUT(&r->info, ret);
	return 0;
}

UFFDCTL_EXPORT enum uffdctl_record_end uffdctl_record_ended(const struct uffdctl_record *r)
{
	return r->has_end ? r->end : UFFDCTL_RECORD_CUT;
}

UFFDCTL_EXPORT int uffdctl_record_stats(struct uffdctl_record *r, struct uffdctl_watch_stats *ret, uint64_t *passed_ns)
{
	int err = out_check(r->u, ret);

	if (err < 0)
		return err;
	if (!r->has_stats)
		return -ENODATA;
	OUT_PUT(&r->stats, ret);
	*passed_ns = r->passed_ns;
	return 0;
}

#define NEXT(v, at) (*(at) < (v).nr ? &(v).list[(*(at))++] : NULL)

UFFDCTL_EXPORT const struct uffdctl_thread_totals *uffdctl_record_thread(struct uffdctl_record *r, size_t *at)
{
	return NEXT(r->totals, at);
}

UFFDCTL_EXPORT const struct uffdctl_team_totals *uffdctl_record_team(struct uffdctl_record *r, size_t *at)
{
	return NEXT(r->teams, at);
}

UFFDCTL_EXPORT const struct uffdctl_resolver_totals *uffdctl_record_resolver(struct uffdctl_record *r, size_t *at)
{
	return NEXT(r->resolvers, at);
}

UFFDCTL_EXPORT const struct uffdctl_failure_totals *uffdctl_record_failure(struct uffdctl_record *r, size_t *at)
{
	return NEXT(r->failures, at);
}
