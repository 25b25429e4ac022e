// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of ranges: how they are written, and what they come to in a target's mappings. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/inspect/segments.h"
#include "lib/util.h"
#include "tests/lib/logged.h"
#include "tests/unit.h"

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

TEST("range-page")
{
	static const struct {
		const char *text;
		uint64_t addr;
	} table[] = {
		{ "10000", 0x10000 },
		{ "0x1", 0 },
		{ "7f16417be000", 0x7f16417be000 },
		{ "0x7F16417BE123", 0x7f16417be123 },
	};
	struct uffdctl *u = new_context();

	for EACH(table) {
		struct uffdctl_ranges *rs;
		struct range_spec spec;

		check_num(__LINE__, table[i].text, add_range(u, table[i].text, &rs, &spec), 0);
		check_num(__LINE__, table[i].text, spec.kind, RANGE_PAGE);
		check_num(__LINE__, table[i].text, spec.range.start, round_down(table[i].addr, base_page_size()));
		check_num(__LINE__, table[i].text, spec.range.end - spec.range.start, base_page_size());
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
		{ "2@/memfd:guest*", RANGE_GLOB, NULL, "/memfd:guest*" },
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
	BAD_RANGES({ "", "START-END, START+LEN or ADDRESS in hexadecimal, @GLOB, :SYMBOL or all" },
		   { "1000", "START-END, START+LEN or ADDRESS in hexadecimal, @GLOB, :SYMBOL or all" },
		   { "0x", "START-END, START+LEN" },
		   { "10000z", "START-END, START+LEN" },
		   { "ALL", "or all; did you mean all?" },
		   { "all ", "or all; did you mean '@*all *'?" },
		   { "guest-ram", "did you mean '@*guest-ram*'?" },
		   { "guest*", "did you mean '@guest*'?" },
		   { "/dev/shm/ram", "did you mean '@/dev/shm/ram*'?" },
		   { "10000000000000000", "beyond the end of the address space" },
		   { "fffffffffffff000", "beyond the end of the address space" },
		   { "arena", "did you mean '@*arena*'?" });
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
	snprintf(nearest, sizeof(nearest), "(%" PRIu64 "K); it touches the pages 10000-20000", page / 1024);
	check_bad_ranges(&bad, 1);
	snprintf(text, sizeof(text), "10000-20001");
	snprintf(nearest, sizeof(nearest), "touches the pages 10000-%" PRIx64, 0x20000 + page);
	check_bad_ranges(&bad, 1);
	snprintf(text, sizeof(text), "10001-10002");
	snprintf(nearest, sizeof(nearest), "touches the pages 10000-%" PRIx64, 0x10000 + page);
	check_bad_ranges(&bad, 1);
	snprintf(text, sizeof(text), "10000+1");
	check_bad_ranges(&bad, 1);
}

TEST("range-no-name")
{
	BAD_RANGES({ "@", "no pattern after the @" }, { "2@", "no pattern after the @" },
		   { "0@guest", "counted from 1" }, { ":", "no symbol after the colon" },
		   { "libfoo.so.1:", "no symbol after the colon" }, { "all:", "no symbol after the colon" });
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
			 "pages of 2M; it touches the pages 200000-400000");
	check_unresolved(__LINE__, "200000-410000", &any, -EINVAL, "touches the pages 200000-600000");
}

TEST("resolve-glob")
{
	check_resolved(__LINE__, "@/memfd:guest", &any, "10000-20000:7");
	check_resolved(__LINE__, "@/memfd:guest (deleted)", &any, "10000-20000:7");
	check_resolved(__LINE__, "@/memfd:*", &any, "10000-20000:7 200000-800000:8");
	check_resolved(__LINE__, "@*guest*", &any, "10000-20000:7 20000-40000:0");
	check_resolved(__LINE__, "@*", &any, "10000-20000:7 20000-40000:0 200000-800000:8 1000000-1010000:0");
	check_resolved(__LINE__, "@\\[h]", &any, "1000000-1010000:0");
	check_unresolved(__LINE__, "@guest", &any, -ENOENT,
			 "the whole name: '@*guest*' matches /memfd:guest (deleted) (see uffdctl smaps --all 4211)");
	check_unresolved(__LINE__, "2@nothing", &any, -ENOENT, "no mapping has such a name; the pattern must match the "
			 "whole name: use * for the rest, \\[ for a bracket");
	check_unresolved(__LINE__, "1@\\[anon:7f00]", &any, -ENOENT, "a mapping without a name: write ADDRESS");
	check_unresolved(__LINE__, "@/memfd:gues", &any, -ENOENT, "no mapping has such a name");
	check_unresolved(__LINE__, "@/memfd:guest (deleted", &any, -ENOENT, "no mapping has such a name");
}

/* The first two are one mapping that was split, if they belong to one file. */
TEST("resolve-glob-nth")
{
	check_resolved(__LINE__, "1@*guest*", &any, "10000-20000:7 20000-40000:0");
	check_resolved(__LINE__, "1@*", &owned, "10000-20000:7");
	check_resolved(__LINE__, "2@*", &any, "200000-800000:8");
	check_resolved(__LINE__, "3@*", &owned, "1000000-1010000:0");
	vmas[1].inode = 5;
	check_resolved(__LINE__, "2@*guest*", &any, "20000-40000:0");
	vmas[1].inode = 0;
	check_unresolved(__LINE__, "2@*guest*", &any, -ENOENT, "only 1 mapping has such a name");
}

TEST("resolve-page")
{
	char buf[512], want[64];

	NUM(resolve("10010", &any, buf, sizeof(buf)), 0);
	snprintf(want, sizeof(want), "10000-%" PRIx64 ":7", 0x10000 + base_page_size());
	STR(buf, want);
	check_resolved(__LINE__, "0x412345", &any, "400000-600000:8");
	check_unresolved(__LINE__, "40000", &any, -EFAULT, "nothing is mapped at 40000");
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
	static const struct range_filter none = { .all = is_owned, .arg = &nobody, .verb = "is nobody's",
						   .modes = UFFDCTL_MODE_MINOR | UFFDCTL_MODE_WP };

	check_resolved(__LINE__, "all", &any, "10000-20000:7 20000-40000:0 50000-60000:0 200000-800000:8 "
		       "1000000-1010000:0");
	check_resolved(__LINE__, "all", &owned, "200000-800000:8");
	check_unresolved(__LINE__, "all", &none, -ENOENT, "no mapping is nobody's for wp,minor (see uffdctl smaps --all 4211)");
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

TEST("maps-label")
{
	const struct uffdctl_vma unknown = { .name = NULL };
	char buf[UFFDCTL_LABEL_BYTES];

	OK(uffdctl_vma_label(&vmas[3], buf) == vmas[3].name);
	STR(uffdctl_vma_label(&vmas[2], buf), "[anon:50000]");
	OK(!uffdctl_vma_label(&unknown, buf));
	NUM(vma_offset(&vmas[2], 0x51000), 0x1000);
}
