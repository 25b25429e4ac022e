/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes a picture as plain text to a new file. */
#ifndef CMD_VIEW_SNAPSHOT_H
#define CMD_VIEW_SNAPSHOT_H

#include "cmd/watch/view/messages.h"
#include "cmd/watch/view/picture.h"

/* Write all rows of all groupings; shows the file name, or an error. */
void snapshot(const struct picture *p, struct view_messages *messages);

#endif
