// SPDX-License-Identifier: GPL-2.0-or-later
/* What pages hold: the pattern of a seed, or bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/contents.h"
#include "tests/helpers/target/job.h"
#include "tests/helpers/target/request.h"

/* splitmix64 of seed * 2^64/phi + index; tests/harness/memory.py has the same formula. */
uint64_t pattern_word(uint64_t seed, uint64_t index)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15 + index;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

uint64_t unit(struct job *j)
{
	return j->stride < j->page ? j->stride : j->page;
}

static uint64_t expected(struct job *j, char *p)
{
	return pattern_word(j->seed, (j->off + ((uintptr_t)p - j->addr)) / j->page);
}

bool same(struct job *j, char *p)
{
	uint64_t word = expected(j, p), n = unit(j) / 8 - j->tail;

	for (uint64_t i = 0; i < n; i++)
		if (((volatile uint64_t *)p)[i] != word)
			return false;
	return !j->tail || ((volatile uint64_t *)p)[n] == j->value;
}

static void check_unit(struct job *j, char *p)
{
	if (same(j, p))
		j->touched++;
	else if (!j->mismatches++)
		j->first_differ = (uintptr_t)p - j->addr;
}

static void fill_unit(struct job *j, char *p)
{
	uint64_t word = expected(j, p), n = unit(j) / 8;

	for (uint64_t i = 0; i < n; i++)
		((volatile uint64_t *)p)[i] = word;
}

static void peek_all(struct job *j, char *p)
{
	memcpy(j->buf, p, j->len);
}

static void poke_all(struct job *j, char *p)
{
	memcpy(p, j->buf, j->len);
}

/* Applies access() to each unit of the range once; ends at the first error. */
static int run_units(struct job *j)
{
	for (uint64_t i = 0; i < j->len; i += j->stride)
		if (guarded(j, j->access, (char *)j->addr + i))
			return -EFAULT;
	return 0;
}

static int run_whole(struct job *j)
{
	return guarded(j, j->access, (char *)j->addr);
}

/* Moves the job to a temporary mapping of the same file, which is registered nowhere. */
static int second_open(struct job *j)
{
	uint64_t skip = j->off % j->page;
	char *p;

	if (!j->map || j->map->fd < 0)
		return fail(EBADF, "no file, so there is no second mapping");
	p = mmap(NULL, j->len + skip, PROT_READ | PROT_WRITE, MAP_SHARED, j->map->fd, (off_t)(j->off - skip));
	if (p == MAP_FAILED)
		return fail_errno("second mapping");
	j->addr = (uintptr_t)p + skip;
	return 0;
}

static void second_close(struct job *j)
{
	uint64_t skip = j->off % j->page;
	uint64_t len = (j->len + skip + j->page - 1) / j->page * j->page;

	munmap((void *)(j->addr - skip), len);
}

/* In a worker thread on the mapping itself, or here through a second one. */
static int contents(struct json_object *req, struct json_object *res, struct job *j, bool second)
{
	int err;

	if (!second)
		return job_run(req, res, j);
	err = second_open(j);
	if (err)
		return err;
	err = j->run(j);
	j->done = true;
	second_close(j);
	return err ? fail(-err, "%s", strerror(-err)) : 0;
}

static int units_job(struct json_object *req, void (*access)(struct job *, char *), struct job **ret)
{
	int err = job_new(req, ret);

	if (!err)
		err = arg_range(req, *ret);
	if (err)
		return err;
	(*ret)->run = run_units;
	(*ret)->access = access;
	(*ret)->stride = (*ret)->page;
	(*ret)->seed = arg_u64(req, "seed", 1);
	if ((*ret)->addr % (*ret)->page || (*ret)->len % (*ret)->page)
		return fail(EINVAL, "offset and len must be multiples of the page size");
	return 0;
}

static bool through_second(struct json_object *req, const char *def)
{
	return !strcmp(arg_str(req, "through", def), "second");
}

static int cmd_fill(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = units_job(req, fill_unit, &j);

	return err ? err : contents(req, res, j, through_second(req, "second"));
}

static int check(struct json_object *req, struct json_object *res, bool through_file)
{
	struct job *j;
	int err = units_job(req, check_unit, &j);

	if (err)
		return err;
	j->tail = has(req, "tail");
	j->value = arg_u64(req, "tail", 0);
	err = contents(req, res, j, through_file);
	put_u64(res, "match", j->touched);
	put_u64(res, "differ", j->mismatches);
	if (j->mismatches)
		put_u64(res, "first_differ", j->first_differ + arg_u64(req, "offset", 0));
	else
		json_object_object_add(res, "first_differ", NULL);
	return err;
}

static int cmd_check(struct json_object *req, struct json_object *res)
{
	return check(req, res, false);
}

static int cmd_check_file(struct json_object *req, struct json_object *res)
{
	return check(req, res, true);
}

static int bytes_job(struct json_object *req, uint64_t len, void (*access)(struct job *, char *), struct job **ret)
{
	int err = job_new(req, ret);

	if (!err)
		err = arg_range(req, *ret);
	if (err)
		return err;
	if (len > 4096)
		return fail(EINVAL, "len is over 4096");
	(*ret)->run = run_whole;
	(*ret)->access = access;
	(*ret)->len = len;
	(*ret)->buf = calloc(1, len + 1);
	return (*ret)->buf ? 0 : fail_errno("calloc");
}

static int cmd_peek(struct json_object *req, struct json_object *res)
{
	uint64_t len = arg_u64(req, "len", 8);
	char hex[2 * 4096 + 1] = "";
	struct job *j;
	int err = bytes_job(req, len, peek_all, &j);

	if (!err)
		err = contents(req, res, j, through_second(req, "self"));
	if (err || !j->done)
		return err;
	for (uint64_t i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", j->buf[i]);
	json_object_object_add(res, "hex", json_object_new_string(hex));
	return 0;
}

static int cmd_poke(struct json_object *req, struct json_object *res)
{
	const char *hex = arg_str(req, "hex", "");
	struct job *j;
	int err = bytes_job(req, strlen(hex) / 2, poke_all, &j);

	if (err)
		return err;
	for (uint64_t i = 0; i < j->len; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &j->buf[i]) != 1)
			return fail(EINVAL, "\"hex\" is no hexadecimal");
	return contents(req, res, j, through_second(req, "self"));
}

const struct command contents_commands[] = {
	{ "fill", cmd_fill, RANGE "seed through" },
	{ "check", cmd_check, RANGE "seed tail async" },
	{ "check_file", cmd_check_file, "id offset len seed tail" },
	{ "peek", cmd_peek, RANGE "through" },
	{ "poke", cmd_poke, RANGE "hex through async" },
	{},
};
