/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling: the window, a mapping of ours of the file, registered on the guard, and what is done through it. */
#ifndef UFFDCTL_FILL_WINDOW_H
#define UFFDCTL_FILL_WINDOW_H

#include "lib/drive/filling.h"

/* -errno; what is mapped is s->mapped, nothing where the file has ended */
int window_open(struct step *s);
void window_close(struct step *s);
/* Every page that is wanted into the page cache and into the window. */
void window_enter(struct step *s);
/* Which of those that were there already are mapped by somebody else, be it the target, elsewhere. -errno */
int window_find_elsewhere(struct step *s);
/* The contents into those that were there already. */
void window_write(struct step *s);

#endif
