// SPDX-License-Identifier: GPL-2.0-or-later
/* The panes there are. */
#include "cmd/watch/view/pane_failures.h"
#include "cmd/watch/view/pane_heat.h"
#include "cmd/watch/view/pane_histogram.h"
#include "cmd/watch/view/pane_log.h"
#include "cmd/watch/view/pane_table.h"
#include "cmd/watch/view/pane_wait.h"
#include "cmd/watch/view/panes.h"

const struct pane *const panes[NR_PANES] = {
	[PANE_WAIT] = &pane_wait,   [PANE_HISTOGRAM] = &pane_histogram, [PANE_HEAT] = &pane_heat,
	[PANE_TABLE] = &pane_table, [PANE_FAILURES] = &pane_failures,	[PANE_LOG] = &pane_log,
};

/* Let each pane find its rows again. @width: of the screen; 0: there is none yet */
void panes_gather(struct picture *p, int width)
{
	for (int i = 0; i < NR_PANES; i++)
		if (panes[i]->gather)
			panes[i]->gather(p, width);
}
