/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: fills pages, each once. */
#ifndef UFFDCTL_SERVE_FILL_H
#define UFFDCTL_SERVE_FILL_H

#include "lib/drive/serve_task.h"

/* Pages that this worker has claimed. */
struct claim {
	struct task task;
	enum serve_state was;
	uint64_t offset; /* of the first one, in the store */
	uint64_t from;	 /* of its contents, in the image */
};

/* Read their contents, which may take its time, and fill them. The gate is not held. */
void fill_pages(struct serve_worker *w, struct claim *c);

#endif
