// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of recordings: what is read is what was written, whatever a file has suffered. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "lib/record/format.h"
#include "tests/lib/folder.h"
#include "tests/lib/logged.h"

static char path[128];

/* Numbers that look random, the same each time. */
static uint64_t noise(uint64_t n)
{
	n = (n ^ n >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ n >> 27) * UINT64_C(0x94d049bb133111eb);
	return n ^ n >> 31;
}

/* The fault number i: each member varies, also to what is not known. */
static struct uffdctl_fault make_fault(uint64_t i, char name[64])
{
	uint64_t x = noise(i + 1);
	struct uffdctl_fault f = {
		.start_ns = 1000000000 + i * 100 + x % 5000,
		.wait_ns = x % 17 ? x >> 40 : UFFDCTL_UNKNOWN,
		.queue_ns = x % 13 && x % 17 ? x >> 44 : UFFDCTL_UNKNOWN,
		.addr = 0x7f0000000000 + (x >> 20) % 4096 * 4096,
		.ip = x % 7 ? 0x400000 + x % 50 : UFFDCTL_UNKNOWN,
		.pid = 100 + (pid_t)(x % 3),
		.tid = 200 + (pid_t)(x % 11),
		.target_pid = x % 19 ? 100 : 0,
		.resolver_pid = x % 5 ? 300 : 0,
		.kind = UFFDCTL_KIND_MISSING + (enum uffdctl_kind)(x % 4),
		.access = (enum uffdctl_access)(x % 3),
		.end = (enum uffdctl_end)(x % 4),
		.op = x % 5 ? "continue" : NULL,
		.offset = UFFDCTL_UNKNOWN,
	};

	snprintf(f.comm, sizeof(f.comm), "CPU %d/KVM", (int)(x % 11));
	if (f.resolver_pid) {
		f.resolver_tid = 301 + (pid_t)(x % 2);
		strcpy(f.resolver_comm, "handler\x1b");
		f.reader_pid = 300;
		f.reader_tid = 305;
		strcpy(f.reader_comm, "fifteen_letters");
	}
	if (x % 23) {
		snprintf(name, 64, "/memfd:%d\n<script>", (int)(x % 29));
		f.name = name;
		f.offset = f.addr - 0x7e0000000000;
	}
	return f;
}

static const char *symbol_of(const struct uffdctl_fault *f, char buf[64])
{
	snprintf(buf, 64, "function+0x%x", (unsigned int)(f->ip % 40));
	return f->ip != UFFDCTL_UNKNOWN && f->ip % 3 ? buf : NULL;
}

