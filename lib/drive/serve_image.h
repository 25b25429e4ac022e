/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: where contents come from. */
#ifndef UFFDCTL_SERVE_IMAGE_H
#define UFFDCTL_SERVE_IMAGE_H

#include "lib/drive/serving.h"

/* From the options: s->images, s->ranges, and what they mean. Failures are logged. */
int images_new(struct uffdctl_serve *s, const struct uffdctl_ranges *ranges);
void images_free(struct uffdctl_serve *s);

/* Is that of the options a file or on a server? */
static inline bool images_main(const struct uffdctl_serve *s)
{
	return s->images->source == UFFDCTL_SERVE_FD || s->images->source == UFFDCTL_SERVE_URI;
}

/* Before anything is served; image->need is known. Failures are logged. */
int image_open(struct uffdctl_serve *s, struct serve_image *image);
/* A number for what is in it, all of its size. Before anything is served. Failures are logged. */
int image_identify(struct uffdctl_serve *s, struct serve_image *image, uint64_t *ret);
/* Reading ends when this is not 0; NULL: it does not. */
void images_stop(struct uffdctl_serve *s, const int *stop);

/*
 * Which image has the contents of each segment of a plan, and at which offset. What is in a map's ranges is cut out of
 * all others. Failures are logged.
 * @ret: out, an offset for each segment; free with free()
 */
int images_place(struct uffdctl_serve *s, struct plan *plan, uint64_t **ret);
/* The image of one of these. */
struct serve_image *image_of(const struct uffdctl_serve *s, const struct segment *seg);

#endif
