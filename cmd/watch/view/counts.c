// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers of faults, and how long they waited: in all, for a handler to read them, and for it to resolve them. */
#include "cmd/watch/view/counts.h"

struct parts parts_of(const struct uffdctl_fault *f)
{
	bool read = f->wait_ns != UFFDCTL_UNKNOWN && f->queue_ns <= f->wait_ns;
	struct parts p = { .ns = { [PART_WAIT] = f->wait_ns,
				   [PART_QUEUED] = read ? f->queue_ns : UFFDCTL_UNKNOWN,
				   [PART_HANDLED] = read ? f->wait_ns - f->queue_ns : UFFDCTL_UNKNOWN } };

	for (int i = 0; i < NR_WAITS; i++)
		p.buckets[i] = p.ns[i] == UFFDCTL_UNKNOWN ? 0 : uffdctl_bucket(p.ns[i]);
	return p;
}

void counts_add(struct counts *c, enum uffdctl_kind kind, const struct parts *parts)
{
	c->faults++;
	if (kind >= UFFDCTL_KIND_MISSING && kind <= UFFDCTL_KIND_RWP)
		c->kinds[BY_KIND(kind)]++;
	for (int i = 0; i < NR_WAITS; i++) {
		struct waits *w = &c->waits[i];
		uint64_t ns = parts->ns[i];

		if (ns == UFFDCTL_UNKNOWN)
			continue;
		w->nr++;
		w->total_ns += ns;
		w->max_ns = ns > w->max_ns ? ns : w->max_ns;
		w->buckets[parts->buckets[i]]++;
	}
}

static void merge_waits(struct waits *to, const struct waits *from)
{
	to->nr += from->nr;
	to->total_ns += from->total_ns;
	to->max_ns = from->max_ns > to->max_ns ? from->max_ns : to->max_ns;
	for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++)
		to->buckets[b] += from->buckets[b];
}

void counts_merge(struct counts *to, const struct counts *from)
{
	to->faults += from->faults;
	for (int k = 0; k < NR_KINDS; k++)
		to->kinds[k] += from->kinds[k];
	for (int i = 0; i < NR_WAITS; i++)
		merge_waits(&to->waits[i], &from->waits[i]);
}

uint64_t waits_percentile(const struct waits *w, double percent)
{
	uint64_t buckets[UFFDCTL_NR_BUCKETS];

	for (int b = 0; b < UFFDCTL_NR_BUCKETS; b++)
		buckets[b] = w->buckets[b];
	return uffdctl_percentile_ns(buckets, w->max_ns, percent);
}

uint64_t waits_average(const struct waits *w)
{
	return w->nr ? w->total_ns / w->nr : UFFDCTL_UNKNOWN;
}

uint64_t waits_total(const struct waits *w)
{
	return w->nr ? w->total_ns : UFFDCTL_UNKNOWN;
}
