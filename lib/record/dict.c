// SPDX-License-Identifier: LGPL-2.1-or-later
/* What faults name by number: entries of one kind, found by their contents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/record/dict.h"

#define NR_HEADS ((size_t)2 * RECORD_MAX_ENTRIES)
#define MAX_CHAIN 64
#define ROOM ((size_t)3) /* a fault names up to three threads */

int dict_init(struct dict *d)
{
	d->entries = calloc(RECORD_MAX_ENTRIES + ROOM, sizeof(*d->entries));
	d->heads = calloc(NR_HEADS, sizeof(*d->heads));
	return d->entries && d->heads ? 0 : -ENOMEM;
}

static bool is_it(const struct dict_entry *e, const struct dict_key *key)
{
	if (e->key.a != key->a || e->key.b != key->b || e->key.c != key->c)
		return false;
	return e->key.text == key->text || (e->key.text && key->text && !strcmp(e->key.text, key->text));
}

/* Texts rarely differ where the rest is equal: they are not hashed. */
static uint32_t hash_of(const struct dict_key *key)
{
	uint64_t h = (key->a ^ (key->b << 32 | key->b >> 32) ^ key->c * 31) * UINT64_C(0x9e3779b97f4a7c15);

	return (h >> 40) % NR_HEADS;
}

static uint32_t add(struct dict *d, const struct dict_key *key, uint32_t *head)
{
	const char *text = key->text ? strpool_get(&d->texts, key->text) : NULL;

	if (key->text && !text)
		return 0;
	d->entries[++d->nr] = (struct dict_entry){ .key = { key->a, key->b, key->c, text }, .next = *head };
	d->text_bytes += text ? strlen(text) + 1 : 0;
	*head = d->nr;
	return d->nr;
}

uint32_t dict_get(struct dict *d, const struct dict_key *key, bool *made)
{
	uint32_t *head, i;
	int steps = 0;

	*made = false;
	if (d->last && is_it(&d->entries[d->last], key))
		return d->last;
	head = &d->heads[hash_of(key)];
	for (i = *head; i && !is_it(&d->entries[i], key); i = d->entries[i].next)
		steps++;
	d->crowded |= steps > MAX_CHAIN;
	if (!i) {
		i = add(d, key, head);
		*made = i;
	}
	d->last = i;
	return i;
}

bool dict_has_room(const struct dict *d)
{
	return d->nr + ROOM <= RECORD_MAX_ENTRIES && !d->crowded &&
	       d->text_bytes + ROOM * RECORD_MAX_TEXT <= RECORD_MAX_TEXTS / RECORD_NR_KINDS;
}

void dict_clear(struct dict *d)
{
	strpool_free(&d->texts);
	memset(d->heads, 0, NR_HEADS * sizeof(*d->heads));
	d->nr = d->last = 0;
	d->text_bytes = 0;
	d->crowded = false;
}

void dict_free(struct dict *d)
{
	if (d->entries && d->heads)
		dict_clear(d);
	free(d->entries);
	free(d->heads);
}
