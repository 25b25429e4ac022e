// SPDX-License-Identifier: GPL-2.0-or-later
/* What the forms of the heat map share. */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/report/picture.h"
#include "lib/cleanup.h"

void picture_put_name(const char *raw)
{
	_cleanup_free_ char *name = NULL;

	fputs(!raw || !*raw ? "-" : uffdctl_escape(raw, &name) < 0 ? "?" : name, stdout);
}

int picture_make(const struct report *r, unsigned int columns, unsigned int rows,
		 int (*put)(const struct report *r, struct digest *d, const struct heat *h))
{
	const struct report_options *o = r->options;
	struct heat h = {};
	struct digest d;
	int err = report_digest(r, r->recording, &d);

	if (err >= 0) {
		err = heat_init(&h, &d, o->cells[0] ?: columns, o->cells[1] ?: rows);
		if (err < 0)
			error(r->messages, "out of memory");
	}
	if (err >= 0) {
		bool failed = r->recording->failed;

		/* What can't be read was reported the first time. */
		uffdctl_set_log(r->recording->u, 0, NULL, NULL);
		recording_read(r->recording, heat_add, &h);
		r->recording->failed |= failed;
	}
	if (err >= 0 && h.left_out)
		note(r->messages,
		     "%" PRIu64 " faults are not in the picture: it has the %u of %" PRIu64
		     " mappings with most faults: see --range",
		     h.left_out, h.nr_bands, h.nr_mappings);
	if (err >= 0)
		err = put(r, &d, &h);
	heat_free(&h);
	digest_free(&d);
	return err;
}
