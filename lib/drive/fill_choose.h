/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling: decides which pages are filled, and what to do with pages that somebody else may have mapped. */
#ifndef UFFDCTL_FILL_CHOOSE_H
#define UFFDCTL_FILL_CHOOSE_H

#include "lib/drive/filling.h"

/* The part of the range that is to be filled; empty: none. */
struct uffdctl_range step_choose(struct step *s);
/* Pages that are swapped out may have to be left alone, after all. */
void step_leave_swapped(struct step *s);
/* What to do with a page that is mapped elsewhere, or may have been. */
enum page_fill step_elsewhere(const struct step *s, enum page_fill overwrite);
/* Remember which pages of the file other parts need not fill. */
void step_note_settled(struct step *s);
/* Do a range of one part and another part map the same pages? */
bool parts_share_pages(const struct part *p, struct uffdctl_range r, const struct part *q);

#endif
