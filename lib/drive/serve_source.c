// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: where contents come from. */
#include "lib/drive/serving.h"

/* ---- a file, a device, or what a pipe had ---- */

static int open_fd(struct uffdctl_serve *s, uint64_t need)
{
	return contents_open(s->h->t->u, &s->fill, need, &s->contents);
}

static int read_fd(struct uffdctl_serve *s, uint64_t at, void *buf, uint64_t len, uint64_t *done)
{
	return contents_read(&s->contents, at, buf, len, done);
}

/* ---- zeros ---- */

static int read_zeros(struct uffdctl_serve *s, uint64_t at, void *buf, uint64_t len, uint64_t *done)
{
	static const struct contents zeros = { .fd = -1, .zero = true };

	(void)s;
	return contents_read(&zeros, at, buf, len, done);
}

/* ---- all ---- */

static const struct serve_source sources[] = {
	[UFFDCTL_SERVE_KEEP] = { .name = "keep" },
	[UFFDCTL_SERVE_FD] = { .name = "file", .fills = true, .slow = true, .open = open_fd, .read = read_fd },
	[UFFDCTL_SERVE_ZERO] = { .name = "zero", .fills = true, .read = read_zeros },
};

const struct serve_source *serve_source(enum uffdctl_serve_source source)
{
	return source < ARRAY_SIZE(sources) && sources[source].name ? &sources[source] : NULL;
}
