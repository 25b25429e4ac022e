/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ctrl-C and the like. */
#ifndef CMD_INTERRUPT_H
#define CMD_INTERRUPT_H

#include <stdbool.h>

/*
 * From now on they stop the work cleanly instead of killing us.
 * @only_looks: SIGINT does so even where it was ignored
 */
void interrupts_catch(bool only_looks);

/* Has one come? */
bool interrupted(void);

#endif
