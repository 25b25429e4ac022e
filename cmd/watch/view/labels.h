/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What mappings and groups are called. */
#ifndef CMD_VIEW_LABELS_H
#define CMD_VIEW_LABELS_H

#include "cmd/watch/view/field.h"
#include "cmd/watch/view/picture.h"

void label_mapping(const struct picture *p, const struct mapping *map, struct field *ret);
/* A row of the table, by what it is grouped by. */
void label_group(const struct picture *p, const struct group *g, struct field *ret);
/* Is it the row of those that had to make room? */
bool is_others(const struct picture *p, const struct group *g);

#endif
