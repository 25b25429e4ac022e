/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fault handlers: threads, or a child, that read a userfaultfd's messages. */
#ifndef TESTS_TARGET_HANDLER_H
#define TESTS_TARGET_HANDLER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "tests/helpers/target/request.h"

struct counts {
	_Atomic uint64_t minor, missing, wp, rwp, fork, remap, remove, unmap, errors;
	atomic_int fork_fd;
};

enum action {
	ACT_NONE,
	ACT_COUNT,
	ACT_CONTINUE,
	ACT_COPY,
	/* Reads one message, and then is in something else. */
	ACT_READ,
	ACT_FUTEX,
	ACT_SPIN,
};

struct handler {
	int uffd, stop_fd, fd; /* fd: which ACT_READ reads */
	enum action action;
	bool blocking, wp;
	uint64_t seed;
	pid_t child; /* 0: a thread of ours */
	pthread_t thread;
	atomic_int tid;
	atomic_bool running, stop;
	struct counts *counts; /* shared with the child */
};

void handler_loop(struct handler *h, int lifeline_fd);
int handler_new(struct json_object *req, struct handler **ret);
void handler_child_ended(pid_t pid);

#endif
