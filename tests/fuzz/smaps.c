// SPDX-License-Identifier: GPL-2.0-or-later
/* A whole smaps file, in which a target chooses the names. The first byte of the input holds the flags. */
#include "lib/inspect/maps.h"
#include "lib/inspect/maps_smaps.c"

#include "fuzz.h"

static void check(const struct uffdctl_maps *m, unsigned int flags)
{
	ENSURE(!m->nr || !m->sizes == !(flags & UFFDCTL_MAPS_SIZES));
	for (size_t i = 0; i < m->nr; i++) {
		const struct uffdctl_vma *v = uffdctl_maps_get(m, i);
		char *text = vma_describe(v);

		/* perms are the kernel's words. */
		ENSURE(text && (has_control(v->perms) || !has_control(text)));
		free(text);
		ENSURE(v->range.start < v->range.end && v->name && strlen(v->perms) == 4);
		ENSURE(!v->modes || v->vm_flags);
		ENSURE(v->modes || flags & UFFDCTL_MAPS_ALL);
		for (int k = 0; m->sizes && k < SMAPS_NR_SIZES; k++)
			ENSURE(m->sizes[i * SMAPS_NR_SIZES + k] % 1024 == 0 ||
			       m->sizes[i * SMAPS_NR_SIZES + k] == UFFDCTL_UNKNOWN);
		maps_find(m, v->range.start);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct uffdctl_maps m = {};
	struct builder b = { .m = &m };
	char *text;
	FILE *f;

	if (size < 2)
		return 0;
	b.flags = data[0] & (UFFDCTL_MAPS_ALL | UFFDCTL_MAPS_SIZES);
	text = text_of(data + 1, size - 1);
	f = fmemopen(text, size - 1, "r");
	ENSURE(f);
	if (read_smaps(&b, f) == 0)
		check(&m, b.flags);
	fclose(f);
	builder_clear(&b);
	free(text);
	return 0;
}
