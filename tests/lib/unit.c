// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of libuffdctl's internals: what parses, converts and looks up without a target. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "../unit.h"
#include "lib/inspect/segments.h"
#include "lib/kernel/bpf_print.h"
#include "lib/kernel/kind.h"
#include "lib/kernel/memcg.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/uffd.h"
#include "lib/kernel/vmflags.h"
#include "lib/log.h"
#include "lib/symbols/perfmap.h"
#include "lib/util.h"

/* A size that overflows is to be refused by the library, not to end the program. */
const char *__asan_default_options(void) __attribute__((visibility("default")));
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/* ---- a context whose messages are kept ---- */

static char logged[4096];
static int nr_logged, last_level;

static void on_log(void *data, int level, const char *msg)
{
	NUM(strcmp(data, "data"), 0);
	snprintf(logged, sizeof(logged), "%s", msg);
	last_level = level;
	nr_logged++;
}

static struct uffdctl *new_context(void)
{
	struct uffdctl *u;

	if (uffdctl_new(&u) < 0)
		abort();
	uffdctl_set_log(u, UFFDCTL_LOG_NOTICE, on_log, "data");
	logged[0] = '\0';
	nr_logged = 0;
	return u;
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

/* ---- names ---- */

TEST("names-modes")
{
	uint64_t modes;

	STR(uffdctl_mode_name(0), "missing");
	STR(uffdctl_mode_name(1), "wp");
	STR(uffdctl_mode_name(2), "minor");
	STR(uffdctl_mode_name(3), "rwp");
	STR(uffdctl_mode_name(4), NULL);
	STR(uffdctl_mode_name(UINT32_MAX), NULL);
	for (unsigned int bit = 0; bit < NR_MODES; bit++) {
		modes = 0;
		NUM(uffdctl_modes_parse(uffdctl_mode_name(bit), &modes), 0);
		NUM(modes, 1 << bit);
	}
}

TEST("names-modes-parse")
{
	static const char *const bad[] = { "", ",", "minor,", ",minor", "minor,,wp", "Minor", "minor wp", "min", "minors" };
	uint64_t modes = 0;

	NUM(uffdctl_modes_parse("minor,wp", &modes), 0);
	NUM(modes, UFFDCTL_MODE_MINOR | UFFDCTL_MODE_WP);
	NUM(uffdctl_modes_parse("rwp,missing,minor,wp", &modes), 0);
	NUM(modes, 15);
	NUM(uffdctl_modes_parse("wp,wp", &modes), 0);
	NUM(modes, UFFDCTL_MODE_WP);
	for EACH(bad) {
		check_num(__LINE__, bad[i], uffdctl_modes_parse(bad[i], &modes), -EINVAL);
		NUM(modes, UFFDCTL_MODE_WP);
	}
}

TEST("names-features")
{
	STR(uffdctl_feature_name(0), "pagefault_flag_wp");
	STR(uffdctl_feature_name(10), "minor_shmem");
	STR(uffdctl_feature_name(18), "rwp_async");
	STR(uffdctl_feature_name(19), "missing_guest_memfd");
	STR(uffdctl_feature_name(20), "minor_guest_memfd");
	STR(uffdctl_feature_name(21), NULL);
	STR(uffdctl_feature_name(31), NULL);
	NUM(UFFD_FEATURE_MINOR_SHMEM, 1 << 10);
}

TEST("names-ioctls")
{
	STR(uffdctl_ioctl_name(_UFFDIO_REGISTER), "register");
	STR(uffdctl_ioctl_name(_UFFDIO_CONTINUE), "continue");
	STR(uffdctl_ioctl_name(0x08), "poison");
	STR(uffdctl_ioctl_name(_UFFDIO_API), "api");
	STR(uffdctl_ioctl_name(0x0b), NULL);
	STR(uffdctl_ioctl_name(64), NULL);
}

TEST("names-smaps-keys")
{
	static const char *const keys[] = {
		"Rss", "Pss", "Pss_Dirty", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty",
		"Referenced", "Anonymous", "AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Shared_Hugetlb",
		"Private_Hugetlb", "Swap", "SwapPss", "Locked", NULL,
	};

	NUM(ARRAY_SIZE(keys), UFFDCTL_NR_SIZES + 1);
	for EACH(keys)
		STR(uffdctl_smaps_key((unsigned int)i), keys[i]);
}

/* ---- escaping ---- */

static void check_escape(int line, const char *name, const char *want)
{
	char *got = NULL;

	check_num(line, name, uffdctl_escape(name, &got), 0);
	check_str(line, "escaped", got, want);
	free(got);
}

#define ESCAPE(name, want) check_escape(__LINE__, name, want)

TEST("escape-plain")
{
	ESCAPE("", "");
	ESCAPE("/memfd:guest (deleted)", "/memfd:guest (deleted)");
	ESCAPE(" ~", " ~");
}

TEST("escape-controls")
{
	ESCAPE("a\nb", "a\\x0ab");
	ESCAPE("\x1b[31m", "\\x1b[31m");
	ESCAPE("\t\r\b\a\x01\x1f", "\\x09\\x0d\\x08\\x07\\x01\\x1f");
	ESCAPE("\x7f", "\\x7f");
}

TEST("escape-c1")
{
	ESCAPE("\xc2\x80", "\\xc2\\x80");
	ESCAPE("\xc2\x9b", "\\xc2\\x9b");
	ESCAPE("\xc2\x9f", "\\xc2\\x9f");
	ESCAPE("\xc2\xa0", "\xc2\xa0");
	ESCAPE("\x9b", "\\x9b");
}

TEST("escape-multibyte")
{
	ESCAPE("h\xc3\xa4user", "h\xc3\xa4user");
	ESCAPE("\xe2\x82\xac", "\xe2\x82\xac");
	ESCAPE("\xef\xbf\xbd", "\xef\xbf\xbd");
	ESCAPE("\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7");
	ESCAPE("\xf4\x8f\xbf\xbd", "\xf4\x8f\xbf\xbd");
	ESCAPE("\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80");
}

TEST("escape-truncated")
{
	ESCAPE("\xc3", "\\xc3");
	ESCAPE("\xe2\x82", "\\xe2\\x82");
	ESCAPE("\xf0\x9f\x90", "\\xf0\\x9f\\x90");
	ESCAPE("\xe2\x82z", "\\xe2\\x82z");
	ESCAPE("\xc3\xc3\xa4", "\\xc3\xc3\xa4");
	ESCAPE("\xe2\xf0\x9f\x90\xa7", "\\xe2\xf0\x9f\x90\xa7");
}

TEST("escape-stray")
{
	ESCAPE("\x80", "\\x80");
	ESCAPE("\xbf\xbf", "\\xbf\\xbf");
	ESCAPE("\xc3\xa4\xa4", "\xc3\xa4\\xa4");
	ESCAPE("\xfe\xff", "\\xfe\\xff");
	ESCAPE("\xf8\x90\x80\x80", "\\xf8\\x90\\x80\\x80");
	ESCAPE("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
}

TEST("escape-overlong")
{
	ESCAPE("\xc0\xaf", "\\xc0\\xaf");
	ESCAPE("\xc1\xbf", "\\xc1\\xbf");
	ESCAPE("\xe0\x80\x8a", "\\xe0\\x80\\x8a");
	ESCAPE("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf");
	ESCAPE("\xe0\xa0\x80", "\xe0\xa0\x80");
	ESCAPE("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf");
	ESCAPE("\xf0\x90\x80\x80", "\xf0\x90\x80\x80");
}

TEST("escape-surrogates")
{
	ESCAPE("\xed\xa0\x80", "\\xed\\xa0\\x80");
	ESCAPE("\xed\xbf\xbf", "\\xed\\xbf\\xbf");
}

TEST("escape-too-large")
{
	ESCAPE("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	ESCAPE("\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80");
}

TEST("escape-direction")
{
	ESCAPE("\xe2\x80\xae" "cod", "\\xe2\\x80\\xae" "cod");	/* U+202E */
	ESCAPE("\xe2\x80\xaa", "\\xe2\\x80\\xaa");
	ESCAPE("\xe2\x81\xa6", "\\xe2\\x81\\xa6");		/* U+2066 */
	ESCAPE("\xe2\x81\xa9", "\\xe2\\x81\\xa9");
	ESCAPE("\xe2\x80\x8f", "\\xe2\\x80\\x8f");		/* U+200F */
	ESCAPE("\xd8\x9c", "\\xd8\\x9c");			/* U+061C */
	ESCAPE("\xd7\x90", "\xd7\x90");				/* a letter of Hebrew */
}

TEST("escape-line-ends")
{
	ESCAPE("\xe2\x80\xa8", "\\xe2\\x80\\xa8");
	ESCAPE("\xe2\x80\xa9", "\\xe2\\x80\\xa9");
	ESCAPE("\xc2\x85", "\\xc2\\x85");
}

TEST("escape-invisible")
{
	ESCAPE("\xe2\x80\x8b", "\\xe2\\x80\\x8b");		/* U+200B */
	ESCAPE("\xef\xbb\xbf", "\\xef\\xbb\\xbf");		/* U+FEFF */
	ESCAPE("\xf3\xa0\x80\xa1", "\\xf3\\xa0\\x80\\xa1");	/* U+E0021, a tag */
}

TEST("escape-for-messages")
{
	char *text = escaped("a\tb");

	STR(text, "a\\x09b");
	free(text);
}

/* ---- ranges as they are written ---- */

/* Adds one range; the copy of its spec that comes back belongs to *rs. */
static int add_range(struct uffdctl *u, const char *text, struct uffdctl_ranges **rs, struct range_spec *ret)
{
	int r = uffdctl_ranges_new(u, rs);

	if (r >= 0)
		r = uffdctl_ranges_add(*rs, text);
	*ret = r < 0 ? (struct range_spec){} : (*rs)->specs[0];
	return r;
}

TEST("range-addresses")
{
	static const struct {
		const char *text;
		uint64_t start, end;
	} table[] = {
		{ "7f0000000000-7f0000010000", 0x7f0000000000, 0x7f0000010000 },
		{ "0x7f0000000000-0x7f0000010000", 0x7f0000000000, 0x7f0000010000 },
		{ "0X10000-20000", 0x10000, 0x20000 },
		{ "ABC0000-ABD0000", 0xabc0000, 0xabd0000 },
		{ "abc0000-abd0000", 0xabc0000, 0xabd0000 },
		{ "0-10000", 0, 0x10000 },
		{ "10000+65536", 0x10000, 0x20000 },
		{ "0x10000+0x10000", 0x10000, 0x20000 },
		{ "10000+64K", 0x10000, 0x20000 },
		{ "10000+64k", 0x10000, 0x20000 },
		{ "10000+1M", 0x10000, 0x110000 },
		{ "10000+1m", 0x10000, 0x110000 },
		{ "10000+2G", 0x10000, 0x80010000 },
		{ "10000+1g", 0x10000, 0x40010000 },
		{ "10000+1T", 0x10000, 0x10000010000 },
	};
	struct uffdctl *u = new_context();

	for EACH(table) {
		struct uffdctl_ranges *rs;
		struct range_spec spec;

		check_num(__LINE__, table[i].text, add_range(u, table[i].text, &rs, &spec), 0);
		check_num(__LINE__, table[i].text, spec.kind, RANGE_ADDRESS);
		check_num(__LINE__, table[i].text, spec.range.start, table[i].start);
		check_num(__LINE__, table[i].text, spec.range.end, table[i].end);
		STR(spec.text, table[i].text);
		NUM(uffdctl_ranges_count(rs), 1);
		uffdctl_ranges_free(rs);
	}
	NUM(nr_logged, 0);
	uffdctl_free(u);
}

TEST("range-names")
{
	static const struct {
		const char *text;
		enum range_kind kind;
		const char *module, *pattern;
	} table[] = {
		{ "all", RANGE_ALL, NULL, NULL },
		{ "@/memfd:guest*", RANGE_GLOB, NULL, "/memfd:guest*" },
		{ "@all", RANGE_GLOB, NULL, "all" },
		{ "@1000-2000", RANGE_GLOB, NULL, "1000-2000" },
		{ ":arena", RANGE_SYMBOL, NULL, "arena" },
		{ ":all", RANGE_SYMBOL, NULL, "all" },
		{ "libfoo.so.1:arena", RANGE_SYMBOL, "libfoo.so.1", "arena" },
		{ "libfoo.so.1:arena@@V1", RANGE_SYMBOL, "libfoo.so.1", "arena@@V1" },
		{ "lib-x+y.so:arena", RANGE_SYMBOL, "lib-x+y.so", "arena" },
		{ "odd:name.so:arena", RANGE_SYMBOL, "odd:name.so", "arena" },
	};
	struct uffdctl *u = new_context();

	for EACH(table) {
		struct uffdctl_ranges *rs;
		struct range_spec spec;

		check_num(__LINE__, table[i].text, add_range(u, table[i].text, &rs, &spec), 0);
		check_num(__LINE__, table[i].text, spec.kind, table[i].kind);
		check_str(__LINE__, table[i].text, spec.module, table[i].module);
		check_str(__LINE__, table[i].text, spec.pattern, table[i].pattern);
		uffdctl_ranges_free(rs);
	}
	NUM(nr_logged, 0);
	uffdctl_free(u);
}

struct bad_range {
	const char *text, *message;
};

/* Each is refused, adds nothing and is explained once, by a message that names it and says @message. */
static void check_bad_ranges(const struct bad_range *table, size_t nr)
{
	struct uffdctl *u = new_context();
	struct uffdctl_ranges *rs;

	NUM(uffdctl_ranges_new(u, &rs), 0);
	NUM(uffdctl_ranges_add(rs, "10000-20000"), 0);
	for (size_t i = 0; i < nr; i++) {
		char prefix[128];

		nr_logged = 0;
		check_num(__LINE__, table[i].text, uffdctl_ranges_add(rs, table[i].text), -EINVAL);
		check_num(__LINE__, table[i].text, nr_logged, 1);
		NUM(last_level, UFFDCTL_LOG_ERROR);
		NUM(uffdctl_ranges_count(rs), 1);
		snprintf(prefix, sizeof(prefix), "%s: ", table[i].text);
		OK(!strncmp(logged, prefix, strlen(prefix)));
		PART(logged, table[i].message);
	}
	uffdctl_ranges_free(rs);
	uffdctl_free(u);
}

#define BAD_RANGES(...)                                                 \
	do {                                                            \
		static const struct bad_range table[] = { __VA_ARGS__ }; \
		check_bad_ranges(table, ARRAY_SIZE(table));             \
	} while (0)

TEST("range-form")
{
	BAD_RANGES({ "", "START-END, START+LEN, @GLOB, :SYMBOL or all" },
		   { "10000", "START-END, START+LEN, @GLOB, :SYMBOL or all" },
		   { "0x10000", "START-END, START+LEN" },
		   { "ALL", "START-END, START+LEN" },
		   { "all ", "START-END, START+LEN" },
		   { "arena", "START-END, START+LEN" });
}

TEST("range-digits")
{
	BAD_RANGES({ "-", "hexadecimal" }, { "+", "hexadecimal" }, { "10000-", "hexadecimal" },
		   { "-20000", "hexadecimal" }, { "+1M", "hexadecimal" }, { "10000+", "LEN" },
		   { "1000g-20000", "hexadecimal" }, { "10000-2000z", "hexadecimal" }, { "10000+1X", "K, M, G, T" },
		   { "10000+K", "K, M, G, T" }, { "10000+1.5G", "K, M, G, T" }, { "10000+ff", "K, M, G, T" },
		   { "10000--20000", "hexadecimal" }, { "10000-+20000", "hexadecimal" },
		   { "10000-20000-30000", "hexadecimal" }, { "10000 - 20000", "hexadecimal" },
		   { "0x-0x10000", "hexadecimal" }, { "10000-1M", "hexadecimal" });
}

TEST("range-empty")
{
	BAD_RANGES({ "10000-10000", "is empty" }, { "10000+0", "is empty" }, { "10000+0x0", "is empty" },
		   { "0-0", "is empty" });
}

TEST("range-reversed")
{
	BAD_RANGES({ "20000-10000", "ends before it starts: write 10000-20000" });
}

TEST("range-overflow")
{
	BAD_RANGES({ "10000-10000000000000000", "beyond the end of the address space" },
		   { "10000000000000000-20000000000000000", "beyond the end of the address space" },
		   { "10000+16777216T", "beyond the end of the address space" },
		   { "10000+18446744073709551616", "beyond the end of the address space" },
		   { "ffffffffffff0000+64K", "beyond the end of the address space" },
		   { "ffffffffffff0000+1M", "beyond the end of the address space" },
		   { "10000-ffffffffffffffff", "beyond the end of the address space" });
}

TEST("range-unaligned")
{
	uint64_t page = base_page_size();
	char text[64], nearest[64];
	struct bad_range bad = { text, nearest };

	snprintf(text, sizeof(text), "10008-20000");
	snprintf(nearest, sizeof(nearest), "(%" PRIu64 "K): the pages that it touches are 10000-20000", page / 1024);
	check_bad_ranges(&bad, 1);
	snprintf(text, sizeof(text), "10000-20001");
	snprintf(nearest, sizeof(nearest), "touches are 10000-%" PRIx64, 0x20000 + page);
	check_bad_ranges(&bad, 1);
	snprintf(text, sizeof(text), "10001-10002");
	snprintf(nearest, sizeof(nearest), "touches are 10000-%" PRIx64, 0x10000 + page);
	check_bad_ranges(&bad, 1);
	snprintf(text, sizeof(text), "10000+1");
	check_bad_ranges(&bad, 1);
}

TEST("range-no-name")
{
	BAD_RANGES({ "@", "no pattern behind the @" }, { ":", "no symbol behind the colon" },
		   { "libfoo.so.1:", "no symbol behind the colon" }, { "all:", "no symbol behind the colon" });
}

TEST("range-message-escaped")
{
	struct uffdctl *u = new_context();
	struct uffdctl_ranges *rs;
	struct range_spec spec;

	NUM(add_range(u, "\x1b[2J\xff", &rs, &spec), -EINVAL);
	OK(!strncmp(logged, "\\x1b[2J\\xff: ", strlen("\\x1b[2J\\xff: ")));
	uffdctl_ranges_free(rs);
	NUM(add_range(u, "@a\nb", &rs, &spec), 0);
	STR(spec.pattern, "a\nb");
	STR(spec.text, "@a\\x0ab");
	uffdctl_ranges_free(rs);
	uffdctl_free(u);
}

TEST("range-many")
{
	struct uffdctl *u = new_context();
	struct uffdctl_ranges *rs;
	char text[64];

	NUM(uffdctl_ranges_new(u, &rs), 0);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%x0000+64K", i);
		NUM(uffdctl_ranges_add(rs, text), 0);
	}
	NUM(uffdctl_ranges_count(rs), 100);
	for (size_t i = 0; i < 100; i++)
		NUM(rs->specs[i].range.start, i << 16);
	uffdctl_ranges_free(rs);
	uffdctl_free(u);
}

/* ---- ranges in a target's mappings ---- */

#define KIB UINT64_C(1024)
#define HUGE_PAGE (2048 * KIB)

static struct uffdctl_vma vmas[] = {
	{ .range = { 0x10000, 0x20000 }, .perms = "rw-s", .name = "/memfd:guest (deleted)",
	  .modes = UFFDCTL_MODE_MINOR },
	{ .range = { 0x20000, 0x40000 }, .perms = "r--p", .name = "/usr/lib/guest.so" },
	{ .range = { 0x50000, 0x60000 }, .perms = "rw-p", .name = "" },
	{ .range = { 0x200000, 0x800000 }, .perms = "rw-s", .name = "/memfd:huge\n (deleted)",
	  .modes = UFFDCTL_MODE_WP },
	{ .range = { 0x1000000, 0x1010000 }, .perms = "rw-p", .name = "[h]" },
};
static uint64_t owners[] = { 7, 0, 0, 8, 0 };
static struct uffdctl_maps maps = { .vmas = vmas, .owners = owners, .nr = ARRAY_SIZE(vmas) };

static void maps_setup(void)
{
	for EACH(vmas)
		vmas[i].page_size = i == 3 ? HUGE_PAGE : base_page_size();
}

static bool is_any(const struct uffdctl_vma *v, uint64_t owner, void *arg)
{
	(void)v, (void)owner, (void)arg;
	return true;
}

static bool is_owned(const struct uffdctl_vma *v, uint64_t owner, void *arg)
{
	(void)v;
	return owner == *(uint64_t *)arg;
}

static const struct range_filter any = { .all = is_any };
static const struct range_filter owned = { .all = is_owned, .arg = &owners[3], .glob_registered = true };

/* The segments that a range comes to, "START-END:OWNER" each; or "" and the error. */
static int resolve(const char *text, const struct range_filter *filter, char *buf, size_t size)
{
	struct uffdctl *u = new_context();
	struct uffdctl_target t = { .u = u, .pid = 4211 };
	struct segments segs = {};
	struct uffdctl_ranges *rs;
	struct range_spec spec;
	size_t len = 0;
	int r = add_range(u, text, &rs, &spec);

	maps_setup();
	if (r >= 0)
		r = range_resolve(&t, &maps, &rs->specs[0], filter, &segs);
	buf[0] = '\0';
	for (size_t i = 0; i < segs.nr; i++) {
		OK(segs.segs[i].spec == &rs->specs[0]);
		OK(segs.segs[i].vma->range.start <= segs.segs[i].range.start);
		len += (size_t)snprintf(buf + len, size - len, "%s%" PRIx64 "-%" PRIx64 ":%" PRIu64, len ? " " : "",
					segs.segs[i].range.start, segs.segs[i].range.end, segs.segs[i].owner);
	}
	segments_free(&segs);
	OK(!segs.segs && !segs.nr);
	uffdctl_ranges_free(rs);
	uffdctl_free(u);
	return r;
}

static void check_resolved(int line, const char *text, const struct range_filter *filter, const char *want)
{
	char buf[512];

	check_num(line, text, resolve(text, filter, buf, sizeof(buf)), 0);
	check_str(line, text, buf, want);
	check_num(line, "messages", nr_logged, 0);
}

static void check_unresolved(int line, const char *text, const struct range_filter *filter, int err,
			     const char *message)
{
	char buf[512];

	check_num(line, text, resolve(text, filter, buf, sizeof(buf)), err);
	check_str(line, text, buf, "");
	check_num(line, "messages", nr_logged, 1);
	check_part(line, logged, "4211: ");
	check_part(line, logged, text);
	check_part(line, logged, message);
}

TEST("resolve-address")
{
	check_resolved(__LINE__, "10000-20000", &any, "10000-20000:7");
	check_resolved(__LINE__, "10000-18000", &any, "10000-18000:7");
	check_resolved(__LINE__, "18000-20000", &owned, "18000-20000:7");
	check_resolved(__LINE__, "10000-40000", &any, "10000-20000:7 20000-40000:0");
	check_resolved(__LINE__, "18000-30000", &owned, "18000-20000:7 20000-30000:0");
}

TEST("resolve-hole")
{
	check_unresolved(__LINE__, "10000-50000", &any, -EFAULT, "nothing is mapped at 40000; nearest: "
			 "20000-40000 r--p /usr/lib/guest.so, 50000-60000 rw-p");
	check_unresolved(__LINE__, "40000-60000", &any, -EFAULT, "nothing is mapped at 40000");
	check_unresolved(__LINE__, "50000-70000", &any, -EFAULT, "nothing is mapped at 60000");
	check_unresolved(__LINE__, "0-20000", &any, -EFAULT, "nothing is mapped at 0; nearest: 10000-20000");
	check_unresolved(__LINE__, "900000-a00000", &any, -EFAULT, "nearest: 200000-800000 rw-s /memfd:huge\\x0a");
	check_unresolved(__LINE__, "1100000-1200000", &any, -EFAULT, "nearest: 1000000-1010000 rw-p [h]");
}

TEST("resolve-huge")
{
	check_resolved(__LINE__, "200000-400000", &any, "200000-400000:8");
	check_resolved(__LINE__, "400000-800000", &any, "400000-800000:8");
	check_unresolved(__LINE__, "210000-400000", &any, -EINVAL,
			 "2M pages; the pages that it touches are 200000-400000");
	check_unresolved(__LINE__, "200000-410000", &any, -EINVAL, "touches are 200000-600000");
}

TEST("resolve-glob")
{
	check_resolved(__LINE__, "@/memfd:guest", &any, "10000-20000:7");
	check_resolved(__LINE__, "@/memfd:guest (deleted)", &any, "10000-20000:7");
	check_resolved(__LINE__, "@/memfd:*", &any, "10000-20000:7 200000-800000:8");
	check_resolved(__LINE__, "@*guest*", &any, "10000-20000:7 20000-40000:0");
	check_resolved(__LINE__, "@*", &any, "10000-20000:7 20000-40000:0 200000-800000:8 1000000-1010000:0");
	check_resolved(__LINE__, "@\\[h]", &any, "1000000-1010000:0");
	check_unresolved(__LINE__, "@guest", &any, -ENOENT, "no mapping has such a name");
	check_unresolved(__LINE__, "@/memfd:gues", &any, -ENOENT, "no mapping has such a name");
	check_unresolved(__LINE__, "@/memfd:guest (deleted", &any, -ENOENT, "no mapping has such a name");
}

TEST("resolve-glob-registered")
{
	check_resolved(__LINE__, "@*guest*", &owned, "10000-20000:7");
	check_resolved(__LINE__, "@/memfd:*", &owned, "10000-20000:7 200000-800000:8");
	check_resolved(__LINE__, "@*.so", &owned, "20000-40000:0"); /* none is: all that match */
	check_unresolved(__LINE__, "@guest", &owned, -ENOENT, "no mapping has such a name");
}

TEST("resolve-all")
{
	static uint64_t nobody = 9;
	static const struct range_filter none = { .all = is_owned, .arg = &nobody };

	check_resolved(__LINE__, "all", &any, "10000-20000:7 20000-40000:0 50000-60000:0 200000-800000:8 "
		       "1000000-1010000:0");
	check_resolved(__LINE__, "all", &owned, "200000-800000:8");
	check_unresolved(__LINE__, "all", &none, -ENOENT, "no mapping that this can be done on");
}

TEST("resolve-keeps-others")
{
	struct uffdctl *u = new_context();
	struct uffdctl_target t = { .u = u, .pid = 4211 };
	struct segments segs = {};
	struct uffdctl_ranges *rs;

	maps_setup();
	NUM(uffdctl_ranges_new(u, &rs), 0);
	NUM(uffdctl_ranges_add(rs, "10000-20000"), 0);
	NUM(uffdctl_ranges_add(rs, "20000-60000"), 0);
	NUM(uffdctl_ranges_add(rs, "@none"), 0);
	NUM(range_resolve(&t, &maps, &rs->specs[0], &any, &segs), 0);
	NUM(range_resolve(&t, &maps, &rs->specs[1], &any, &segs), -EFAULT);
	NUM(range_resolve(&t, &maps, &rs->specs[2], &any, &segs), -ENOENT);
	NUM(segs.nr, 1);
	NUM(segs.segs[0].range.end, 0x20000);
	segments_free(&segs);
	uffdctl_ranges_free(rs);
	uffdctl_free(u);
}

TEST("maps-find")
{
	struct uffdctl_maps none = {};

	NUM(maps_find(&none, 0), 0);
	NUM(maps_find(&maps, 0), 0);
	NUM(maps_find(&maps, 0x10000), 0);
	NUM(maps_find(&maps, 0x1ffff), 0);
	NUM(maps_find(&maps, 0x20000), 1);
	NUM(maps_find(&maps, 0x3ffff), 1);
	NUM(maps_find(&maps, 0x40000), 2);
	NUM(maps_find(&maps, 0x5ffff), 2);
	NUM(maps_find(&maps, 0x60000), 3);
	NUM(maps_find(&maps, 0x7fffff), 3);
	NUM(maps_find(&maps, 0x800000), 4);
	NUM(maps_find(&maps, UINT64_MAX), 5);
}

TEST("maps-get")
{
	OK(uffdctl_maps_get(&maps, 3) == &vmas[3]);
	OK(!uffdctl_maps_get(&maps, 5));
	NUM(uffdctl_maps_count(&maps), 5);
}

TEST("maps-describe")
{
	char *named = vma_describe(&vmas[3]), *unnamed = vma_describe(&vmas[2]);

	STR(named, "200000-800000 rw-s /memfd:huge\\x0a (deleted)");
	STR(unnamed, "50000-60000 rw-p");
	free(named);
	free(unnamed);
}

/* ---- /proc/PID/maps and smaps ---- */

TEST("maps-line")
{
	char line[] = "7f1234560000-7f1234570000 rw-s 00012000 fd:1f 4294967299                  /memfd:guest\n";
	struct maps_line l;

	NUM(maps_line_parse(line, &l), 0);
	NUM(l.range.start, 0x7f1234560000);
	NUM(l.range.end, 0x7f1234570000);
	STR(l.perms, "rw-s");
	NUM(l.offset, 0x12000);
	NUM(l.dev_major, 0xfd);
	NUM(l.dev_minor, 0x1f);
	NUM(l.inode, UINT64_C(4294967299));
	STR(l.name, "/memfd:guest");
}

TEST("maps-line-no-name")
{
	char line[] = "00400000-00401000 r-xp 00000000 00:00 0 \n", bare[] = "00400000-00401000 r-xp 00000000 00:00 0 ";
	struct maps_line l;

	NUM(maps_line_parse(line, &l), 0);
	STR(l.perms, "r-xp");
	NUM(l.inode, 0);
	STR(l.name, "");
	NUM(maps_line_parse(bare, &l), 0);
	STR(l.name, "");
}

TEST("maps-line-names")
{
	static const char *const names[] = {
		"[heap]", "/tmp/a b  c ", "/tmp/x (deleted)", "/memfd: leading blank (deleted)", "[anon:my name]",
		"/tmp/new\\012line", "/tmp/7f00-7f01 rw-p 00000000 00:00 0 ", "/tmp/\xff\xc3\xa4\x1b[31m",
		"anon_inode:[kvm-gmem]",
	};

	for EACH(names) {
		struct maps_line l = {};
		char line[256];

		snprintf(line, sizeof(line), "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0%*s%s\n",
			 i % 2 ? 1 : 7, "", names[i]);
		check_num(__LINE__, names[i], maps_line_parse(line, &l), 0);
		STR(l.name, names[i]);
		NUM(l.range.start, 0xffffffffff600000);
	}
}

TEST("maps-line-malformed")
{
	static const char *const bad[] = {
		"",
		"\n",
		"Rss:                 100 kB\n",
		"VmFlags: rd wr\n",
		"7f00 rw-p 00000000 00:00 0 \n",
		"7f00 7f01 rw-p 00000000 00:00 0 \n",
		"7f00-7e00 rw-p 00000000 00:00 0 \n",
		"7f00-7f00 rw-p 00000000 00:00 0 \n",
		"7f00-7g00 rw-p 00000000 00:00 0 \n",
		"-7f00 rw-p 00000000 00:00 0 \n",
		"7f00- rw-p 00000000 00:00 0 \n",
		"7f00-10000000000007f00 rw-p 00000000 00:00 0 \n",
		"7f00-7f01\n",
		"7f00-7f01 rw-\n",
		"7f00-7f01 rw- 00000000 00:00 0 \n",
		"7f00-7f01 r- p 00000000 00:00 0 \n",
		"7f00-7f01 rw-pp 00000000 00:00 0 \n",
		"7f00-7f01 rw-p\n",
		"7f00-7f01 rw-p 00000000\n",
		"7f00-7f01 rw-p 00000000 0000 0 \n",
		"7f00-7f01 rw-p 00000000 00:00\n",
		"7f00-7f01 rw-p 00000000 100000000:00 0 \n",
		"7f00-7f01 rw-p 00000000 00:100000000 0 \n",
		"7f00-7f01 rw-p 00000000 00:00 0\n",
		"7f00-7f01 rw-p 00000000 00:00 0K \n",
		"7f00-7f01 rw-p 00000000 00:00 x \n",
		"7f00-7f01 rw-p 00000000 00:00 18446744073709551616 \n",
		"7f00-7f01 rw-p zz 00:00 0 \n",
	};

	for EACH(bad) {
		struct maps_line l = { .inode = 77 };
		char line[128];

		snprintf(line, sizeof(line), "%s", bad[i]);
		check_num(__LINE__, bad[i], maps_line_parse(line, &l), -EINVAL);
		NUM(l.inode, 77);
	}
}

TEST("smaps-size")
{
	uint64_t bytes = 1;

	for (int i = 0; i < UFFDCTL_NR_SIZES; i++) {
		char line[64];

		snprintf(line, sizeof(line), "%s:%*d kB\n", uffdctl_smaps_key((unsigned int)i), 10, i * 4);
		check_num(__LINE__, line, smaps_size_parse(line, &bytes), i);
		NUM(bytes, i * 4096);
	}
	NUM(smaps_size_parse("KernelPageSize:     2048 kB\n", &bytes), SMAPS_KERNEL_PAGE_SIZE);
	NUM(bytes, HUGE_PAGE);
	NUM(smaps_size_parse("Rss:  18014398509481983 kB\n", &bytes), 0);
	NUM(bytes, UINT64_MAX - 1023);
}

TEST("smaps-size-other")
{
	static const char *const bad[] = {
		"", ":", "Rss", "Rss\n", "Rss:", "Rss:\n", "Rss: kB\n", "Rss: 4\n", "Rss: 4 kB", "Rss: 4 MB\n",
		"Rss: 4 kB \n", "Rss: x kB\n", "Rss: 18014398509481984 kB\n", "Rss: 99999999999999999999999 kB\n",
		"Rs: 4 kB\n", "Rsss: 4 kB\n", "rss: 4 kB\n", "Size: 4 kB\n", "MMUPageSize: 4 kB\n", "THPeligible: 1\n",
		"VmFlags: rd\n", "P: 4 kB\n",
	};
	uint64_t bytes = 1;

	NUM(smaps_size_parse("Rss\0 4 kB\n", &bytes), -1);
	for EACH(bad) {
		char *line = strdup(bad[i]); /* of its own, so that reading past its end is seen */

		check_num(__LINE__, bad[i], smaps_size_parse(line, &bytes), -1);
		free(line);
	}
	NUM(bytes, 1);
}

static void check_flags(int line, const char *text, const char *want)
{
	char buf[128];

	snprintf(buf, sizeof(buf), "%s", text);
	check_str(line, text, smaps_flags_parse(buf), want);
}

TEST("smaps-flags")
{
	check_flags(__LINE__, "VmFlags: rd wr sh mr mw me ms ui \n", "rd wr sh mr mw me ms ui");
	check_flags(__LINE__, "VmFlags: rd\n", "rd");
	check_flags(__LINE__, "VmFlags: rd", "rd");
	check_flags(__LINE__, "VmFlags:\n", "");
	check_flags(__LINE__, "VmFlags:   \n", "");
	check_flags(__LINE__, "VmFlags", NULL);
	check_flags(__LINE__, "VmFlag: rd\n", NULL);
	check_flags(__LINE__, " VmFlags: rd\n", NULL);
	check_flags(__LINE__, "", NULL);
}

/* ---- VmFlags ---- */

TEST("vmflags-modes-of-text")
{
	NUM(vmflags_modes_of_text(""), 0);
	NUM(vmflags_modes_of_text("rd wr mr mw me ac"), 0);
	NUM(vmflags_modes_of_text("um"), UFFDCTL_MODE_MISSING);
	NUM(vmflags_modes_of_text("rd uw"), UFFDCTL_MODE_WP);
	NUM(vmflags_modes_of_text("ui wr"), UFFDCTL_MODE_MINOR);
	NUM(vmflags_modes_of_text("ur"), UFFDCTL_MODE_RWP);
	NUM(vmflags_modes_of_text("rd um uw ui ur sd"), 15);
	NUM(vmflags_modes_of_text("ru mw iu"), 0);	/* "um", "ui" only across the blank */
	NUM(vmflags_modes_of_text("u"), 0);
	NUM(vmflags_modes_of_text("rd u"), 0);
}

TEST("vmflags-text")
{
	struct vmflags f = { .names = { [0] = "rd", [1] = "wr", [9] = "um", [63] = "zz" } };
	char buf[64 * 3];

	vmflags_text(&f, 0, buf);
	STR(buf, "");
	vmflags_text(&f, 1, buf);
	STR(buf, "rd");
	vmflags_text(&f, 1 | 1 << 9 | 1 << 5, buf);
	STR(buf, "rd um");
	vmflags_text(&f, UINT64_MAX, buf);
	STR(buf, "rd wr um zz");
	for (int bit = 0; bit < 64; bit++)
		memcpy(f.names[bit], "ab", 3);
	vmflags_text(&f, UINT64_MAX, buf);
	NUM(strlen(buf), sizeof(buf) - 1);
}

TEST("vmflags-modes")
{
	struct vmflags f = { .mode_bits = { 1 << 9, 1 << 12, UINT64_C(1) << 38, 0 } };

	NUM(vmflags_modes(&f, 0), 0);
	NUM(vmflags_modes(&f, 1 << 9), UFFDCTL_MODE_MISSING);
	NUM(vmflags_modes(&f, UINT64_C(1) << 38 | 1 << 12), UFFDCTL_MODE_MINOR | UFFDCTL_MODE_WP);
	NUM(vmflags_modes(&f, UINT64_C(1) << 37), 0);
	NUM(vmflags_modes(&f, UINT64_MAX), 7);
}

/* ---- fdinfo and stat ---- */

#define FDINFO_HEAD "pos:\t0\nflags:\t02004002\nmnt_id:\t15\nino:\t1057\n"

TEST("fdinfo")
{
	struct uffd_fdinfo info;

	NUM(fdinfo_parse(FDINFO_HEAD "pending:\t3\ntotal:\t5\nAPI:\taa:80000440:16f\n", &info), 0);
	NUM(info.pending, 3);
	NUM(info.total, 5);
	OK(info.handshake);
	NUM(info.features, 0x440);
}

TEST("fdinfo-no-handshake")
{
	struct uffd_fdinfo info;

	NUM(fdinfo_parse(FDINFO_HEAD "pending:\t0\ntotal:\t0\nAPI:\taa:0:16f\n", &info), 0);
	OK(!info.handshake);
	NUM(info.features, 0);
}

TEST("fdinfo-no-features")
{
	struct uffd_fdinfo info;

	NUM(fdinfo_parse(FDINFO_HEAD "pending:\t0\ntotal:\t0\nAPI:\taa:80000000:16f\n", &info), 0);
	OK(info.handshake);
	NUM(info.features, 0);
}

TEST("fdinfo-others")
{
	static const char *const bad[] = {
		"",
		FDINFO_HEAD,
		FDINFO_HEAD "pending:\t0\n",
		FDINFO_HEAD "pending:\t0\ntotal:\t0\n",
		FDINFO_HEAD "pending:\t0\ntotal:\t0\nAPI:\n",
		FDINFO_HEAD "pending:\t0\ntotal:\t0\nAPI:\taa\n",
		FDINFO_HEAD "pending:\tx\ntotal:\t0\nAPI:\taa:0:16f\n",
		FDINFO_HEAD "pending:\t0\nsum:\t0\nAPI:\taa:0:16f\n",
		"pending:\t0\ntotal:\t0\nAPI:\taa:0:16f\n",
		FDINFO_HEAD "Pid:\t4211\nNSpid:\t4211\n",
		FDINFO_HEAD "eventfd-count:                0\neventfd-id: 1\n",
	};

	for EACH(bad) {
		struct uffd_fdinfo info = { .pending = 77 };

		check_num(__LINE__, bad[i], fdinfo_parse(bad[i], &info), -EINVAL);
		NUM(info.pending, 77);
	}
}

#define STAT_TAIL " S 1 4211 4211 0 -1 4194560 116 0 0 0 0 0 0 0 20 0 1 0 12345\n"

TEST("stat")
{
	struct proc_stat st;

	NUM(stat_parse("4211 (qemu-system-x86)" STAT_TAIL, &st), 0);
	STR(st.comm, "qemu-system-x86");
	NUM(st.state, 'S');
	NUM(st.flags, 4194560);
}

TEST("stat-comm")
{
	static const char *const comms[] = {
		"", " ", "a b", ")", "(", "()", ") S 1 2 (", "a) R 0 0", "a\nb", "((((((((((((((("
	};

	for EACH(comms) {
		struct proc_stat st = {};
		char text[256];

		snprintf(text, sizeof(text), "4211 (%s)" STAT_TAIL, comms[i]);
		check_num(__LINE__, comms[i], stat_parse(text, &st), 0);
		STR(st.comm, comms[i]);
		NUM(st.state, 'S');
		NUM(st.flags, 4194560);
	}
}

TEST("stat-long-comm")
{
	struct proc_stat st;

	/* Kernel threads of a workqueue have names of more than 15 characters there. */
	NUM(stat_parse("7 (kworker/0:1H-events_highpri) I 2 0 0 0 -1 69238880 0\n", &st), 0);
	STR(st.comm, "kworker/0:1H-ev");
	NUM(st.state, 'I');
	NUM(st.flags, 69238880);
}

TEST("stat-malformed")
{
	static const char *const bad[] = {
		"", "4211", "4211 comm S 1", "4211 (comm", "4211 comm) S 1 1 1 1 1 1", ")(", "4211 (comm)",
		"4211 (comm) ", "4211 (comm) S", "4211 (comm) S 1 2 3 4 5", "4211 (comm) S 1 2 3 4 5 x",
	};

	for EACH(bad) {
		struct proc_stat st = { .flags = 77 };

		check_num(__LINE__, bad[i], stat_parse(bad[i], &st), -EINVAL);
		NUM(st.flags, 77);
	}
}

/* ---- files of a directory that looks like /proc/PID/fd ---- */

static char dir_path[64];

static int dir_make(void)
{
	int fd;

	strcpy(dir_path, "/tmp/uffdctl-unit.XXXXXX");
	if (!mkdtemp(dir_path))
		abort();
	fd = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}

static void dir_remove(int dir)
{
	char command[128];

	close(dir);
	snprintf(command, sizeof(command), "rm -r %s", dir_path);
	NUM(system(command), 0);
}

static void check_memcg_path(int line, const char *text, int version, const char *want)
{
	char *path = memcg_path(text, version);

	check_str(line, text, path ?: "none", want ?: "none");
	free(path);
}

static void check_mountinfo(int line, const char *text, const char *want)
{
	uint32_t dev_major, dev_minor;
	char copy[256], got[256];
	const char *type;

	snprintf(copy, sizeof(copy), "%s", text);
	if (mountinfo_parse(copy, &dev_major, &dev_minor, &type) < 0)
		strcpy(got, "EINVAL");
	else
		snprintf(got, sizeof(got), "%u:%u %s", dev_major, dev_minor, type);
	check_str(line, "mountinfo", got, want);
}

TEST("kind-mountinfo")
{
	check_mountinfo(__LINE__, "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n", "98:0 ext3");
	check_mountinfo(__LINE__, "25 1 0:23 / /dev/shm rw - tmpfs tmpfs rw,size=64k\n", "0:23 tmpfs");
	check_mountinfo(__LINE__, "25 1 0:23 / /a\\040b rw - fuse.x x\\040- rw\n", "0:23 fuse.x");
	check_mountinfo(__LINE__, "25 1 0:23 / /dev/shm rw - tmpfs", "0:23 tmpfs");
	check_mountinfo(__LINE__, "25 1 0:23 / /dev/shm rw tmpfs", "EINVAL");
	check_mountinfo(__LINE__, "25 1 x / /dev/shm rw - tmpfs", "EINVAL");
	check_mountinfo(__LINE__, "", "EINVAL");
}

TEST("memcg-path")
{
	static const char both[] = "9:name=systemd:/x\n4:cpu,memory:/user/a:b c\n2:memory2:/no\n0::/user.slice/s.scope\n";

	check_memcg_path(__LINE__, both, 1, "/user/a:b c");
	check_memcg_path(__LINE__, both, 2, "/user.slice/s.scope");
	check_memcg_path(__LINE__, "0::/", 2, "/");
	check_memcg_path(__LINE__, "0::/", 1, NULL);
	check_memcg_path(__LINE__, "1:memory:/a", 2, NULL);
	check_memcg_path(__LINE__, "0::/../outside\n", 2, "/../outside");
	check_memcg_path(__LINE__, "", 2, NULL);
	check_memcg_path(__LINE__, "0\n::\n0:", 2, NULL);
}

TEST("proc-is-uffd")
{
	int dir = dir_make();

	NUM(symlinkat("anon_inode:[userfaultfd]", dir, "3"), 0);
	NUM(symlinkat("anon_inode:[userfaultfd]x", dir, "4"), 0);
	NUM(symlinkat("anon_inode:[userfault]", dir, "5"), 0);
	NUM(symlinkat("anon_inode:[userfaultfe]", dir, "6"), 0);
	OK(proc_is_uffd(dir, "3"));
	OK(!proc_is_uffd(dir, "4"));
	OK(!proc_is_uffd(dir, "5"));
	OK(!proc_is_uffd(dir, "6"));
	OK(!proc_is_uffd(dir, "7"));
	dir_remove(dir);
}

static int sum_number(uint32_t n, void *arg)
{
	*(uint64_t *)arg += n;
	return n == 1000 ? -ECANCELED : 0;
}

TEST("proc-each-number")
{
	static const char *const names[] = { "1", "20", "300", "x1", "1x", "self", "4294967296", "-5" };
	int dir = dir_make();
	uint64_t sum = 0;

	for EACH(names)
		NUM(mkdirat(dir, names[i], 0700), 0);
	NUM(proc_each_number(dir, ".", sum_number, &sum), 0);
	NUM(sum, 321);
	NUM(mkdirat(dir, "1000", 0700), 0);
	NUM(proc_each_number(dir, ".", sum_number, &sum), -ECANCELED);
	NUM(proc_each_number(dir, "none", sum_number, &sum), -ENOENT);
	dir_remove(dir);
}

TEST("proc-read")
{
	int dir = dir_make(), fd = openat(dir, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char buf[8];

	NUM(write(fd, "0123456789", 10), 10);
	close(fd);
	memset(buf, 'x', sizeof(buf));
	NUM(proc_read(dir, "f", buf, sizeof(buf)), 0);
	STR(buf, "0123456");
	NUM(proc_read(dir, "f", buf, 1), 0);
	STR(buf, "");
	NUM(proc_read(dir, "none", buf, sizeof(buf)), -ENOENT);
	dir_remove(dir);
}

TEST("proc-open-dir")
{
	int fd = -1;

	NUM(proc_open_dir(getpid(), &fd), 0);
	OK(fd >= 0);
	close(fd);
	NUM(proc_open_dir(INT32_MAX, &fd), -ESRCH);
}

/* ---- what compilers say of their code ---- */

/* "name+offset", or NULL. */
static const char *perfmap_text(const struct perfmap *m, uint64_t addr)
{
	const struct perfmap_entry *e = perfmap_find(m, addr);
	static char buf[128];

	if (!e)
		return NULL;
	snprintf(buf, sizeof(buf), "%.*s+%" PRIu64, (int)e->name_len, m->text + e->name, addr - e->start);
	return buf;
}

TEST("perfmap-lines")
{
	static const char text[] = "1000 10 a\n0x2000 0x10 b c \r\n3000 0 none\n3000 10\nxyz 10 n\n3000  10  d\n"
				   "ffffffffffffffff 2 over\n\n 4000 10 e\n1008 4 later\n5000 10 part";
	struct perfmap m = {};

	NUM(perfmap_add(&m, text, sizeof(text) - 1), sizeof(text) - 1 - strlen("5000 10 part"));
	NUM(m.nr, 4);
	STR(perfmap_text(&m, 0x1000), "a+0");
	STR(perfmap_text(&m, 0x100b), "later+3");
	STR(perfmap_text(&m, 0x100f), "a+15");
	STR(perfmap_text(&m, 0x1010), NULL);
	STR(perfmap_text(&m, 0x2001), "b c +1");
	STR(perfmap_text(&m, 0x3000), "d+0");
	STR(perfmap_text(&m, 0x5000), NULL);
	NUM(perfmap_add(&m, "5000 10 whole\n", 14), 14);
	STR(perfmap_text(&m, 0x5000), "whole+0");
	STR(perfmap_text(&m, 0x1000), "a+0");
	NUM(perfmap_add(&m, "no line", 7), 0);
	NUM(perfmap_add(&m, "", 0), 0);
	perfmap_clear(&m);
	OK(!perfmap_find(&m, 0x1000));
}

/* ---- instructions to text ---- */

static const char *symbol(struct uffdctl_symbols *s, pid_t pid, const void *ip)
{
	const char *text = NULL;
	int r = uffdctl_symbols_get(s, pid, (uintptr_t)ip, 10000, &text);

	return r == -ESRCH ? "ESRCH" : r == -ENOENT ? "ENOENT" : r < 0 ? "error" : text;
}

static struct uffdctl_symbols *new_symbols(struct uffdctl *u, unsigned int flags)
{
	struct uffdctl_symbols *s;

	if (uffdctl_symbols_new(u, flags, &s) < 0)
		abort();
	return s;
}

/* The helper library, or a copy of it, and its function. */
static void *arena(const char *copy, void **function)
{
	char path[4096], command[8300];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *lib;

	path[n > 0 ? n : 0] = '\0';
	strcpy(strrchr(path, '/'), "/../helpers/libarena.so.1");
	if (copy) {
		snprintf(command, sizeof(command), "cp '%s' %s", path, copy);
		NUM(system(command), 0);
	}
	lib = dlopen(copy ?: path, RTLD_NOW);
	*function = lib ? dlsym(lib, "touch_hidden_pool") : NULL;
	OK(*function);
	return lib;
}

TEST("symbols-program")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0), *lines = new_symbols(u, UFFDCTL_SYMBOLS_LINES);
	const char *text = "none";

	NUM(uffdctl_symbols_get(s, getpid(), (uintptr_t)check_num, 0, &text), -EAGAIN);
	STR(text, "none");
	STR(symbol(s, getpid(), check_num), "check_num+0x0 (unit)");
	STR(symbol(s, getpid(), (char *)check_num + 3), "check_num+0x3 (unit)");
	NUM(uffdctl_symbols_get(s, getpid(), (uintptr_t)check_num, 0, &text), 0);
	STR(text, "check_num+0x0 (unit)");
	PART(symbol(lines, getpid(), check_num), "check_num+0x0 (unit) unit.h:");
	STR(symbol(s, getpid(), NULL), "ENOENT");
	STR(symbol(s, getpid(), logged), "ENOENT");
	STR(symbol(s, INT32_MAX, check_num), "ESRCH");
	STR(symbol(s, 0, check_num), "ESRCH");
	NUM(nr_logged, 0);
	uffdctl_symbols_free(lines);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-library")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, UFFDCTL_SYMBOLS_LINES);
	void *function, *lib = arena(NULL, &function);

	PART(symbol(s, getpid(), function), "touch_hidden_pool+0x0 (libarena.so.1) libarena.c:");
	if (lib)
		dlclose(lib);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-deleted")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	int dir = dir_make();
	char path[96];
	void *function, *lib;

	snprintf(path, sizeof(path), "%s/libcopy.so", dir_path);
	lib = arena(path, &function);
	NUM(unlink(path), 0);
	/* map_files takes CAP_CHECKPOINT_RESTORE. */
	PART(symbol(s, getpid(), function), geteuid() ? "(libcopy.so)" : "touch_hidden_pool+0x0 (libcopy.so)");
	if (lib)
		dlclose(lib);
	dir_remove(dir);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-vdso")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	char *vdso = (char *)getauxval(AT_SYSINFO_EHDR);
	bool found = !vdso;

	for (int i = 0; !found && i < 512; i++) {
		const char *text = symbol(s, getpid(), vdso + i * 16);

		found = strstr(text, "_gettime") && strstr(text, " ([vdso])");
	}
	OK(found);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-compiled")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	char *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char path[64], want[96];
	FILE *f;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	STR(symbol(s, getpid(), code), "ENOENT");
	f = fopen(path, "w");
	if (!f)
		abort();
	fprintf(f, "%" PRIxPTR " 20 LazyCompile:~f x.js:1\n", (uintptr_t)code);
	fflush(f);
	snprintf(want, sizeof(want), "LazyCompile:~f x.js:1+0x1f (perf-%d.map)", getpid());
	STR(symbol(s, getpid(), code + 0x1f), want);
	STR(symbol(s, getpid(), code + 0x20), "ENOENT");
	fprintf(f, "%" PRIxPTR " 20 g\n", (uintptr_t)code + 0x20);
	fclose(f);
	snprintf(want, sizeof(want), "g+0x1 (perf-%d.map)", getpid());
	STR(symbol(s, getpid(), code + 0x21), want);
	/* What is no regular file is neither waited for nor followed. */
	NUM(unlink(path), 0);
	NUM(mkfifo(path, 0600), 0);
	STR(symbol(s, getpid(), code + 2), "ENOENT");
	NUM(unlink(path), 0);
	NUM(symlink("/etc/passwd", path), 0);
	STR(symbol(s, getpid(), code + 3), "ENOENT");
	NUM(unlink(path), 0);
	munmap(code, 4096);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

/* A process that gets another program when a byte comes from *go. */
static pid_t fork_waiting(int *go)
{
	int fds[2];
	pid_t pid;
	char c;

	NUM(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[1]);
		if (read(fds[0], &c, 1) == 1)
			execlp("sleep", "sleep", "100", NULL);
		_exit(0);
	}
	close(fds[0]);
	*go = fds[1];
	return pid;
}

TEST("symbols-ended")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	int go;
	pid_t pid = fork_waiting(&go);

