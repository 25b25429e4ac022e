// SPDX-License-Identifier: LGPL-2.1-or-later
/* mlockall(2). */
#include <errno.h>
#include <sys/mman.h>

#include "lib/kernel/memlock.h"

int memlock_present(void)
{
	/* Not what is mapped later: windows on the target's files come and go. */
	return mlockall(MCL_CURRENT | MCL_ONFAULT) < 0 ? -errno : 0;
}
