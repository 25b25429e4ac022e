/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where answers come from, BPF or /proc: decided here, once a context. */
#ifndef UFFDCTL_SOURCE_H
#define UFFDCTL_SOURCE_H

#include "lib/context.h"

/*
 * BPF, unless it is not wanted, or it can't be had on this kernel or by this user: then /proc answers.
 * @wanted: what the library's user asked for
 * @ret: out, UFFDCTL_SOURCE_BPF or UFFDCTL_SOURCE_PROC
 * @why: out, why BPF can't be had where it was wanted and another source answers; else NULL; may be NULL itself
 * -errno: BPF alone is wanted; or we are short of descriptors or memory, which a walk of /proc would lack too. Not
 * logged: iter_why() has the text.
 */
int source_choose(struct uffdctl *u, enum uffdctl_source wanted, enum uffdctl_source *ret, const char **why);

#endif
