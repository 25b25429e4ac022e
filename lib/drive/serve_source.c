// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: where contents come from. */
#include "lib/drive/serving.h"

/* ---- a file, a device, what a pipe had, or a server ---- */

static int open_contents(struct uffdctl_serve *s, uint64_t need)
{
	int r = contents_open(s->h->t->u, &s->fill, need, &s->contents);

	s->contents.stop = &s->stopping;
	s->background = s->contents;
	s->background.background = true;
	return r;
}

/* ---- zeros ---- */

static int read_zeros(const struct contents *from, uint64_t at, void *buf, uint64_t len, uint64_t *done)
{
	static const struct contents zeros = { .fd = -1, .zero = true };

	(void)from;
	return contents_read(&zeros, at, buf, len, done);
}

/* ---- all ---- */

static const struct serve_source sources[] = {
	[UFFDCTL_SERVE_KEEP] = { .name = "keep" },
	[UFFDCTL_SERVE_FD] = { .name = "file",
			       .fills = true,
			       .slow = true,
			       .open = open_contents,
			       .read = contents_read },
	[UFFDCTL_SERVE_URI] = { .name = "server",
				.fills = true,
				.slow = true,
				.open = open_contents,
				.read = contents_read },
	[UFFDCTL_SERVE_ZERO] = { .name = "zero", .fills = true, .read = read_zeros },
};

const struct serve_source *serve_source(enum uffdctl_serve_source source)
{
	return source < ARRAY_SIZE(sources) && sources[source].name ? &sources[source] : NULL;
}
