/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: one ioctl, or filling, on a run of pages, and what becomes of it. */
#ifndef UFFDCTL_SERVE_TASK_H
#define UFFDCTL_SERVE_TASK_H

#include "lib/drive/serving.h"

/* The work on one part of a range: it is one mapping, and all its pages are to be treated alike. */
struct task {
	struct serve_part *p;
	enum uffdctl_kind kind;
	enum serve_op op;
	bool zeros;
	struct uffdctl_range range;
};

enum outcome {
	RESOLVED,
	AGAIN,	  /* an event is unread, or the mapping changes */
	NOT_OURS, /* nothing is registered there any more */
	HOLD,
};

/* For all of these, the gate is held. */

/*
 * A range that is not done as a whole is done page by page, so that an outcome is that of one page.
 * Returns the outcome of the first page that is not resolved; the range is cut to begin there.
 */
enum outcome task_do(struct serve_worker *w, struct task *t);
/* Deal with the first page of what is left of a task. False: with all of it. */
bool task_settle(struct serve_worker *w, const struct task *t, enum outcome o);
/* Both, for all of it. */
void task_run(struct serve_worker *w, struct task t);
/*
 * For pages that nobody has asked for, and that have no states: those of a task's range, at most CONTENTS_BYTES or one
 * huge page, that the process does not have. At one that is not simple, the rest is left.
 */
void task_run_unmapped(struct serve_worker *w, const struct task *t);

/* The worker's buffer has the contents from this address on. */
void task_give(struct serve_worker *w, uint64_t addr);

#endif
