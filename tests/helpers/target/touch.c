// SPDX-License-Identifier: GPL-2.0-or-later
/* Threads that touch memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/contents.h"
#include "tests/helpers/target/job.h"
#include "tests/helpers/target/request.h"

static void access_read(struct job *j, char *p)
{
	(void)*(volatile uint64_t *)p;
	if (j->verify && !same(j, p))
		j->mismatches++;
}

static void access_write(struct job *j, char *p)
{
	*(volatile uint64_t *)(p + unit(j) - 8) = j->value;
}

static void access_kernel_read(struct job *j, char *p)
{
	char byte;

	if (write(j->pipe[1], p, 1) != 1 || read(j->pipe[0], &byte, 1) != 1) {
		j->err = errno;
		j->errors++;
	}
}

static void access_kernel_write(struct job *j, char *p)
{
	char rest[8];

	if (write(j->pipe[1], &j->value, 8) != 8)
		abort();
	if (read(j->pipe[0], p + unit(j) - 8, 8) != 8) {
		j->err = errno;
		j->errors++;
		if (read(j->pipe[0], rest, 8) < 0)
			abort();
	}
}

static uint32_t *shuffled(uint64_t n, uint64_t seed)
{
	uint32_t *order = calloc(n, sizeof(*order));

	for (uint64_t i = 0; order && i < n; i++) {
		uint64_t k = pattern_word(seed, i) % (i + 1);

		order[i] = order[k];
		order[k] = (uint32_t)i;
	}
	return order;
}

static int run_touch(struct job *j)
{
	uint32_t *order = j->random ? shuffled(j->nr_units, (uint64_t)j->id + 1) : NULL;

	if ((j->random && !order) || pipe2(j->pipe, O_CLOEXEC))
		return -errno;
	do {
		for (uint64_t i = 0; i < j->nr_units && !j->stop; i++) {
			char *p = (char *)j->addr + (order ? order[i] : i) * j->stride;

			if (guarded(j, j->access, p)) {
				j->err = EFAULT;
				j->errors++;
			}
			j->touched++;
			if (j->zap)
				madvise(p, j->page, MADV_DONTNEED);
			if (j->delay_us)
				usleep(j->delay_us);
		}
	} while (j->loop && !j->stop);
	free(order);
	close(j->pipe[0]);
	close(j->pipe[1]);
	return 0;
}

static int arg_access(struct json_object *req, struct job *j)
{
	static const struct {
		const char *name;
		void (*fn)(struct job *, char *);
	} table[] = {
		{ "read", access_read },
		{ "write", access_write },
		{ "kernel_read", access_kernel_read },
		{ "kernel_write", access_kernel_write },
	};
	const char *name = arg_str(req, "access", "read");

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strcmp(table[i].name, name))
			j->access = table[i].fn;
	return j->access ? 0 : fail(EINVAL, "unknown access \"%s\"", name);
}

/* Thread nr of n: all of the range, or its share of it with "split". */
static int touch_job(struct json_object *req, uint64_t nr, uint64_t n, struct job **ret)
{
	uint64_t first = 0, units;
	struct job *j;
	int err = job_new(req, &j);

	if (!err)
		err = arg_range(req, j);
	if (!err)
		err = arg_access(req, j);
	if (err)
		return err;
	j->run = run_touch;
	j->stride = arg_u64(req, "stride", j->page);
	if (j->stride < 8 || j->len < j->stride)
		return fail(EINVAL, "stride must be 8 to len");
	units = j->len / j->stride;
	if (arg_bool(req, "split", false)) {
		first = units * nr / n;
		units = units * (nr + 1) / n - first;
	}
	j->addr += first * j->stride;
	j->off += first * j->stride;
	j->nr_units = units;
	j->verify = has(req, "seed");
	j->seed = arg_u64(req, "seed", 0);
	j->value = arg_u64(req, "value", 0xa5a5a5a5a5a5a5a5);
	j->random = !strcmp(arg_str(req, "order", "seq"), "random");
	j->loop = arg_bool(req, "loop", false);
	j->zap = arg_bool(req, "zap", false);
	j->delay_us = (unsigned int)arg_u64(req, "delay_us", 0);
	*ret = j;
	return 0;
}

static int cmd_touch(struct json_object *req, struct json_object *res)
{
	struct json_object *ids = json_object_new_array(), *tids = json_object_new_array();
	uint64_t n = arg_u64(req, "threads", 1);
	struct job *j = NULL;
	int err;

	json_object_object_add(res, "threads", ids);
	json_object_object_add(res, "tids", tids);
	for (uint64_t i = 0; i < n; i++) {
		err = touch_job(req, i, n, &j);
		if (!err)
			err = job_start(j);
		if (err)
			return err;
		json_object_array_add(ids, json_object_new_int(j->id));
		json_object_array_add(tids, json_object_new_int(j->tid));
	}
	return 0;
}

const struct command touch_commands[] = {
	{ "touch", cmd_touch, RANGE "access threads split stride seed value order loop zap delay_us name" },
	{},
};
