/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ctrl-C and the like. */
#ifndef CMD_INTERRUPT_H
#define CMD_INTERRUPT_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * From now on these signals stop the work cleanly instead of killing us.
 * @changes_nothing: the command only inspects: catch SIGINT even if it was ignored
 */
void interrupts_catch(bool changes_nothing);

/* Do not stop on Ctrl-Z, or on output to a terminal while in the background: threads would wait for us. */
void interrupts_ignore_stop(void);

/*
 * Call fn when one comes, in the signal handler, or at once if one has come. NULL: no longer; then it is not running, if
 * this is called by the thread that gets the signals.
 */
void interrupts_call(void (*fn)(void *data), void *data);

/*
 * Hand them on to this process from now on, those of the terminal aside, which it gets by itself. One that has come
 * before is handed on as SIGTERM, and forgotten. 0: to nobody.
 */
void interrupts_forward(pid_t pid);

/* Has one come? */
bool interrupted(void);

#endif
