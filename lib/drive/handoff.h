/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages by which processes hand a userfaultfd over: one parser a protocol. */
#ifndef UFFDCTL_HANDOFF_H
#define UFFDCTL_HANDOFF_H

#include <stddef.h>

#include "lib/uffdctl.h"

#define HANDOFF_MAX_REGIONS 1024
#define HANDOFF_MAX_TEXT (1 << 20)

struct handoff_regions {
	struct uffdctl_handoff_region *list; /* free with free() */
	size_t nr;
};

/*
 * @why: out, what is wrong with it
 * Returns 1; 0: it goes on; -EBADMSG; -ENOMEM
 */
typedef int (*handoff_parse_fn)(const char *text, size_t len, struct handoff_regions *ret, const char **why);

/* handoff_firecracker.c */
int handoff_parse_firecracker(const char *text, size_t len, struct handoff_regions *ret, const char **why);

#endif
