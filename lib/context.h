/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The context: log function, and what is learned once about the running kernel. */
#ifndef UFFDCTL_CONTEXT_H
#define UFFDCTL_CONTEXT_H

#include <pthread.h>
#include <stdbool.h>

#include "lib/cleanup.h"
#include "lib/uffdctl.h"

#define UFFDCTL_EXPORT __attribute__((visibility("default")))

struct iter;
struct vmflags;
struct pending_bpf;

struct uffdctl {
	pthread_mutex_t log_lock; /* workers log too; recursive: log_fn may call the library */
	int log_level;
	uffdctl_log_fn log_fn;
	void *log_data;
	bool silent; /* failures are expected now: neither logged nor kept */
	char *last_error;
	int last_errno;

	/*
	 * Made on first use, together with the function that frees it, since the context includes none of their
	 * headers.
	 */
	struct iter *iter;
	void (*iter_close)(struct iter *it);
	bool remedy_said;  /* that of a lack of privileges for BPF */
	int iter_err;	   /* why it is not available; found out once, unless we lacked memory or descriptors */
	bool iter_no_uffd; /* BPF is, but no userfaultfd of our own, by which those of others are known */
	struct vmflags *vmflags;
	struct pending_bpf *waiters;
	void (*waiters_close)(struct pending_bpf *w);
};

#endif
