/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: a file with the states of pages, for the handler that comes after this one. */
#ifndef UFFDCTL_SERVE_STATE_H
#define UFFDCTL_SERVE_STATE_H

#include "lib/drive/serving.h"

/*
 * Keep the states of all stores in the file of the options, if there is one, and take over what it has. Failures are
 * logged. -EUCLEAN: the file is of another process or of other ranges, or none of ours.
 */
int state_open(struct uffdctl_serve *s);

/*
 * An event may be read now, and what it says is not in the states yet: if we are killed before this is over, the next one
 * knows that they are not to be trusted.
 */
void state_reads(struct uffdctl_serve *s, bool reads);

/* Nobody needs it any more. */
void state_remove(struct uffdctl_serve *s);
void state_close(struct uffdctl_serve *s);

#endif
