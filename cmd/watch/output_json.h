/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch as JSON: an object a line for each fault, then one for the summary. */
#ifndef CMD_WATCH_OUTPUT_JSON_H
#define CMD_WATCH_OUTPUT_JSON_H

#include "cmd/watch/output.h"

extern const struct watch_output output_json;

#endif
