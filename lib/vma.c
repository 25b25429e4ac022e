// SPDX-License-Identifier: LGPL-2.1-or-later
/* One mapping: its file, and the offset of an address in it. */
#include <inttypes.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/util.h"
#include "lib/vma.h"

size_t vma_name_len(const char *name)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(name), suffix = sizeof(deleted) - 1;

	return len > suffix && !strcmp(name + len - suffix, deleted) ? len - suffix : len;
}

char *vma_describe(const struct uffdctl_vma *v)
{
	_cleanup_free_ char *name = escaped(v->name ? v->name : "");
	char *text;

	if (!name || asprintf(&text, "%" PRIx64 "-%" PRIx64 " %s%s%s", v->range.start, v->range.end, v->perms,
			      *name ? " " : "", name) < 0)
		return NULL;
	return text;
}
