// SPDX-License-Identifier: LGPL-2.1-or-later
/* The mappings of a target from /proc/PID/smaps. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/inspect/maps_build.h"
#include "lib/log.h"

static int begin_mapping(struct builder *b, const struct maps_line *l)
{
	struct uffdctl_maps *m = b->m;
	struct uffdctl_vma *v = vec_add(m->vmas, m->nr, b->vmas_alloc);

	if (!v)
		return -ENOMEM;
	*v = (struct uffdctl_vma){ .range = l->range, .page_size = base_page_size() };
	if (b->flags & UFFDCTL_MAPS_SIZES) {
		if (!vec_grow(&m->sizes, m->nr - 1, &b->sizes_alloc, SMAPS_NR_SIZES * sizeof(*m->sizes)))
			return -ENOMEM;
		for (int i = 0; i < SMAPS_NR_SIZES; i++)
			m->sizes[(m->nr - 1) * SMAPS_NR_SIZES + i] = UFFDCTL_UNKNOWN;
	}
	return builder_fill(b, v, l);
}

/* A mapping's lines are complete: keep it, or not. */
static void end_mapping(struct builder *b)
{
	struct uffdctl_maps *m = b->m;
	struct uffdctl_vma *v = m->nr ? &m->vmas[m->nr - 1] : NULL;

	if (v && ((!v->modes && !(b->flags & UFFDCTL_MAPS_ALL)) || !strcmp(v->name, "[vsyscall]")))
		m->nr--;
}

static int mapping_line(struct builder *b, char *line)
{
	struct uffdctl_maps *m = b->m;
	struct uffdctl_vma *v = &m->vmas[m->nr - 1];
	uint64_t bytes;
	char *text;
	int key;

	key = smaps_size_parse(line, &bytes);
	if (key == SMAPS_KERNEL_PAGE_SIZE)
		v->page_size = bytes;
	else if (key >= 0 && m->sizes)
		m->sizes[(m->nr - 1) * SMAPS_NR_SIZES + key] = bytes;
	text = key < 0 ? smaps_flags_parse(line) : NULL;
	if (!text)
		return 0;
	v->modes = vmflags_modes_of_text(text);
	v->vm_flags = strpool_get(&m->strings, text);
	return v->vm_flags ? 0 : -ENOMEM;
}

static int read_smaps(struct builder *b, FILE *f)
{
	_cleanup_free_ char *line = NULL;
	struct maps_line l;
	bool open = false;
	size_t size = 0;
	int r;

	while (errno = 0, getline(&line, &size, f) > 0) {
		/* Keys begin with a capital, addresses with a lower-case hexadecimal digit. */
		if (line[0] >= 'A' && line[0] <= 'Z') {
			r = open ? mapping_line(b, line) : -EPROTO;
		} else {
			if (open)
				end_mapping(b);
			open = true;
			r = maps_line_parse(line, &l);
			if (r >= 0)
				r = begin_mapping(b, &l);
		}
		if (r < 0)
			return r;
	}
	if (open)
		end_mapping(b);
	return errno ? -errno : 0;
}

int maps_from_smaps(struct builder *b)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	builder_clear(b);
	r = target_open_file(b->t, "smaps", O_RDONLY, &fd);
	if (r < 0)
		return r == -ESRCH ? r : fail(b->t->u, r, "%d: /proc/%d/smaps: %s", b->t->pid, b->t->pid, strerror(-r));
	f = fdopen(fd, "r");
	if (!f)
		return -ENOMEM;
	fd = -1;
	r = read_smaps(b, f);
	return r < 0 ? mappings_error(b, r) : target_check(b->t);
}
