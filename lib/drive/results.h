/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The result of each part, in numbers and in words. */
#ifndef UFFDCTL_RESULTS_H
#define UFFDCTL_RESULTS_H

#include "lib/drive/job.h"

/* Report one result for each part. True: not everything was done. */
bool results_report(struct job *job);

#endif
