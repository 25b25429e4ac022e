// SPDX-License-Identifier: LGPL-2.1-or-later
/* The mappings of a target, gathered from one source or from both. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/maps_build.h"

void maps_clear(struct uffdctl_maps *m)
{
	free(m->vmas);
	free(m->owners);
	free(m->sizes);
	strpool_free(&m->strings);
	*m = (struct uffdctl_maps){ .source = m->source };
}

void builder_clear(struct builder *b)
{
	maps_clear(b->m);
	free(b->files);
	b->files = NULL;
	b->vmas_alloc = b->owners_alloc = b->sizes_alloc = b->files_alloc = 0;
	memset(b->recent, 0, sizeof(b->recent));
}

void builder_compare_devices(struct uffdctl_vma *v, uint32_t dev_major, uint32_t dev_minor)
{
	if ((v->dev_major || v->dev_minor) && (dev_major || dev_minor))
		v->stacked |= v->dev_major != dev_major || v->dev_minor != dev_minor;
}

int builder_fill(struct builder *b, struct uffdctl_vma *v, const struct maps_line *l)
{
	memcpy(v->perms, l->perms, sizeof(v->perms));
	v->offset = l->offset;
	v->inode = l->inode;
	builder_compare_devices(v, l->dev_major, l->dev_minor);
	v->dev_major = l->dev_major;
	v->dev_minor = l->dev_minor;
	v->name = strpool_get(&b->m->strings, l->name);
	return v->name ? 0 : -ENOMEM;
}
