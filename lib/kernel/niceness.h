/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How urgent a thread is (setpriority(2)). */
#ifndef UFFDCTL_NICENESS_H
#define UFFDCTL_NICENESS_H

/* The calling thread gives way to others, as with nice(1); it still gets some of a CPU that they want, too. */
void niceness_give_way(void);

#endif
