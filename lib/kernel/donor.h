/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A child process of ours that holds /dev/userfaultfd open and lets a target take the descriptor with pidfd_getfd(2):
 * so a target gets a userfaultfd that handles faults of the kernel, too, although it may not make one.
 */
#ifndef UFFDCTL_DONOR_H
#define UFFDCTL_DONOR_H

#include "lib/kernel/target.h"

struct donor {
	pid_t child;
	pid_t pid; /* as the target sees it */
	int fd;	   /* its descriptor of the device */
	int stay;  /* ours: when it is closed, the child ends */
};

/*
 * @ret: out, end with donor_end()
 * -EPERM, -EACCES, -ENOENT: we may not open the device, or may not become what the target is; -EXDEV: it is in another
 * user namespace; other errnos of pipe(2), clone(2) and setns(2).
 */
int donor_start(struct uffdctl_target *t, struct donor *ret);
void donor_end(struct donor *d);

#endif
