/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --source, for the commands that have two sources. */
#ifndef CMD_SOURCE_H
#define CMD_SOURCE_H

#include <argp.h>

/* Records in an enum uffdctl_source. */
extern const struct argp source_argp;

#endif
