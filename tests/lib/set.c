// SPDX-License-Identifier: GPL-2.0-or-later
/* Unit tests of working sets: what is combined is what bits say. */
#include <errno.h>

#include "tests/lib/logged.h"

#define PAGES 256

static struct uffdctl *u;

static struct uffdctl_workset *make(const bool pages[PAGES], uint64_t bytes, uint64_t id)
{
	struct uffdctl_workset *s;

	NUM(uffdctl_workset_new(u, bytes, id, &s), 0);
	/* From the back, so that nothing joins, and the order is not that of the image. */
	for (uint64_t i = PAGES; i--;) {
		struct uffdctl_workset_item item = { i << 12, 4096, i, UFFDCTL_ACCESS_READ };

		if (pages[i])
			NUM(uffdctl_workset_add(s, &item), 0);
	}
	return s;
}

static void check_pages(int line, const struct uffdctl_workset *s, const bool want[PAGES])
{
	bool got[PAGES] = {};

	for (size_t i = 0; i < uffdctl_workset_count(s); i++) {
		const struct uffdctl_workset_item *item = uffdctl_workset_get(s, i);

		for (uint64_t k = item->offset >> 12; k < (item->offset + item->len) >> 12; k++) {
			if (got[k])
				fail_at(line, "page %" PRIu64 " is in it twice", k);
			got[k] = true;
		}
	}
	if (memcmp(got, want, sizeof(got)))
		fail_at(line, "other pages");
}

TEST("set-combine")
{
	uint64_t x = 88172645463325252;

	u = new_context();
	for (int round = 0; round < 200; round++) {
		bool a[PAGES], b[PAGES], want[3][PAGES];
		struct uffdctl_workset *sa, *sb, *s;

		for (int i = 0; i < PAGES; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			a[i] = x >> 20 & 1 << round % 3, b[i] = x >> 30 & 1 << round % 4;
			want[UFFDCTL_WORKSET_UNION][i] = a[i] || b[i];
			want[UFFDCTL_WORKSET_INTERSECT][i] = a[i] && b[i];
			want[UFFDCTL_WORKSET_DIFF][i] = a[i] && !b[i];
		}
		sa = make(a, PAGES << 12, 1);
		sb = make(b, PAGES << 12, 1);
		for (enum uffdctl_workset_op op = UFFDCTL_WORKSET_UNION; op <= UFFDCTL_WORKSET_DIFF; op++) {
			NUM(uffdctl_workset_combine(sa, op, sb, &s), 0);
			check_pages(__LINE__, s, want[op]);
			uffdctl_workset_free(s);
		}
		uffdctl_workset_free(sa);
		uffdctl_workset_free(sb);
	}
	uffdctl_free(u);
}

TEST("set-order")
{
	struct uffdctl_workset_item items[] = { { 8 << 12, 4096, 5, UFFDCTL_ACCESS_WRITE },
						{ 9 << 12, 4096, 6, UFFDCTL_ACCESS_WRITE },
						{ 10 << 12, 4096, 7, UFFDCTL_ACCESS_READ },
						{ 11 << 12, 4096, 1000000000, UFFDCTL_ACCESS_READ },
						{ 0, 4096, 1000000001, UFFDCTL_ACCESS_READ } };
	static const uint64_t offsets[] = { 8 << 12, 10 << 12, 11 << 12, 0 };
	struct uffdctl_workset *s;

	u = new_context();
	NUM(uffdctl_workset_new(u, PAGES << 12, 1, &s), 0);
	for EACH(items)
		NUM(uffdctl_workset_add(s, &items[i]), 0);
	NUM(uffdctl_workset_count(s), 4);
	for EACH(offsets)
		NUM(uffdctl_workset_get(s, i)->offset, offsets[i]);
	NUM(uffdctl_workset_get(s, 0)->len, 8192);
	uffdctl_workset_free(s);
	uffdctl_free(u);
}

TEST("set-outside")
{
	static const struct uffdctl_workset_item bad[] = {
		{ PAGES << 12, 4096, 0, UFFDCTL_ACCESS_READ },
		{ 0, (PAGES << 12) + 1, 0, UFFDCTL_ACCESS_READ },
		{ 4096, UINT64_MAX, 0, UFFDCTL_ACCESS_READ },
		{ UINT64_MAX, 2, 0, UFFDCTL_ACCESS_READ },
		{ 0, 0, 0, UFFDCTL_ACCESS_READ },
	};
	struct uffdctl_workset *s, *other, *both;

	u = new_context();
	NUM(uffdctl_workset_new(u, PAGES << 12, 1, &s), 0);
	for EACH(bad)
		check_num(__LINE__, "item", uffdctl_workset_add(s, &bad[i]), -ERANGE);
	NUM(uffdctl_workset_new(u, PAGES << 12, 2, &other), 0);
	NUM(uffdctl_workset_combine(s, UFFDCTL_WORKSET_UNION, other, &both), -EXDEV);
	uffdctl_workset_free(s);
	uffdctl_workset_free(other);
	uffdctl_free(u);
}

/* ---- which image ---- */

static int read_image(void *data, uint64_t offset, void *buf, uint64_t len)
{
	memcpy(buf, (const char *)data + offset, len);
	return 0;
}

TEST("set-identify")
{
	char *image = calloc(1, 1 << 20);
	uint64_t id, other;

	u = new_context();
	NUM(uffdctl_workset_identify(u, read_image, image, 1 << 20, &id), 0);
	NUM(uffdctl_workset_identify(u, read_image, image, 1 << 20, &other), 0);
	NUM(id, other);
	NUM(uffdctl_workset_identify(u, read_image, image, (1 << 20) - 1, &other), 0);
	NUM(id != other, 1);
	image[777777] = 1;
	NUM(uffdctl_workset_identify(u, read_image, image, 1 << 20, &other), 0);
	NUM(id != other, 1);
	NUM(uffdctl_workset_identify(u, read_image, image, 0, &id), 0);
	free(image);
	uffdctl_free(u);
}
