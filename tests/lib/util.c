// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of what has no kernel in it: numbers, vectors, strings. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"
#include "tests/unit.h"

/* A size that overflows is to be refused by the library, not to end the program. */
const char *__asan_default_options(void) __attribute__((visibility("default")));
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* ---- numbers ---- */

TEST("util-round")
{
	NUM(round_down(0, 4096), 0);
	NUM(round_down(4095, 4096), 0);
	NUM(round_down(4096, 4096), 4096);
	NUM(round_down(UINT64_MAX, 4096), UINT64_MAX - 4095);
	NUM(round_up(0, 4096), 0);
	NUM(round_up(1, 4096), 4096);
	NUM(round_up(4096, 4096), 4096);
	NUM(round_up(4097, 4096), 8192);
	NUM(round_up(UINT64_MAX - 4095, 4096), UINT64_MAX - 4095);
	NUM(round_up(10, 3), 12);
}

TEST("util-base-page-size")
{
	NUM(base_page_size(), getpagesize());
}

TEST("util-parse-hex")
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} table[] = {
		{ "0", 0, 0 },
		{ "ff", 0, 255 },
		{ "FF", 0, 255 },
		{ "0xfF", 0, 255 },
		{ "0X1f", 0, 31 },
		{ "00000000000000000001", 0, 1 },
		{ "ffffffffffffffff", 0, UINT64_MAX },
		{ "10000000000000000", -ERANGE, 0 },
		{ "fffffffffffffffff", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "0x", -EINVAL, 0 },
		{ "x1", -EINVAL, 0 },
		{ "1x1", -EINVAL, 0 },
		{ "g", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "\xb2", -EINVAL, 0 },
	};

	for EACH(table) {
		uint64_t n = 0;

		check_num(__LINE__, table[i].text, parse_hex(table[i].text, strlen(table[i].text), &n), table[i].err);
		check_num(__LINE__, table[i].text, n, table[i].value);
	}
}

TEST("util-parse-hex-len")
{
	uint64_t n = 0;

	NUM(parse_hex("123456", 3, &n), 0);
	NUM(n, 0x123);
	NUM(parse_hex("0x12", 2, &n), -EINVAL);
	NUM(n, 0x123);
}

TEST("util-parse-u32")
{
	uint32_t n = 7;

	NUM(parse_u32("4294967295", &n), 0);
	NUM(n, UINT32_MAX);
	NUM(parse_u32("007", &n), 0);
	NUM(n, 7);
	NUM(parse_u32("4294967296", &n), -ERANGE);
	NUM(parse_u32("99999999999999999999", &n), -ERANGE);
	NUM(parse_u32("", &n), -EINVAL);
	NUM(parse_u32("a", &n), -EINVAL);
	NUM(parse_u32("self", &n), -EINVAL);
	NUM(parse_u32("1 ", &n), -EINVAL);
	NUM(parse_u32("-1", &n), -EINVAL);
	NUM(n, 7);
}

TEST("size-parse")
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} table[] = {
		{ "0", 0, 0 },
		{ "4096", 0, 4096 },
		{ "1K", 0, 1 << 10 },
		{ "1k", 0, 1 << 10 },
		{ "3M", 0, 3 << 20 },
		{ "3m", 0, 3 << 20 },
		{ "2G", 0, UINT64_C(2) << 30 },
		{ "1T", 0, UINT64_C(1) << 40 },
		{ "1t", 0, UINT64_C(1) << 40 },
		{ "0x1000", 0, 4096 },
		{ "0XfFf", 0, 4095 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "16777215T", 0, UINT64_C(16777215) << 40 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "16777216T", -ERANGE, 0 },
		{ "18014398509481984K", -ERANGE, 0 },
		{ "0x10000000000000000", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "1KB", -EINVAL, 0 },
		{ "1KK", -EINVAL, 0 },
		{ "1P", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "0x1K", -EINVAL, 0 },
		{ "0x", -EINVAL, 0 },
		{ "ff", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
	};

	for EACH(table) {
		uint64_t n = 0;

		check_num(__LINE__, table[i].text, uffdctl_size_parse(table[i].text, &n), table[i].err);
		check_num(__LINE__, table[i].text, n, table[i].value);
	}
}

