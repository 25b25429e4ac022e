// SPDX-License-Identifier: GPL-2.0-or-later
/* Ioctls that failed: by thread, ioctl and error. */
#include <stdlib.h>

#include "cmd/watch/view/failures.h"

static struct failure *find(struct failures *fs, const struct uffdctl_failure_totals *t)
{
	for (size_t i = 0; i < fs->nr; i++) {
		const struct uffdctl_failure_totals *k = &fs->list[i].totals;

		if (k->pid == t->pid && k->tid == t->tid && k->op == t->op && k->error == t->error)
			return &fs->list[i];
	}
	if (fs->nr == VIEW_MAX_FAILURES)
		return NULL;
	fs->list[fs->nr] = (struct failure){};
	return &fs->list[fs->nr++];
}

void failures_add(struct failures *fs, const struct uffdctl_failure_totals *t)
{
	struct failure *f = find(fs, t);

	if (!f)
		return;
	f->totals = *t;
	f->count = t->count - f->at_reset;
}

static int by_count(const void *a, const void *b)
{
	const struct failure *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return (x->totals.tid > y->totals.tid) - (x->totals.tid < y->totals.tid);
}

void failures_sort(struct failures *fs)
{
	qsort(fs->list, fs->nr, sizeof(*fs->list), by_count);
}

void failures_reset(struct failures *fs)
{
	for (size_t i = 0; i < fs->nr; i++) {
		fs->list[i].at_reset = fs->list[i].totals.count;
		fs->list[i].count = 0;
	}
}

size_t failures_nr(const struct failures *fs)
{
	size_t nr = 0;

	while (nr < fs->nr && fs->list[nr].count)
		nr++;
	return nr;
}
