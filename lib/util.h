/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Helpers that need no kernel: vectors, interned strings, numbers, escaping. */
#ifndef UFFDCTL_UTIL_H
#define UFFDCTL_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "lib/uffdctl.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                       \
	__extension__({                 \
		__typeof__(a) _a = (a); \
		__typeof__(b) _b = (b); \
		_a < _b ? _a : _b;      \
	})
#define MAX(a, b)                       \
	__extension__({                 \
		__typeof__(a) _a = (a); \
		__typeof__(b) _b = (b); \
		_a > _b ? _a : _b;      \
	})

uint64_t now_ns(clockid_t clock);

/* Room for one more item at the end of a growing array; false when out of memory. */
bool vec_grow(void *items_ptr, size_t nr, size_t *alloc, size_t item_size);
#define vec_add(items, nr, alloc) (vec_grow(&(items), nr, &(alloc), sizeof(*(items))) ? &(items)[(nr)++] : NULL)

/* Equal strings share one copy. */
struct strpool {
	void *root;
	const char *last;
};
const char *strpool_get(struct strpool *p, const char *s);
void strpool_free(struct strpool *p);

/* Parse [0-9a-f]+ with or without 0x, or [0-9]+; the whole text. -EINVAL, -ERANGE. */
int parse_hex(const char *s, size_t len, uint64_t *ret);
int parse_u32(const char *s, uint32_t *ret);

static inline uint64_t range_len(struct uffdctl_range r)
{
	return r.end - r.start;
}

/* The intersection of two ranges that overlap. */
static inline struct uffdctl_range range_common(struct uffdctl_range a, struct uffdctl_range b)
{
	return (struct uffdctl_range){ a.start > b.start ? a.start : b.start, a.end < b.end ? a.end : b.end };
}

static inline uint64_t round_down(uint64_t n, uint64_t unit)
{
	return n / unit * unit;
}

static inline uint64_t round_up(uint64_t n, uint64_t unit)
{
	return n % unit ? round_down(n, unit) + unit : n;
}

uint64_t base_page_size(void);

/* For messages: escaped, "?" when out of memory. */
char *escaped(const char *name);

#endif
