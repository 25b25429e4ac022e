/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals as text and as JSON, from one table of their members. */
#ifndef CMD_WATCH_SUMMARY_H
#define CMD_WATCH_SUMMARY_H

#include <json-c/json.h>

#include "cmd/watch/output.h"
#include "cmd/watch/totals.h"

void summary_text(const struct watch_session *s, const struct uffdctl_watch_stats *st, uint64_t duration_ns);
void summary_json(const struct watch_session *s, const struct uffdctl_watch_stats *st, uint64_t duration_ns);

/* The first part of them: totals, without those by thread and so on. What is not known is left out. */
void summary_totals_text(const struct watch_session *s, const struct uffdctl_watch_stats *st, uint64_t duration_ns);
/* What summary_json() prints. */
json_object *summary_object(const struct watch_session *s, const struct uffdctl_watch_stats *st, uint64_t duration_ns);

/* @since, @since_ns: of the last interval only */
void interval_json(const struct watch_session *s, const struct uffdctl_watch_stats *st,
		   const struct uffdctl_watch_stats *since, uint64_t duration_ns, uint64_t since_ns);

#endif
