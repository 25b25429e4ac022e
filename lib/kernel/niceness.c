// SPDX-License-Identifier: LGPL-2.1-or-later
/* How urgent a thread is (setpriority(2)). */
#include <sys/resource.h>

#include "lib/kernel/niceness.h"
#include "lib/util.h"

/* As nice(1) by default: a tenth of the weight. */
#define LESS_URGENT 10
#define LEAST_URGENT 19

/* In Linux it is a thread's. To become less urgent is allowed to everybody. */
void niceness_give_way(void)
{
	setpriority(PRIO_PROCESS, 0, MIN(getpriority(PRIO_PROCESS, 0) + LESS_URGENT, LEAST_URGENT));
}
