/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What others than the view ask about the terminal; the view answers, since it has terminfo. */
#ifndef CMD_TERMINAL_H
#define CMD_TERMINAL_H

#include <stdbool.h>

/* Are stdin and stdout a terminal that can be drawn on? */
bool terminal_usable(void);

#endif
