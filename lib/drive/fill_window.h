/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling: the window, a mapping of ours of the file, registered on the guard, and what is done through it. */
#ifndef UFFDCTL_FILL_WINDOW_H
#define UFFDCTL_FILL_WINDOW_H

#include "lib/drive/filling.h"

/* Map as much of the range as the file has, as s->mapped. -errno */
int window_open(struct step *s);
void window_close(struct step *s);
/* Bring every page that is wanted into the page cache and into the window. */
void window_enter(struct step *s);
/* Find those that were there already and that somebody else has mapped, be it the target, elsewhere. -errno */
int window_find_elsewhere(struct step *s);
/* Write the contents into those that were there already. */
void window_write(struct step *s);

#endif
