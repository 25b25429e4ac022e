/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --source, of the commands that have two. */
#ifndef CMD_SOURCE_H
#define CMD_SOURCE_H

#include "cmd/cmd.h"

extern enum uffdctl_source source;
extern const struct argp source_argp;

#endif
