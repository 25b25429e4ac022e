/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling: the window, our own mapping of the file, registered on the guard, and the operations on it. */
#ifndef UFFDCTL_FILL_WINDOW_H
#define UFFDCTL_FILL_WINDOW_H

#include "lib/drive/filling.h"

/* Map as much of the range as the file has, as s->mapped. -errno */
int window_open(struct step *s);
void window_close(struct step *s);
/* Bring every page that is wanted into the page cache and into the window. */
void window_enter(struct step *s);
/* Find the existing pages that are mapped elsewhere, in the target or in another process. -errno */
int window_find_elsewhere(struct step *s);
/* Write the contents into those that were there already. */
void window_write(struct step *s);

#endif
