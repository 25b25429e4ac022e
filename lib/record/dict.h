/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What faults name by number: entries of one kind, found by their contents. */
#ifndef UFFDCTL_RECORD_DICT_H
#define UFFDCTL_RECORD_DICT_H

#include <stdbool.h>

#include "lib/record/format.h"
#include "lib/util.h"

/* Members that a kind does not need are 0. */
struct dict_key {
	uint64_t a, b, c;
	const char *text; /* may be NULL */
};

struct dict_entry {
	struct dict_key key; /* its text is one of the dict's */
	uint32_t next;	     /* of the same hash; 0: none */
};

struct dict {
	struct dict_entry *entries; /* the first one is not used */
	uint32_t *heads;
	uint32_t nr, last;
	struct strpool texts;
	size_t text_bytes;
	bool crowded; /* many entries have one hash, as a hostile process may bring about: time to forget */
};

int dict_init(struct dict *d);
/* The number of the entry, which is made if there is none: then *made. 0: out of memory. */
uint32_t dict_get(struct dict *d, const struct dict_key *key, bool *made);
/* Is there room for three more? */
bool dict_has_room(const struct dict *d);
void dict_clear(struct dict *d);
void dict_free(struct dict *d);

#endif
