/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks up the ranges in the target: the parts of a job, checked before anything is done. */
#ifndef UFFDCTL_PLAN_H
#define UFFDCTL_PLAN_H

#include "lib/drive/job.h"

struct plan {
	struct uffdctl_maps *maps;
	struct segments segs;
	uint64_t bytes;	   /* of all of them */
	uint64_t contents; /* bytes of contents that are needed */
};

/* @failed: set if a range selects nothing; the others are still done */
int plan_make(struct job *job, const struct uffdctl_ranges *ranges, struct plan *ret, bool *failed);
void plan_free(struct plan *plan);

/*
 * Do both have the same addresses in the same order, and does a still map the same files? Mappings may have been
 * split or joined.
 */
bool plan_is_same(struct job *job, const struct plan *a, const struct plan *b);

/*
 * /proc/PID/pagemap. Needed if marks must be kept or pages are filled; otherwise it only shows why a page could not be
 * resolved.
 */
int plan_open_pagemap(struct job *job, const struct plan *plan);

/* A refused part is added too, so that all parts are reported in order. */
int plan_add_parts(struct job *job, const struct plan *plan);

#endif
