/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Totals by resolver, by team of threads, by thread and by mapping, as text and as JSON. */
#ifndef CMD_WATCH_PARTS_H
#define CMD_WATCH_PARTS_H

#include <json-c/json.h>

#include "cmd/watch/by_mapping.h"

/* p50 and so on of waits in buckets, as a member of o. */
void percentiles_json(json_object *o, const char *key, const uint64_t *buckets, uint64_t max_ns);

/* The largest ones, as tables. @by_mapping: NULL: not known */
void parts_text(struct uffdctl_watch *w, const struct by_mapping *by_mapping);
/* All, as arrays of objects. */
void parts_json(struct uffdctl_watch *w, const struct by_mapping *by_mapping, json_object *o);
/* The array of resolvers alone. */
void resolvers_json(struct uffdctl_watch *w, json_object *o);

#endif