/* ---- vectors and strings ---- */

TEST("util-vec")
{
	size_t nr = 0, alloc = 0;
	int *items = NULL;

	for (int i = 0; i < 1000; i++) {
		int *item = vec_add(items, nr, alloc);

		OK(item == &items[i]);
		*item = i;
	}
	NUM(nr, 1000);
	OK(alloc >= nr);
	for (int i = 0; i < 1000; i++)
		NUM(items[i], i);
	free(items);
}

TEST("util-vec-overflow")
{
	size_t alloc = SIZE_MAX / 128 + 1; /* twice that, times 64, is 0 */
	void *items = NULL;

	OK(!vec_grow(&items, alloc, &alloc, 64));
	OK(!items);
	NUM(alloc, SIZE_MAX / 128 + 1);
}

TEST("util-strpool")
{
	struct strpool pool = {};
	char text[16] = "a";
	const char *a = strpool_get(&pool, text), *b = strpool_get(&pool, "b"), *empty = strpool_get(&pool, "");

	OK(a != text);
	strcpy(text, "changed");
	STR(a, "a");
	STR(b, "b");
	STR(empty, "");
	OK(strpool_get(&pool, "a") == a);
	OK(strpool_get(&pool, "a") == a);
	OK(strpool_get(&pool, "b") == b);
	OK(strpool_get(&pool, "") == empty);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%d", i % 10);
		STR(strpool_get(&pool, text), text);
	}
	OK(strpool_get(&pool, "a") == a);
	strpool_free(&pool);
	OK(!pool.root);
	STR(strpool_get(&pool, "a"), "a");
	strpool_free(&pool);
}

/* ---- waiting times ---- */

TEST("buckets")
{
	unsigned int last = UFFDCTL_NR_BUCKETS - 1;

	NUM(uffdctl_bucket(0), 0);
	NUM(uffdctl_bucket(1024), 0);
	NUM(uffdctl_bucket(1025), 1);
	NUM(uffdctl_bucket(UFFDCTL_UNKNOWN), last);
	NUM(uffdctl_bucket_bound_ns(0), 1024);
	NUM(uffdctl_bucket_bound_ns(last), UFFDCTL_UNKNOWN);
	NUM(uffdctl_bucket_bound_ns(last - 1), UINT64_C(1) << 35);
	NUM(uffdctl_bucket_bound_ns(UFFDCTL_NR_BUCKETS), UFFDCTL_UNKNOWN);
	for (unsigned int i = 0; i < last; i++) {
		uint64_t bound = uffdctl_bucket_bound_ns(i);

		NUM(uffdctl_bucket(bound), i);
		NUM(uffdctl_bucket(bound + 1), i + 1);
		/* Sixteen parts of each doubling. */
		OK(!i || (bound - uffdctl_bucket_bound_ns(i - 1)) * 16 <= uffdctl_bucket_bound_ns(i - 1));
	}
}

TEST("percentiles")
{
	uint64_t buckets[UFFDCTL_NR_BUCKETS] = {};

	NUM(uffdctl_percentile_ns(buckets, 3500, 50), UFFDCTL_UNKNOWN);
	NUM(uffdctl_percentile_ns(buckets, 3500, 100), UFFDCTL_UNKNOWN);
	buckets[0] = 5;
	buckets[uffdctl_bucket(3500)] = 5;
	NUM(uffdctl_percentile_ns(buckets, 3500, 0), 1024);
	NUM(uffdctl_percentile_ns(buckets, 3500, 50), 1024);
	/* No more than the longest. */
	NUM(uffdctl_percentile_ns(buckets, 3500, 90), 3500);
	NUM(uffdctl_percentile_ns(buckets, 3500, 100), 3500);
	/* In the last bucket only the longest is known, or nothing. */
	buckets[UFFDCTL_NR_BUCKETS - 1] = 90;
	NUM(uffdctl_percentile_ns(buckets, 50000000000, 50), 50000000000);
	NUM(uffdctl_percentile_ns(buckets, UFFDCTL_UNKNOWN, 50), UFFDCTL_UNKNOWN);
}
