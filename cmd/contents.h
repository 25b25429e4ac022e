/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --from and related options: the contents that pages are filled with. */
#ifndef CMD_CONTENTS_H
#define CMD_CONTENTS_H

#include <argp.h>

#include "cmd/messages.h"
#include "lib/uffdctl.h"

struct contents_options {
	const char *from;
	bool from_zero, by_offset;
	enum uffdctl_elsewhere elsewhere;
};

/* Both record in a struct contents_options; fill_argp has --elsewhere too. */
extern const struct argp fill_argp, contents_argp;
extern const char *const elsewhere_words[]; /* ended by NULL */

static inline bool contents_given(const struct contents_options *o)
{
	return o->from || o->from_zero;
}

/*
 * Opens them, and sets the members of @opts that describe them. May block, as on a file system that does not answer.
 * 0 or a negative errno, reported.
 */
int open_contents(const struct contents_options *o, struct uffdctl_action_opts *opts, struct messages *m);
void close_contents(struct uffdctl_action_opts *opts);

#endif
