// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state of filling: of the whole job, of each part, and of the few pages that are filled at a time (step). */
#include <time.h>

#include "lib/drive/filling.h"
#include "lib/kernel/pagemap.h"

struct fill_part *filling_part(const struct job *job, const struct part *p)
{
	struct filling *f = job->op_data;

	return &f->parts[(p->split_from ?: p) - job->parts];
}

bool step_next_run(const struct step *s, enum page_fill what, uint64_t *at, struct uffdctl_range *ret)
{
	uint64_t page = chunk_page_size(s->c);

	while (*at < s->range.end && s->pages[step_index(s, *at)] != what)
		*at += page;
	ret->start = *at;
	while (*at < s->range.end && s->pages[step_index(s, *at)] == what)
		*at += page;
	ret->end = *at;
	return ret->start < ret->end;
}

/* A huge page that is being migrated looks like a marked one for a moment. */
static void wait_until_sure(struct chunk *c, uint64_t addr, uint8_t *state)
{
	static const struct timespec pause = { .tv_nsec = 1000 * 1000L };
	struct uffdctl_range page = { addr, addr + chunk_page_size(c) };

	for (int i = 0; i < 50 && *state & PTE_UNSURE; i++) {
		nanosleep(&pause, NULL);
		if (pagemap_read(c->job->pagemap, c->part->seg.vma, page, state) < 0)
			return;
	}
	*state &= ~PTE_UNSURE;
}

int step_read_states(struct step *s)
{
	struct chunk *c = s->c;
	int r = pagemap_read(c->job->pagemap, &c->vma, s->range, c->states);

	for (uint64_t i = 0; r >= 0 && chunk_page_size(c) > base_page_size() && i < step_nr_pages(s); i++)
		wait_until_sure(c, s->range.start + i * chunk_page_size(c), &c->states[i]);
	return r;
}
