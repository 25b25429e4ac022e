/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Serving: does another process read the messages? */
#ifndef UFFDCTL_SERVE_READER_H
#define UFFDCTL_SERVE_READER_H

#include "lib/drive/handle.h"

/* -EBUSY: it does, or may; logged. */
int serve_check_reader(struct uffdctl_handle *h);

#endif
