/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch as text: a line for each fault, then the summary. */
#ifndef CMD_WATCH_OUTPUT_LINES_H
#define CMD_WATCH_OUTPUT_LINES_H

#include "cmd/watch/output.h"

extern const struct watch_output output_lines;

#endif
