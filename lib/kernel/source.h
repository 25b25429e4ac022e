/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decides where the data comes from: BPF or /proc. */
#ifndef UFFDCTL_SOURCE_H
#define UFFDCTL_SOURCE_H

#include "lib/context.h"

/*
 * Choose BPF, unless it is not wanted, or not available on this kernel or to this user: then choose /proc.
 * @wanted: the source that the caller asked for
 * @ret: out, UFFDCTL_SOURCE_BPF or UFFDCTL_SOURCE_PROC
 * @why: out, why BPF is not available, if it was wanted and another source is used; otherwise NULL; may be NULL
 * itself -errno: only BPF is wanted; or we lack descriptors or memory, which a walk of /proc would need, too. Not
 * logged: iter_why() has the text.
 */
int source_choose(struct uffdctl *u, enum uffdctl_source wanted, enum uffdctl_source *ret, const char **why);

#endif
