/* SPDX-License-Identifier: GPL-2.0-or-later */
/* watch as a view on the terminal. */
#ifndef CMD_VIEW_VIEW_H
#define CMD_VIEW_VIEW_H

#include "cmd/watch/output.h"

extern const struct watch_output output_view;

#endif
