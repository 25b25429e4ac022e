/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals by mapping, from the faults of the stream: the programs do not know mappings. */
#ifndef CMD_WATCH_BY_MAPPING_H
#define CMD_WATCH_BY_MAPPING_H

#include "lib/uffdctl.h"

/* The mappings of a process that have the same name, such as the parts of a file. */
struct mapping_totals {
	pid_t pid;  /* 0: the sum of those that found no room */
	char *name; /* raw; NULL: not known */
	uint64_t faults;
	uint64_t wait_ns;
	size_t next; /* of the same hash; 0: none */
};

#define MAX_BY_MAPPING 1024
#define NR_MAPPING_HEADS 2048

/* Zero to begin with. The first item is for those that found no room. */
struct by_mapping {
	struct mapping_totals list[MAX_BY_MAPPING];
	size_t heads[NR_MAPPING_HEADS];
	size_t nr, last;
};

/* Copies a text that may be NULL; free with free(). -ENOMEM. */
int text_copy(const char *text, char **ret);

/* Of at most so many bytes of the name. */
uint64_t mapping_hash(pid_t pid, const char *name, size_t most);

void by_mapping_add(struct by_mapping *p, const struct uffdctl_fault *f);
void by_mapping_free(struct by_mapping *p);

#endif
