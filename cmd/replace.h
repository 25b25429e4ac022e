/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Files that are written under another name first, and renamed into place. */
#ifndef CMD_REPLACE_H
#define CMD_REPLACE_H

#include "cmd/messages.h"

/* May a new file take the place of what is there, if anything is? -EISDIR, -EINVAL; reported. */
int check_replaceable(const char *path, struct messages *messages);

#endif
