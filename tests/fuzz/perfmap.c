// SPDX-License-Identifier: GPL-2.0-or-later
/* A perf-PID.map, which comes in two parts; the first byte of the input says where it is cut. */
#include "fuzz.h"
#include "lib/symbols/perfmap.h"

static void check(const struct perfmap *m)
{
	for (size_t i = 0; i < m->nr; i++) {
		const struct perfmap_entry *e = &m->entries[i], *last = perfmap_find(m, e->start);

		ENSURE(e->start < e->end && e->name_len && e->name + (size_t)e->name_len < m->len);
		ENSURE(!memchr(m->text + e->name, '\n', e->name_len));
		ENSURE(last && last >= e && last->start <= e->start && e->start < last->end);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct perfmap parts = {}, whole = {};
	char *text;
	size_t cut;
	ssize_t used;

	if (size < 2)
		return 0;
	/* A string of its own, so that reading past its end is seen. */
	text = malloc(--size);
	ENSURE(text);
	memcpy(text, data + 1, size);
	cut = data[0] * size / 255;
	used = perfmap_add(&parts, text, cut);
	ENSURE(used >= 0 && (size_t)used <= cut);
	ENSURE(perfmap_add(&parts, text + used, size - (size_t)used) >= 0);
	ENSURE(perfmap_add(&whole, text, size) >= 0);
	check(&parts);
	check(&whole);
	ENSURE(parts.nr == whole.nr && parts.len == whole.len);
	free(text);
	perfmap_clear(&parts);
	perfmap_clear(&whole);
	return 0;
}
