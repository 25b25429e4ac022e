/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals by resolver, by team of threads, by thread and by mapping, and of ioctls that failed, as text and as JSON. */
#ifndef CMD_WATCH_PARTS_H
#define CMD_WATCH_PARTS_H

#include <json-c/json.h>

#include "cmd/watch/output.h"

/* p50 and so on of waits in buckets, as a member of o. */
void percentiles_json(json_object *o, const char *key, const uint64_t *buckets, uint64_t max_ns);

/* "EAGAIN"; @buf: for an errno that libc does not know */
const char *error_name(int error, char buf[16]);

/* The largest ones, as tables. */
void parts_text(const struct watch_session *s);
void teams_text(const struct watch_session *s);
void failures_text(const struct watch_session *s);
/* All, as arrays of objects. */
void parts_json(const struct watch_session *s, const struct uffdctl_watch_stats *st, json_object *o);
/* The array of resolvers alone. */
void resolvers_json(const struct watch_session *s, json_object *o);

#endif
