// SPDX-License-Identifier: LGPL-2.1-or-later
/* Helpers that need no kernel: vectors, interned strings, numbers, escaping. */
#include <ctype.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/context.h"
#include "lib/util.h"

uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

bool vec_grow(void *items_ptr, size_t nr, size_t *alloc, size_t item_size)
{
	void **items = items_ptr;
	size_t want = *alloc ? *alloc * 2 : 16;
	void *p;

	if (nr < *alloc)
		return true;
	p = reallocarray(*items, want, item_size);
	if (!p)
		return false;
	*items = p;
	*alloc = want;
	return true;
}

static int cmp_str(const void *a, const void *b)
{
	return strcmp(a, b);
}

const char *strpool_get(struct strpool *p, const char *s)
{
	const char **node;
	char *copy;

	if (p->last && !strcmp(p->last, s))
		return p->last;
	node = tfind(s, &p->root, cmp_str);
	if (!node) {
		copy = strdup(s);
		node = copy ? tsearch(copy, &p->root, cmp_str) : NULL;
		if (!node) {
			free(copy);
			return NULL;
		}
	}
	p->last = *node;
	return *node;
}

void strpool_free(struct strpool *p)
{
	tdestroy(p->root, free);
	p->root = NULL;
	p->last = NULL;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : 99;
}

static int parse_digits(const char *s, size_t len, unsigned int base, uint64_t *ret)
{
	uint64_t n = 0;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned int d = digit(s[i]);

		if (d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, d, &n))
			return -ERANGE;
	}
	*ret = n;
	return 0;
}

static bool has_0x(const char *s, size_t len)
{
	return len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
}

int parse_hex(const char *s, size_t len, uint64_t *ret)
{
	return has_0x(s, len) ? parse_digits(s + 2, len - 2, 16, ret) : parse_digits(s, len, 16, ret);
}

UFFDCTL_EXPORT int uffdctl_size_parse(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGT";
	size_t len = strlen(text);
	const char *unit;
	uint64_t n;
	int r;

	if (has_0x(text, len))
		return parse_hex(text, len, ret);
	unit = len ? strchr(units, toupper((unsigned char)text[len - 1])) : NULL;
	r = parse_digits(text, unit ? len - 1 : len, 10, &n);
	if (r < 0)
		return r;
	if (unit && __builtin_mul_overflow(n, UINT64_C(1024) << (10 * (unit - units)), &n))
		return -ERANGE;
	*ret = n;
	return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
	uint64_t n;
	int r = parse_digits(s, strlen(s), 10, &n);

	if (r < 0 || n > UINT32_MAX)
		return r < 0 ? r : -ERANGE;
	*ret = n;
	return 0;
}

uint64_t base_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* Bytes of the UTF-8 character at s, 0 if there is none that is well-formed (RFC 3629). */
static size_t utf8_len(const unsigned char *s, uint32_t *ret_char)
{
	static const uint32_t min[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c = s[0];

	if (len > 1) {
		if (s[0] < 0xc2 || s[0] > 0xf4)
			return 0;
		c &= 0x7f >> len;
	}
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < min[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_char = c;
	return len;
}

/* May be printed: not a control character, and none that changes the direction of text or ends the line. */
static bool is_plain(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c <= 0x9f) && !(c >= 0x200b && c <= 0x200f) &&
	       !(c >= 0x2028 && c <= 0x202e) && !(c >= 0x2060 && c <= 0x206f) && c != 0x61c && c != 0xfeff &&
	       !(c >= 0xfff9 && c <= 0xfffb) && !(c >= 0xe0000 && c <= 0xe007f);
}

UFFDCTL_EXPORT int uffdctl_escape(const char *name, char **ret)
{
	const unsigned char *s = (const unsigned char *)name;
	char *out = malloc(strlen(name) * 4 + 1), *p = out;
	uint32_t c;
	size_t len;

	if (!out)
		return -ENOMEM;
	for (; *s; s += len) {
		len = utf8_len(s, &c);
		if (len && is_plain(c)) {
			p = mempcpy(p, s, len);
			continue;
		}
		if (!len)
			len = 1;
		for (size_t i = 0; i < len; i++)
			p += sprintf(p, "\\x%02x", s[i]);
	}
	*p = '\0';
	*ret = out;
	return 0;
}

char *escaped(const char *name)
{
	char *s;

	return uffdctl_escape(name, &s) < 0 ? strdup("?") : s;
}
