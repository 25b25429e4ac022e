// SPDX-License-Identifier: GPL-2.0-or-later
/* serve --map: ranges that have contents of their own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/contents.h"
#include "cmd/options.h"
#include "cmd/serve_map.h"
#include "cmd/usage.h"

struct serve_map {
	const char *range, *source;
	struct uffdctl_ranges *ranges;
	struct uffdctl_action_opts contents; /* only what describes them */
};

error_t serve_map_add(struct serve_map_options *o, char *arg, const struct argp_state *state)
{
	char *sign = strchr(arg, '=');
	struct serve_map *maps;

	if (!sign || sign == arg || !sign[1])
		return usage_error(state, "--map=%s: write RANGE=FILE[@OFFSET] or RANGE=URI", arg);
	maps = realloc(o->maps, (o->nr + 1) * sizeof(*maps));
	if (!maps)
		return ENOMEM;
	*sign = '\0';
	o->maps = maps;
	maps[o->nr] = (struct serve_map){ .range = arg, .source = sign + 1, .contents = { .from_fd = -1 } };
	if (uffdctl_ranges_new(invocation_of(state)->context, &maps[o->nr++].ranges) < 0)
		return ENOMEM;
	return uffdctl_ranges_add(maps[o->nr - 1].ranges, arg) < 0 ? EINVAL : 0;
}

error_t serve_map_ranges(const struct serve_map_options *o, const struct argp_state *state, struct uffdctl_ranges **ret)
{
	if (!*ret && uffdctl_ranges_new(invocation_of(state)->context, ret) < 0)
		return ENOMEM;
	for (size_t i = 0; i < o->nr; i++)
		if (uffdctl_ranges_add(*ret, o->maps[i].range) < 0)
			return ENOMEM;
	return 0;
}

int serve_map_uses_stdin(const struct serve_map_options *o)
{
	int n = 0;

	for (size_t i = 0; i < o->nr; i++)
		n += !strcmp(o->maps[i].source, "-");
	return n;
}

int serve_map_open(struct serve_map_options *o, struct messages *m)
{
	int r = 0;

	o->opened = o->nr ? calloc(o->nr, sizeof(*o->opened)) : NULL;
	if (o->nr && !o->opened) {
		error(m, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; r >= 0 && i < o->nr; i++) {
		struct serve_map *map = &o->maps[i];
		struct contents_options from = { .from = map->source };

		r = open_contents(&from, &map->contents, m);
		o->opened[i] = (struct uffdctl_serve_map){
			.ranges = map->ranges,
			.source = map->contents.contents == UFFDCTL_CONTENTS_URI ? UFFDCTL_SERVE_URI : UFFDCTL_SERVE_FD,
			.from_fd = map->contents.from_fd,
			.from_offset = map->contents.from_offset,
			.from_uri = map->contents.from_uri,
		};
	}
	return r;
}

void serve_map_free(struct serve_map_options *o)
{
	for (size_t i = 0; i < o->nr; i++) {
		close_contents(&o->maps[i].contents);
		uffdctl_ranges_free(o->maps[i].ranges);
	}
	free(o->maps);
	free(o->opened);
	*o = (struct serve_map_options){};
}
