// SPDX-License-Identifier: LGPL-2.1-or-later
/* Resolving faults in bulk with several threads: the common part of continue, copy and zeropage. */
#include <errno.h>
#include <string.h>

#include "lib/drive/action.h"
#include "lib/drive/lock.h"
#include "lib/drive/plan.h"
#include "lib/drive/resolve.h"
#include "lib/drive/results.h"
#include "lib/drive/room.h"
#include "lib/drive/worker.h"
#include "lib/kernel/limits.h"
#include "lib/log.h"

static void finish(struct job *job)
{
	if (job->op->finish)
		job->op->finish(job);
	job->op_data = NULL;
}

/* A dry run changes nothing and needs no lock. */
static int lock(struct job *job)
{
	return job->opts->flags & UFFDCTL_ACTION_DRY_RUN ? 0 : lock_take(job->h);
}

static void unlock(struct job *job)
{
	if (!(job->opts->flags & UFFDCTL_ACTION_DRY_RUN))
		lock_release(job->h);
}

/* Reading a pipe may have taken hours: look up everything again. */
static int plan_again(struct job *job, const struct uffdctl_ranges *ranges, struct plan *plan, bool *failed)
{
	struct plan old = *plan;
	int r;

	finish(job);
	*plan = (struct plan){};
	r = plan_make(job, ranges, plan, failed);
	if (r >= 0 && !plan_is_same(job, &old, plan))
		r = fail(job->h->t->u, -ENOENT,
			 "%d: the mappings of these ranges changed while the contents were read: nothing was done (see uffdctl smaps)",
			 job->h->t->pid);
	plan_free(&old);
	return r;
}

/* All contents must be available before anything is changed. */
static int plan_with_contents(struct job *job, const struct uffdctl_ranges *ranges, struct plan *plan, bool *failed)
{
	int r = plan_make(job, ranges, plan, failed);

	if (r >= 0)
		r = contents_open(job->h->t->u, job->h->t, job->opts, plan->contents, &job->contents);
	job->contents.stop = &job->stop;
	if (r < 0 || !job->contents.ours)
		return r;
	r = lock(job);
	return r < 0 ? r : plan_again(job, ranges, plan, failed);
}

static int run(struct job *job, bool *failed)
{
	int r = job->opts->flags & UFFDCTL_ACTION_DRY_RUN ? 0 : workers_run(job);

	if (r < 0)
		return limits_fail_thread(job->h->t->u, r, "starting threads", true);
	*failed |= results_report(job);
	return job->stop;
}

static int plan_and_run(struct job *job, const struct uffdctl_ranges *ranges, struct plan *plan)
{
	bool failed = false;
	int r = plan_with_contents(job, ranges, plan, &failed);

	if (r >= 0)
		r = plan_open_pagemap(job, plan);
	if (r >= 0)
		r = plan_add_parts(job, plan);
	if (r >= 0)
		r = room_check(job);
	if (r >= 0)
		r = run(job, &failed);
	return r < 0 ? r : failed ? -EIO : 0;
}

int resolve(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_action_opts *opts,
	    const struct resolve_op *op)
{
	struct uffdctl_action_opts own;
	struct job job = {
		.h = h,
		.opts = &own,
		.op = op,
		.contents = { .fd = -1 },
		.pagemap = -1,
		.recheck = { .lock = PTHREAD_MUTEX_INITIALIZER },
	};
	struct plan plan = {};
	int r = action_opts(h, opts, op->flags, op->has_contents, &own);

	job.chunk_bytes = own.contents ? CONTENTS_CHUNK_BYTES : MAX_CHUNK_BYTES;
	/* Do not hold the lock while we wait for a pipe. */
	if (r >= 0 && !contents_are_piped(&own))
		r = lock(&job);
	if (r < 0)
		return r;
	r = plan_and_run(&job, ranges, &plan);
	finish(&job);
	plan_free(&plan);
	contents_close(&job.contents);
	unlock(&job);
	free(job.parts);
	strpool_free(&job.strings);
	cleanup_close(&job.pagemap);
	return r;
}
