/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The pane of waiting times. */
#ifndef CMD_VIEW_PANE_HISTOGRAM_H
#define CMD_VIEW_PANE_HISTOGRAM_H

#include "cmd/watch/view/pane.h"

enum {
	NR_OCTAVES = 26, /* from 1 microsecond to 16 seconds, and one for longer waits */
};

extern const struct pane pane_histogram;

#endif
