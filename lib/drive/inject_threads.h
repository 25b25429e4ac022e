/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stops all threads of a target, and lets them go on. */
#ifndef UFFDCTL_INJECT_THREADS_H
#define UFFDCTL_INJECT_THREADS_H

#include "lib/kernel/target.h"

/* How long a thread may take to stop. */
#define STOP_NS UINT64_C(2000000000)

struct threads {
	struct uffdctl_target *t;
	bool no_filters; /* its seccomp filters are to be suspended */
	struct traced {
		pid_t tid;
		bool stopped;
	} * all;
	size_t nr, alloc;
	size_t nr_new; /* found by the last look */
};

/* May it be done, as far as /proc shows it? Logged. @ret: no_filters is set */
int threads_check(struct uffdctl_target *t, struct threads *ret);

/* Returns when all are stopped, and no new one can appear. Errors are logged. */
int threads_stop(struct threads *ts);

/* Those that are stopped; the others are let go when our thread ends. */
void threads_let_go(struct threads *ts);

#endif
