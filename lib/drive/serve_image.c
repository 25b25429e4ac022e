// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: where contents come from. */
#include <errno.h>
#include <string.h>

#include "lib/drive/serve_image.h"
#include "lib/log.h"

static bool is_image(enum uffdctl_serve_source source, const char *uri)
{
	return (source == UFFDCTL_SERVE_FD || source == UFFDCTL_SERVE_ZERO || source == UFFDCTL_SERVE_URI) &&
	       (source == UFFDCTL_SERVE_URI) == !!uri;
}

static int check(const struct uffdctl_serve *s)
{
	const struct uffdctl_serve_opts *o = &s->opts;
	bool alone = o->source == UFFDCTL_SERVE_KEEP && !o->from_uri && !o->nr_maps, good = alone;

	good |= is_image(o->source, o->from_uri) || (!o->source && o->nr_maps);
	for (size_t i = 0; i < o->nr_maps; i++)
		good &= o->maps[i].ranges && is_image(o->maps[i].source, o->maps[i].from_uri);
	return good && !(o->nr_maps && o->nr_regions)
		       ? 0
		       : fail(s->h->t->u, -EINVAL, "%d: uffdctl_serve_open: unknown source, or one that excludes maps",
			      s->h->t->pid);
}

/* Those of the maps come first: by their place it is known whose they are. */
static void add_ranges(struct uffdctl_serve *s, const struct uffdctl_ranges *ranges)
{
	for (size_t i = 0; i < ranges->nr; i++)
		s->ranges.specs[s->ranges.nr++] = ranges->specs[i];
}

static int collect_ranges(struct uffdctl_serve *s, const struct uffdctl_ranges *rest)
{
	size_t nr = rest ? rest->nr : 0;

	for (size_t i = 1; i < s->nr_images; i++)
		nr += s->images[i].map->ranges->nr;
	s->ranges.u = s->h->t->u;
	s->ranges.specs = calloc(nr + 1, sizeof(*s->ranges.specs));
	if (!s->ranges.specs)
		return log_oom(s->h->t->u);
	for (size_t i = 1; i < s->nr_images; i++)
		add_ranges(s, s->images[i].map->ranges);
	if (rest)
		add_ranges(s, rest);
	return 0;
}

static void image_new(struct uffdctl_serve *s, const struct uffdctl_serve_map *map, enum uffdctl_serve_source source)
{
	s->images[s->nr_images++] = (struct serve_image){ .map = map, .source = source, .contents = { .fd = -1 } };
	s->fills |= source && source != UFFDCTL_SERVE_KEEP;
	s->slow |= source == UFFDCTL_SERVE_FD || source == UFFDCTL_SERVE_URI;
	s->asks_server |= source == UFFDCTL_SERVE_URI;
}

int images_new(struct uffdctl_serve *s, const struct uffdctl_ranges *ranges)
{
	const struct uffdctl_serve_opts *o = &s->opts;
	int r = check(s);

	if (r < 0)
		return r;
	s->images = calloc(1 + o->nr_maps, sizeof(*s->images));
	if (!s->images)
		return log_oom(s->h->t->u);
	image_new(s, NULL, o->source);
	for (size_t i = 0; i < o->nr_maps; i++)
		image_new(s, &o->maps[i], o->maps[i].source);
	return collect_ranges(s, o->source ? ranges : NULL);
}

void images_free(struct uffdctl_serve *s)
{
	for (size_t i = 0; i < s->nr_images; i++)
		contents_close(&s->images[i].contents);
	free(s->images);
	free(s->ranges.specs);
}

int image_open(struct uffdctl_serve *s, struct serve_image *image)
{
	static const enum uffdctl_contents contents[] = {
		[UFFDCTL_SERVE_FD] = UFFDCTL_CONTENTS_FD,
		[UFFDCTL_SERVE_ZERO] = UFFDCTL_CONTENTS_ZERO,
		[UFFDCTL_SERVE_URI] = UFFDCTL_CONTENTS_URI,
	};
	const struct uffdctl_serve_map *map = image->map;
	struct uffdctl_action_opts opts = s->fill;
	int r;

	opts.contents = contents[image->source];
	opts.from_fd = map ? map->from_fd : s->opts.from_fd;
	opts.from_uri = map ? map->from_uri : s->opts.from_uri;
	opts.from_offset = map ? map->from_offset : s->opts.from_offset;
	if (!map)
		image->contents.context = s->opts.stale_context;
	r = contents_open(s->h->t->u, s->h->t, &opts, image->need, &image->contents);
	image->contents.stop = &s->stopping;
	image->background = image->contents;
	image->background.background = true;
	return r;
}

struct reading {
	struct uffdctl_serve *s;
	struct contents *c;
};

static int read_image(void *data, uint64_t at, void *buf, uint64_t len)
{
	struct reading *rd = data;
	uint64_t done;

	if (rd->s->opts.stop && rd->s->opts.stop(rd->s->opts.data))
		return -EINTR;
	return contents_read(rd->c, at, buf, len, &done);
}

int image_identify(struct uffdctl_serve *s, struct serve_image *image, uint64_t *ret)
{
	struct contents *c = &image->contents;
	struct reading rd = { s, c };
	int r;

	/* No worker runs yet: only the caller can stop this. */
	c->asks = s->opts.stop;
	c->data = s->opts.data;
	r = uffdctl_workset_identify(s->h->t->u, read_image, &rd, c->size, ret);
	c->asks = NULL;
	return r;
}

void images_stop(struct uffdctl_serve *s, const int *stop)
{
	for (size_t i = 0; i < s->nr_images; i++)
		s->images[i].contents.stop = stop;
}
