// SPDX-License-Identifier: LGPL-2.1-or-later
/* The result of each part, in numbers and in words. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/drive/results.h"
#include "lib/log.h"

static const struct {
	int err;
	const char *text;
} error_texts[] = {
	{ -EAGAIN,
	  "the kernel refuses while an event of the userfaultfd is unread (EAGAIN): its handler must read it" },
	{ -ENOENT, "unmapped, remapped, unregistered or registered differently meanwhile (ENOENT): see uffdctl smaps" },
	{ -ESRCH, "the process's memory is gone (ESRCH)" },
	{ -EHWPOISON, "hardware-poisoned page (EHWPOISON)" },
	{ -EIO, "hardware-poisoned page (EIO)" },
	{ -EINVAL, "refused (EINVAL)" },
	{ -EOPNOTSUPP,
	  "write-protect marks of huge pages can't be seen on this kernel (needs Linux 6.7): --wp write-protects all pages" },
	{ -ENOMEM, "no memory, no free huge page, or no room in the file system (its size limit), for these pages" },
	{ -ENOSPC, "no memory, no free huge page, or no room in the file system (its size limit), for these pages" },
	{ -EINTR, "interrupted" },
	{ -EFAULT, "no page can be made there (EFAULT)" },
	{ -EBUSY, "somebody else resolves faults there at the same time: the rest was not done" },
	{ -EUCLEAN,
	  "read-write-protected: the mark would be lost, and only the process's handler can remove it (UFFDIO_RWPROTECT)" },
};

static const char *error_text(int err)
{
	for (size_t i = 0; i < ARRAY_SIZE(error_texts); i++)
		if (error_texts[i].err == err)
			return error_texts[i].text;
	return strerror(-err);
}

static int describe(const struct job *job, const struct part *p, char **ret)
{
	const struct tally *t = &p->tally;
	const char *text = job->op->error_text ? job->op->error_text(t->err) : NULL, *what = "";
	uint64_t left_written = job->op->left_written ? job->op->left_written(job, p) : 0;
	char left[80] = "";

	if (t->err == -ENODATA) {
		text = "the contents ended early";
	} else if (t->unreadable) {
		what = "the contents: ";
		text = strerror(-t->err);
	}
	if (left_written)
		snprintf(left, sizeof(left), "; %" PRIu64 " bytes were written, but not continued", left_written);
	return asprintf(ret, "%" PRIx64 ": %s%s%s", t->err_addr, what, text ?: error_text(t->err), left);
}

/* Why the rest was not tried, although nothing of it failed. */
static int why_left(struct job *job, const struct part *p)
{
	bool is_left = tally_done(&p->tally) < range_len(p->seg.range) && !(job->opts->flags & UFFDCTL_ACTION_DRY_RUN);

	return is_left ? job_stopped(job) : 0;
}

static void report(struct job *job, struct part *p)
{
	_cleanup_free_ char *text = NULL;
	struct uffdctl_result res = {
		.range = p->seg.range,
		.modes = p->seg.vma->modes,
		.mapped = p->tally.mapped,
		.already = p->tally.already,
		.absent = p->tally.absent,
		/* An action that makes pages makes each with its contents. */
		.filled = job->op->makes_pages ? p->tally.mapped : p->tally.filled,
		.elsewhere = p->tally.elsewhere,
		.error = p->tally.err ?: why_left(job, p),
	};

	if (job->opts->flags & UFFDCTL_ACTION_DRY_RUN && !p->objection)
		res.mapped = res.already = res.absent = res.filled = res.elsewhere = UFFDCTL_UNKNOWN;
	if (p->tally.err && !p->objection && describe(job, p, &text) < 0)
		text = NULL;
	if (res.error)
		res.error_text = p->objection ?: text ?: error_text(res.error);
	if (job->opts->result)
		job->opts->result(job->opts->data, &res);
}

static void warn_unmapped(const struct job *job)
{
	uint64_t unmapped = 0;

	for (size_t i = 0; i < job->nr_parts; i++)
		unmapped += job->parts[i].tally.unmapped;
	if (unmapped)
		log_warning(job->h->t->u,
			    "%d: %" PRIu64
			    " bytes are in the page cache and not mapped: threads that touch them will wait in a minor fault (resolve it with uffdctl continue)",
			    job->h->t->pid, unmapped);
}

static void warn_poisoned(const struct job *job)
{
	uint64_t poisoned = 0;

	for (size_t i = 0; i < job->nr_parts; i++)
		poisoned += job->parts[i].tally.poisoned;
	if (poisoned)
		log_warning(job->h->t->u,
			    "%d: %" PRIu64
			    " bytes are poisoned, and were left so: threads that touch them get SIGBUS (see uffdctl poison)",
			    job->h->t->pid, poisoned);
}

bool results_report(struct job *job)
{
	bool failed = false;

	for (size_t i = 0; i < job->nr_parts; i++) {
		const struct tally *t = &job->parts[i].tally;

		report(job, &job->parts[i]);
		failed |= t->err || t->absent || t->elsewhere;
	}
	warn_unmapped(job);
	warn_poisoned(job);
	return failed;
}
