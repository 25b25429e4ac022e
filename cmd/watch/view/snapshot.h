/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A picture as plain text, in a new file. */
#ifndef CMD_VIEW_SNAPSHOT_H
#define CMD_VIEW_SNAPSHOT_H

#include "cmd/watch/view/messages.h"
#include "cmd/watch/view/picture.h"

/* With all rows of all groupings; says where, or why not. */
void snapshot(const struct picture *p, struct view_messages *messages);

#endif
