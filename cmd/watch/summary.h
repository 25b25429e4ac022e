/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals as text and as JSON, from one table of their members. */
#ifndef CMD_WATCH_SUMMARY_H
#define CMD_WATCH_SUMMARY_H

#include "lib/uffdctl.h"

void summary_text(const struct uffdctl_watch_stats *st, uint64_t duration_ns, const char *backend);
/* @type: "summary", "interval" */
void summary_json(const char *type, const struct uffdctl_watch_stats *st, uint64_t duration_ns, const char *backend);

#endif
