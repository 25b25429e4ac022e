/* SPDX-License-Identifier: GPL-2.0-or-later */
/* serve --map: ranges that have contents of their own. */
#ifndef CMD_SERVE_MAP_H
#define CMD_SERVE_MAP_H

#include <argp.h>

#include "cmd/messages.h"
#include "lib/uffdctl.h"

struct serve_map_options {
	struct serve_map *maps; /* one a --map */
	size_t nr;
	struct uffdctl_serve_map *opened; /* likewise, for the library; NULL: not opened */
};

/* RANGE=SOURCE */
error_t serve_map_add(struct serve_map_options *o, char *arg, const struct argp_state *state);
/* The ranges of all of them, added to *ret, which is made if it is NULL. */
error_t serve_map_ranges(const struct serve_map_options *o, const struct argp_state *state,
			 struct uffdctl_ranges **ret);

/* How many of them are standard input. */
int serve_map_uses_stdin(const struct serve_map_options *o);

/* Open the sources. May block. 0 or a negative errno, reported. */
int serve_map_open(struct serve_map_options *o, struct messages *m);
void serve_map_free(struct serve_map_options *o);

#endif