static void record(struct uffdctl *u, uint64_t nr, uint64_t max_bytes)
{
	struct uffdctl_recorder_opts opts = { .size = sizeof(opts), .selection = "PID 100", .max_bytes = max_bytes };
	struct uffdctl_recorder *r = NULL;
	char name[64], symbol[64];

	NUM(uffdctl_recorder_new(u, path, &opts, &r), 0);
	for (uint64_t i = 0; r && i < nr; i++) {
		struct uffdctl_fault f = make_fault(i, name);

		if (uffdctl_recorder_fault(r, &f, symbol_of(&f, symbol)) < 0)
			abort();
	}
	NUM(uffdctl_recorder_end(r, NULL, 0), 0);
	uffdctl_recorder_free(r);
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_fault(const struct uffdctl_fault *a, const struct uffdctl_fault *b)
{
	return a->start_ns == b->start_ns && a->wait_ns == b->wait_ns && a->queue_ns == b->queue_ns &&
	       a->addr == b->addr && a->ip == b->ip && a->pid == b->pid && a->tid == b->tid &&
	       a->target_pid == b->target_pid && a->resolver_pid == b->resolver_pid &&
	       a->resolver_tid == b->resolver_tid && a->reader_pid == b->reader_pid &&
	       a->reader_tid == b->reader_tid && a->kind == b->kind && a->access == b->access && a->end == b->end &&
	       a->offset == b->offset && same_text(a->op, b->op) && same_text(a->name, b->name) &&
	       !memcmp(a->comm, b->comm, 16) && !memcmp(a->resolver_comm, b->resolver_comm, 16) &&
	       !memcmp(a->reader_comm, b->reader_comm, 16);
}

/* Read a file whose first fault has this number. Returns what the last call returned; *nr: how many were read. */
static int read_back(struct uffdctl *u, const char *file, uint64_t first, uint64_t *nr, bool compare)
{
	const struct uffdctl_fault *f;
	struct uffdctl_record *r;
	const char *symbol;
	int err = uffdctl_record_open(u, file, &r);

	*nr = 0;
	if (err < 0)
		return err;
	while ((err = uffdctl_record_next(r, &f, &symbol)) > 0) {
		char name[64], buf[64];
		struct uffdctl_fault want = make_fault(first + *nr, name);

		++*nr;
		if (!compare || (same_fault(f, &want) && same_text(symbol, symbol_of(&want, buf))))
			continue;
		fail_at(__LINE__, "fault %" PRIu64 " differs", first + *nr - 1);
		break;
	}
	uffdctl_record_close(r);
	return err;
}

static int begin(struct uffdctl **u)
{
	int dir = dir_make();

	snprintf(path, sizeof(path), "%s/record", dir_path);
	*u = new_context();
	return dir;
}

static void end(struct uffdctl *u, int dir)
{
	uffdctl_free(u);
	dir_remove(dir);
}

TEST("record-faults")
{
	struct uffdctl *u;
	int dir = begin(&u);
	struct stat st;
	uint64_t nr;

	record(u, 100000, 0);
	NUM(read_back(u, path, 0, &nr, true), 0);
	NUM(nr, 100000);
	NUM(stat(path, &st), 0);
	NUM(st.st_mode & 07777, 0600);
	end(u, dir);
}

TEST("record-info")
{
	struct uffdctl_record_info info = { .size = sizeof(info) };
	struct uffdctl_watch_stats st = { .size = sizeof(st) };
	const struct uffdctl_fault *f;
	struct uffdctl_record *r;
	struct uffdctl *u;
	int dir = begin(&u);
	const char *symbol;
	uint64_t passed;

	record(u, 0, 0);
	NUM(uffdctl_record_open(u, path, &r), 0);
	NUM(uffdctl_record_info(r, &info), 0);
	STR(info.selection, "PID 100");
	STR(info.program, UFFDCTL_VERSION);
	NUM(info.part, 0);
	NUM(uffdctl_record_ended(r), UFFDCTL_RECORD_CUT);
	NUM(uffdctl_record_next(r, &f, &symbol), 0);
	NUM(uffdctl_record_next(r, &f, &symbol), 0);
	NUM(uffdctl_record_ended(r), UFFDCTL_RECORD_COMPLETE);
	NUM(uffdctl_record_stats(r, &st, &passed), -ENODATA);
	uffdctl_record_close(r);
	NUM(nr_logged, 0);
	end(u, dir);
}

/* More names than are kept: they are forgotten, and written anew. */
TEST("record-many-names")
{
	struct uffdctl_recorder *r;
	const struct uffdctl_fault *read;
	struct uffdctl_record *in;
	struct uffdctl *u;
	int dir = begin(&u);
	const char *symbol;
	char name[6100], long_name[RECORD_MAX_TEXT + 1];
	int nr = 0;

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	NUM(uffdctl_recorder_new(u, path, NULL, &r), 0);
	for (int i = 0; i < 100000; i++) {
		struct uffdctl_fault f = { .pid = i + 1,
					   .tid = i + 1,
					   .kind = UFFDCTL_KIND_MINOR,
					   .name = i % 100 ? "short" : name,
					   .target_pid = i + 1,
					   .offset = 0,
					   .ip = (uint64_t)i };

		if (uffdctl_recorder_fault(r, &f, i % 2 ? "a" : NULL) < 0)
			abort();
	}
	NUM(uffdctl_recorder_end(r, NULL, 0), 0);
	uffdctl_recorder_free(r);
	NUM(uffdctl_record_open(u, path, &in), 0);
	memcpy(long_name, name, RECORD_MAX_TEXT);
	long_name[RECORD_MAX_TEXT] = '\0';
	for (; uffdctl_record_next(in, &read, &symbol) > 0; nr++) {
		if (read->pid == nr + 1 && read->target_pid == nr + 1 && same_text(symbol, nr % 2 ? "a" : NULL) &&
		    same_text(read->name, nr % 100 ? "short" : long_name))
			continue;
		fail_at(__LINE__, "fault %d differs", nr);
		break;
	}
	NUM(nr, 100000);
	uffdctl_record_close(in);
	NUM(nr_logged, 0);
	end(u, dir);
}

TEST("record-files")
{
	char older[160];
	struct uffdctl *u;
	int dir = begin(&u);
	uint64_t nr, sum = 0, size = 1 << 17;
	struct stat st;

	record(u, 200000, size);
	for (int i = UFFDCTL_RECORDER_KEPT; i >= 0; i--) {
		snprintf(older, sizeof(older), i ? "%s.%d" : "%s", path, i);
		NUM(stat(older, &st), 0);
		OK((uint64_t)st.st_size < size + 2 * RECORD_BLOCK_BYTES);
		NUM(read_back(u, older, 0, &nr, false), 0);
		sum += nr;
		/* The last ones are kept. */
		if (!i)
			NUM(read_back(u, older, 200000 - nr, &nr, true), 0);
	}
	OK(sum < 200000 && sum > 200000 / 4);
	snprintf(older, sizeof(older), "%s.%d", path, UFFDCTL_RECORDER_KEPT + 1);
	OK(stat(older, &st) < 0);
	end(u, dir);
}

TEST("record-exists")
{
	struct uffdctl_recorder_opts opts = { .size = sizeof(opts), .max_bytes = 1 << 20 };
	struct uffdctl_recorder *r;
	char older[160];
	struct uffdctl *u;
	int dir = begin(&u);

	record(u, 1, 0);
	NUM(uffdctl_recorder_new(u, path, NULL, &r), -EEXIST);
	PART(logged, "exists already");
	snprintf(older, sizeof(older), "%s.3", path);
	NUM(rename(path, older), 0);
	NUM(uffdctl_recorder_new(u, path, &opts, &r), -EEXIST);
	PART(logged, "record.3: exists already");
	NUM(unlink(older), 0);
	NUM(symlink("nowhere", path), 0);
	NUM(uffdctl_recorder_new(u, path, NULL, &r), -EEXIST);
	opts.max_bytes = 100;
	NUM(uffdctl_recorder_new(u, path, &opts, &r), -EINVAL);
	end(u, dir);
}

/* A limit stands in for a full disk: what was written until then is whole. */
TEST("record-full")
{
	struct rlimit old, limit;
	struct uffdctl_recorder *r;
	struct uffdctl *u;
	int dir = begin(&u), err = 0;
	char name[64];
	uint64_t nr;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = (struct rlimit){ 300000, old.rlim_max };
	setrlimit(RLIMIT_FSIZE, &limit);
	NUM(uffdctl_recorder_new(u, path, NULL, &r), 0);
	for (uint64_t i = 0; i < 100000 && err >= 0; i++) {
		struct uffdctl_fault f = make_fault(i, name);
		char symbol[64];

		err = uffdctl_recorder_fault(r, &f, symbol_of(&f, symbol));
	}
	setrlimit(RLIMIT_FSIZE, &old);
	NUM(err, -EFBIG);
	PART(logged, "recording has ended");
	NUM(nr_logged, 1);
	NUM(uffdctl_recorder_end(r, NULL, 0), -EFBIG);
	NUM(nr_logged, 1);
	uffdctl_recorder_free(r);
	NUM(read_back(u, path, 0, &nr, true), 0);
	OK(nr > 1000);
	NUM(nr_logged, 1);
	end(u, dir);
}

/* ---- files that have suffered ---- */

static size_t load(unsigned char *to, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(to, 1, size, f) : 0;

	if (f)
		fclose(f);
	return n;
}

static void store(const unsigned char *from, size_t size)
{
	FILE *f = fopen(path, "w");

	if (!f || fwrite(from, 1, size, f) != size || fclose(f))
		abort();
}

static unsigned char file[1 << 16];

TEST("record-truncated")
{
	uint64_t nr, whole, most = 0;
	struct uffdctl *u;
	int dir = begin(&u);
	size_t len;

	record(u, 500, 0);
	len = load(file, sizeof(file));
	NUM(read_back(u, path, 0, &whole, true), 0);
	for (size_t n = 0; n < len; n += 1 + n / 100) {
		int err;

		logged[0] = '\0';
		store(file, n);
		err = read_back(u, path, 0, &nr, true);
		OK(err == 0 || err == -EBADMSG);
		most = MAX(most, nr);
		/* A cut at the end of a block needs no words. */
		OK(*logged || err == 0);
		if (err < 0)
			OK(strstr(logged, "nothing was recorded") || strstr(logged, "not a recording"));
	}
	OK(most <= whole);
	end(u, dir);
}

TEST("record-flipped-bits")
{
	uint64_t nr;
	struct uffdctl *u;
	int dir = begin(&u);
	size_t len;

	record(u, 300, 0);
	len = load(file, sizeof(file));
	/* No bit is without a meaning, and each of them is checked. */
	for (size_t bit = 0; bit < len * 8; bit += 1 + bit / 500) {
		int err;

		file[bit / 8] ^= (unsigned char)(1 << bit % 8);
		store(file, len);
		logged[0] = '\0';
		err = read_back(u, path, 0, &nr, true);
		if (err != -EBADMSG || !strstr(logged, path))
			fail_at(__LINE__, "bit %zu: %d, %s", bit, err, logged);
		file[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	end(u, dir);
}

TEST("record-newer")
{
	struct record_crc crc;
	uint32_t sum;
	uint64_t nr;
	struct uffdctl *u;
	int dir = begin(&u);
	size_t len;

	record(u, 3, 0);
	len = load(file, sizeof(file));
	file[8] = RECORD_VERSION + 1;
	record_crc_init(&crc);
	sum = record_crc(&crc, file, 12);
	memcpy(file + 12, &sum, 4);
	store(file, len);
	NUM(read_back(u, path, 0, &nr, true), -EPROTONOSUPPORT);
	PART(logged, "a recording of version 2");
	PART(logged, "a newer one");
	end(u, dir);
}

TEST("record-other-files")
{
	struct uffdctl_record *r;
	struct uffdctl *u;
	int dir = begin(&u);
	uint64_t nr;

	NUM(uffdctl_record_open(u, "/nowhere", &r), -ENOENT);
	NUM(uffdctl_record_open(u, "/dev/zero", &r), -EINVAL);
	PART(logged, "not a regular file");
	NUM(mkfifo(path, 0600), 0);
	NUM(uffdctl_record_open(u, path, &r), -EINVAL);
	NUM(unlink(path), 0);
	store((const unsigned char *)"hello, world, here I am", 20);
	NUM(read_back(u, path, 0, &nr, true), -EBADMSG);
	PART(logged, "not a recording");
	store((const unsigned char *)"", 0);
	NUM(read_back(u, path, 0, &nr, true), -EBADMSG);
	end(u, dir);
}

TEST("record-checksum")
{
	struct record_crc crc;

	record_crc_init(&crc);
	/* RFC 3720, B.4, and the usual check value. */
	NUM(record_crc(&crc, "123456789", 9), 0xe3069283);
	NUM(record_crc(&crc, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32), 0x8a9136aa);
}

/* UFFDCTL_TEST_RECORD=FILE:FAULTS leaves a large one, for measurements. */
TEST("record-large")
{
	const char *wanted = getenv("UFFDCTL_TEST_RECORD");
	uint64_t nr = 300000, got;
	struct uffdctl *u;
	int dir = begin(&u);

	if (wanted && sscanf(wanted, "%127[^:]:%" SCNu64, path, &nr) != 2)
		abort();
	record(u, nr, 0);
	NUM(read_back(u, path, 0, &got, true), 0);
	NUM(got, nr);
	end(u, dir);
}
