/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chooses the userfaultfd for an action, if the user names none. */
#ifndef UFFDCTL_CHOOSE_H
#define UFFDCTL_CHOOSE_H

#include "lib/drive/handle.h"

/*
 * Choose the only userfaultfd that governs the target's memory; if there are several, the one that owns everything
 * that is registered in the ranges.
 * @ranges: may be NULL
 * @ret: out, one of h->list
 * -ENOENT: there is none; -ENOTUNIQ: there are several; -ESRCH, -EXDEV: it governs other memory; errors of
 * range_resolve(); logged.
 */
int choose_uffd(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges, const struct uffdctl_uffd **ret);

/* Is there any? 1, 0, or a negative errno, logged. */
int choose_has_any(struct uffdctl_handle *h);

/* Does one of the ranges select something? Otherwise what range_resolve() returns, logged. */
int choose_check_ranges(struct uffdctl_handle *h, const struct uffdctl_ranges *ranges);

#endif