	STR(symbol(s, pid, check_num), "check_num+0x0 (unit)");
	close(go);
	NUM(waitpid(pid, NULL, 0), pid);
	STR(symbol(s, pid, check_str), "ESRCH");
	usleep(10000);
	STR(symbol(s, pid, check_num), "check_num+0x0 (unit)");
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-exec")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	int go;
	pid_t pid = fork_waiting(&go);
	char comm[16] = "";
	int proc;

	NUM(proc_open_dir(pid, &proc), 0);
	STR(symbol(s, pid, check_num), "check_num+0x0 (unit)");
	NUM(write(go, "x", 1), 1);
	for (int i = 0; i < 500 && strcmp(comm, "sleep\n"); i++) {
		usleep(10000);
		proc_read(proc, "comm", comm, sizeof(comm));
	}
	OK(strcmp(symbol(s, pid, check_num), "check_num+0x0 (unit)") != 0);
	close(go);
	close(proc);
	kill(pid, SIGKILL);
	NUM(waitpid(pid, NULL, 0), pid);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

/* More processes and addresses than are kept: the oldest are looked up again. */
TEST("symbols-bounded")
{
	enum { NR = 80 };
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = new_symbols(u, 0);
	pid_t pids[NR];
	int go[NR];

	for (int i = 0; i < NR; i++)
		pids[i] = fork_waiting(&go[i]);
	for (int i = 0; i < 2 * NR; i++)
		STR(symbol(s, pids[i % NR], check_num), "check_num+0x0 (unit)");
	for (uintptr_t i = 0; i < 40000; i++)
		STR(symbol(s, getpid(), (const void *)i), "ENOENT");
	STR(symbol(s, pids[0], check_num), "check_num+0x0 (unit)");
	for (int i = 0; i < NR; i++)
		close(go[i]);
	for (int i = 0; i < NR; i++)
		NUM(waitpid(pids[i], NULL, 0), pids[i]);
	uffdctl_symbols_free(s);
	uffdctl_free(u);
}

TEST("symbols-flags")
{
	struct uffdctl *u = new_context();
	struct uffdctl_symbols *s = NULL;

	NUM(uffdctl_symbols_new(u, 1 << 5, &s), -EINVAL);
	OK(!s);
	PART(logged, "0x20");
	uffdctl_free(u);
}

/* ---- the context ---- */

TEST("log-levels")
{
	struct uffdctl *u = new_context();

	log_debug(u, "not wanted");
	NUM(nr_logged, 0);
	log_notice(u, "fd %d", 7);
	NUM(nr_logged, 1);
	NUM(last_level, UFFDCTL_LOG_NOTICE);
	STR(logged, "fd 7");
	uffdctl_set_log(u, UFFDCTL_LOG_ERROR, on_log, "data");
	log_warning(u, "not wanted");
	NUM(nr_logged, 1);
	NUM(fail(u, -EPROTO, "failed"), -EPROTO);
	STR(logged, "failed");
	NUM(last_level, UFFDCTL_LOG_ERROR);
	NUM(nr_logged, 2);
	uffdctl_free(u);
}

TEST("log-none")
{
	struct uffdctl *u = new_context();

	uffdctl_set_log(u, UFFDCTL_LOG_DEBUG, NULL, NULL);
	errno = ENOTTY;
	log_error(u, "nobody listens");
	NUM(errno, ENOTTY);
	NUM(nr_logged, 0);
	uffdctl_free(u);
}

/* ---- libbpf's messages ---- */

static int nr_callers;

static int callers_print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)fmt, (void)ap;
	nr_callers += level == LIBBPF_WARN;
	return 0;
}

