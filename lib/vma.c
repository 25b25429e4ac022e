// SPDX-License-Identifier: LGPL-2.1-or-later
/* One mapping: its file, and what it is called. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/context.h"
#include "lib/util.h"
#include "lib/vma.h"

size_t vma_name_len(const char *name)
{
	static const char deleted[] = " (deleted)";
	size_t len = strlen(name), suffix = sizeof(deleted) - 1;

	return len > suffix && !strcmp(name + len - suffix, deleted) ? len - suffix : len;
}

UFFDCTL_EXPORT const char *uffdctl_vma_label(const struct uffdctl_vma *v, char buf[UFFDCTL_LABEL_BYTES])
{
	if (!v->name || *v->name)
		return v->name;
	/* In the manner of the names that prctl(2) gives, "[anon:NAME]"; two without a name are told apart. */
	snprintf(buf, UFFDCTL_LABEL_BYTES, "[anon:%" PRIx64 "]", v->range.start);
	return buf;
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
