/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: working sets: what is touched is recorded, and what was touched another time is known. */
#ifndef UFFDCTL_SERVE_SET_H
#define UFFDCTL_SERVE_SET_H

#include "lib/drive/serving.h"

struct serve_set {
	uint64_t image_bytes, image_id;

	/* What is recorded. */
	pthread_mutex_t lock; /* for these */
	bool records;
	uint64_t began_ns, bytes;
	struct uffdctl_workset_item *items; /* one a page */
	size_t nr, alloc;
	uint8_t *seen; /* a bit for each base page of the image */

	/* What is prefetched: see serve_prefetch.c. */
	uint8_t *due;	      /* likewise: it is in the set, and nobody has asked for it so far */
	pthread_mutex_t next; /* for these */
	size_t item;
	uint64_t at; /* bytes of the item */
	bool again;  /* atomic: some could not be brought in */
	struct serve_worker *workers;
	unsigned int nr_workers, nr_running; /* nr_running: atomic */
};

/* After the source is open. Failures are logged: -EXDEV: opts.prefetch is of another image. */
int set_open(struct uffdctl_serve *s);
/* It begins. */
void set_start(struct uffdctl_serve *s);
void set_close(struct uffdctl_serve *s);

/* Before w->faults are resolved, in the order in which they came. */
void set_touch(struct serve_worker *w);

/* @touched: out, bytes. Returns whether it is still recorded. */
bool set_recorded(struct uffdctl_serve *s, uint64_t *touched);

#endif
