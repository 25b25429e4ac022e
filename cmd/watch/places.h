/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals by mapping, from the faults of the stream: the programs do not know mappings. */
#ifndef CMD_WATCH_PLACES_H
#define CMD_WATCH_PLACES_H

#include "lib/uffdctl.h"

/* The mappings of a process that have the same name, such as the parts of a file. */
struct place {
	pid_t pid;  /* 0: the sum of those that found no room */
	char *name; /* raw; NULL: not known */
	uint64_t faults;
	uint64_t wait_ns;
	size_t next; /* of the same hash; 0: none */
};

#define MAX_PLACES 1024
#define NR_PLACE_HEADS 2048

/* Zero to begin with. The first item is for those that found no room. */
struct places {
	struct place list[MAX_PLACES];
	size_t heads[NR_PLACE_HEADS];
	size_t nr, last;
};

void places_add(struct places *p, const struct uffdctl_fault *f);
void places_free(struct places *p);

#endif
