/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The names of mappings and groups. */
#ifndef CMD_VIEW_LABELS_H
#define CMD_VIEW_LABELS_H

#include "cmd/watch/view/field.h"
#include "cmd/watch/view/picture.h"

void label_mapping(const struct picture *p, const struct mapping *map, struct field *ret);
/*
 * "guest+0x2c1000": an address in its file, or, in anonymous memory, from the start of its mapping.
 * @map: NULL: not known; @raw, @offset: as the library names the place
 */
void label_place(const struct mapping *map, const char *raw, uint64_t offset, uint64_t addr, struct field *ret);
/* The name of a row of the table, by its grouping. */
void label_group(const struct picture *p, const struct group *g, struct field *ret);
/* Is it the row (others), the sum of removed rows? */
bool is_others(const struct picture *p, const struct group *g);

#endif
