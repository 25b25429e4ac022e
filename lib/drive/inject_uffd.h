/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a userfaultfd inside a target that has none. */
#ifndef UFFDCTL_INJECT_UFFD_H
#define UFFDCTL_INJECT_UFFD_H

#include "lib/drive/handle.h"

/*
 * Make a userfaultfd in the target, which keeps it, and take it: h->uffd, pid and fd are set. The handshake is done: it
 * asks for no events.
 * -EEXIST: it has one meanwhile; nothing was done, and nothing is logged; other errors are logged, as inject_run().
 */
int inject_uffd(struct uffdctl_handle *h, bool own);

/* For a dry run: check whether that can be done, and have h->uffd be one of our own, which governs nothing. */
int inject_uffd_dry(struct uffdctl_handle *h);

#endif
