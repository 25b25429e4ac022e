/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mlockall(2). */
#ifndef UFFDCTL_MEMLOCK_H
#define UFFDCTL_MEMLOCK_H

/* Keep in memory what we have mapped, from the moment that each page is there. -errno */
int memlock_present(void);

#endif
