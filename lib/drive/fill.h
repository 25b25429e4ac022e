/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling: writes the contents of unmapped pages, through a second mapping of their file. */
#ifndef UFFDCTL_FILL_H
#define UFFDCTL_FILL_H

#include "lib/drive/job.h"

/* Are there contents to fill with? */
bool fill_wanted(const struct job *job);

/* These are functions of struct resolve_op. */
int fill_prepare(struct job *job, const struct uffdctl_maps *maps, const struct segments *segs);
int fill_add_part(struct job *job, struct part *p);
int fill_chunk(struct chunk *c);
enum verdict fill_judge(const struct chunk *c, uint64_t i);
void fill_resolve(struct chunk *c, struct uffdctl_range run, bool wp);
uint64_t fill_left_written(const struct job *job, const struct part *p);
void fill_finish(struct job *job);

#endif
