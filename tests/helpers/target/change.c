// SPDX-License-Identifier: GPL-2.0-or-later
/* Mappings that go, move or change, and pages that come and go. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/job.h"
#include "tests/helpers/target/map.h"
#include "tests/helpers/target/request.h"
#include "tests/helpers/target/uapi.h"

static int run_munmap(struct job *j)
{
	struct map *m = j->map;

	if (munmap((void *)j->addr, j->len))
		return -errno;
	/* A hole at the start or in the middle isn't kept track of: offsets keep their meaning. */
	if (j->addr + j->len >= m->addr + m->size)
		m->size = j->addr - m->addr;
	return 0;
}

static int run_mremap(struct job *j)
{
	int flags = MREMAP_MAYMOVE;
	void *to = NULL, *p;

	if (j->arg) { /* move: somewhere that is certainly free */
		to = mmap_aligned(j->value, j->page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (to == MAP_FAILED)
			return -errno;
		flags |= MREMAP_FIXED;
	}
	if (j->keeps)
		flags |= MREMAP_DONTUNMAP;
	p = mremap((void *)j->addr, j->len, j->value, flags, to);
	if (p == MAP_FAILED)
		return -errno;
	j->result = (uintptr_t)p;
	if (j->keeps)
		return 0;
	j->map->addr = (uintptr_t)p;
	j->map->size = j->value;
	return 0;
}

static int run_mprotect(struct job *j)
{
	return mprotect((void *)j->addr, j->len, j->arg) ? -errno : 0;
}

static int run_madvise(struct job *j)
{
	return madvise((void *)j->addr, j->len, j->arg) ? -errno : 0;
}

static int cmd_munmap(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = range_job(req, run_munmap, &j);

	return err ? err : job_run(req, res, j);
}

static int cmd_mremap(struct json_object *req, struct json_object *res)
{
	struct job *j;
	int err = range_job(req, run_mremap, &j);

	if (err)
		return err;
	j->arg = arg_bool(req, "move", !has(req, "new_size"));
	j->keeps = arg_bool(req, "keep", false);
	j->value = arg_u64(req, "new_size", j->len);
	err = job_run(req, res, j);
	if (!err && j->done) {
		put_hex(res, "addr", j->result);
		put_u64(res, "size", j->value);
	}
	return err;
}

static int cmd_mprotect(struct json_object *req, struct json_object *res)
{
	static const struct name_value table[] = {
		{ "none", PROT_NONE },
		{ "r", PROT_READ },
		{ "rw", PROT_READ | PROT_WRITE },
	};
	uint64_t prot;
	struct job *j;
	int err = arg_name(req, "prot", NULL, table, ARRAY_SIZE(table), &prot);

	if (!err)
		err = range_job(req, run_mprotect, &j);
	if (err)
		return err;
	j->arg = (int)prot;
	return job_run(req, res, j);
}

static int cmd_madvise(struct json_object *req, struct json_object *res)
{
	static const struct name_value table[] = {
		{ "dontneed", MADV_DONTNEED },
		{ "remove", MADV_REMOVE },
		{ "hugepage", MADV_HUGEPAGE },
		{ "nohugepage", MADV_NOHUGEPAGE },
		{ "collapse", MADV_COLLAPSE },
		{ "populate_read", MADV_POPULATE_READ },
		{ "populate_write", MADV_POPULATE_WRITE },
		{ "pageout", MADV_PAGEOUT },
		{ "free", MADV_FREE },
	};
	uint64_t advice;
	struct job *j;
	int err = arg_name(req, "advice", NULL, table, ARRAY_SIZE(table), &advice);

	if (!err)
		err = range_job(req, run_madvise, &j);
	if (err)
		return err;
	j->arg = (int)advice;
	return job_run(req, res, j);
}

static int cmd_fallocate(struct json_object *req, struct json_object *res)
{
	static const struct name_value table[] = {
		{ "alloc", 0 },
		{ "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
	};
	struct job j = {};
	uint64_t mode;
	int err = arg_name(req, "mode", "alloc", table, ARRAY_SIZE(table), &mode);

	(void)res;
	if (!err)
		err = arg_range(req, &j);
	if (err || !j.map)
		return err ? err : need(req, "id");
	if (fallocate(j.map->fd, (int)mode, (off_t)j.off, (off_t)j.len))
		return fail_errno("fallocate");
	return 0;
}

static void *churn_thread(void *arg)
{
	size_t size = 64 << 20;
	void *p;

	(void)arg;
	for (;;) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (p != MAP_FAILED)
			munmap(p, size);
	}
	return NULL;
}

/* Threads that map and unmap without a pause, so that the lock of the mappings is hardly ever free. */
static int cmd_churn(struct json_object *req, struct json_object *res)
{
	uint64_t threads = arg_u64(req, "threads", 1);
	int r = 0;

	(void)res;
	for (uint64_t i = 0; r == 0 && i < threads; i++)
		r = start_thread(churn_thread, NULL, SMALL_STACK, NULL);
	return r;
}

const struct command change_commands[] = {
	{ "churn", cmd_churn, "threads" },
	{ "fallocate", cmd_fallocate, RANGE "mode" },
	{ "munmap", cmd_munmap, "id offset len async" },
	{ "mremap", cmd_mremap, "id new_size move keep async" },
	{ "mprotect", cmd_mprotect, RANGE "prot async" },
	{ "madvise", cmd_madvise, RANGE "advice async" },
	{},
};