static void make_libbpf_warn(void)
{
	OK(!bpf_object__open_file("/nowhere.bpf.o", NULL));
}

static void *warn_in_thread(void *arg)
{
	if (arg)
		bpf_print_begin(arg);
	make_libbpf_warn();
	if (arg)
		bpf_print_end();
	return NULL;
}

static void in_thread(struct uffdctl *u)
{
	pthread_t thread;

	OK(pthread_create(&thread, NULL, warn_in_thread, u) == 0 && pthread_join(thread, NULL) == 0);
}

/* The caller's own print function hears what is not ours, also in the middle of it, and has its place again. */
TEST("bpf-print-threads")
{
	struct uffdctl *u = new_context();
	libbpf_print_fn_t before = libbpf_set_print(callers_print);

	uffdctl_set_log(u, UFFDCTL_LOG_DEBUG, on_log, "data");
	nr_callers = 0;
	make_libbpf_warn();
	OK(nr_callers > 0);
	nr_callers = 0;
	bpf_print_begin(u);
	make_libbpf_warn();
	OK(nr_logged > 0);
	NUM(nr_callers, 0);
	nr_logged = 0;
	in_thread(NULL);
	NUM(nr_logged, 0);
	OK(nr_callers > 0);
	nr_callers = 0;
	in_thread(u);
	OK(nr_logged > 0);
	NUM(nr_callers, 0);
	nr_logged = 0;
	/* The other has ended, and it is still for us. */
	make_libbpf_warn();
	OK(nr_logged > 0);
	bpf_print_end();
	OK(libbpf_set_print(before) == callers_print);
	uffdctl_free(u);
}

/* What the caller sets meanwhile stays. */
TEST("bpf-print-set-meanwhile")
{
	struct uffdctl *u = new_context();
	libbpf_print_fn_t before = libbpf_set_print(NULL);

	bpf_print_begin(u);
	libbpf_set_print(callers_print);
	bpf_print_end();
	OK(libbpf_set_print(before) == callers_print);
	uffdctl_free(u);
}

TEST("free-null")
{
	uffdctl_free(NULL);
	uffdctl_ranges_free(NULL);
	uffdctl_maps_free(NULL);
	uffdctl_list_free(NULL);
	uffdctl_target_close(NULL);
	uffdctl_handle_close(NULL);
	uffdctl_symbols_free(NULL);
}

TEST("cleanup-steal")
{
	char *p = strdup("x"), *q;
	int fd = 7;

	q = steal_ptr(p);
	OK(q && !p);
	free(q);
	NUM(steal_fd(fd), 7);
	NUM(fd, -1);
}
