/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --source, for the commands that have two sources. */
#ifndef CMD_SOURCE_H
#define CMD_SOURCE_H

#include "cmd/command.h"

/* Records in an enum uffdctl_source. */
extern const struct argp source_argp;
extern const char *const source_words[]; /* ended by NULL */

/*
 * After the listing: say why values of it are not known, or processes not seen, if that is for lack of BPF or
 * privileges. @nr_hidden: processes of which nothing could be seen, though they were asked for
 */
void source_note(struct invocation *inv, const struct uffdctl_list *list, size_t nr_hidden);

#endif
