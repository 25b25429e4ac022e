/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What worker threads do, so that what blocks does not block the requests. */
#ifndef TESTS_TARGET_JOB_H
#define TESTS_TARGET_JOB_H

#include <pthread.h>

#include "tests/helpers/target/map.h"

#define WAIT_MS 5000
#define SMALL_STACK (256 << 10)

struct handler;

/* One thing that a worker thread does; each uses the fields that it needs. */
struct job {
	int (*run)(struct job *j);
	int id;
	struct map *map;
	uint64_t addr, len, off, page; /* off: of addr in the file */
	uint64_t stride, seed, value, nr_units, result;
	void (*access)(struct job *j, char *p);
	bool verify, tail, random, loop, zap, keeps;
	unsigned int delay_us;
	int arg, pipe[2];
	unsigned char *buf;
	char name[64];
	struct json_object *keep;
	struct handler *handler;
	_Atomic uint64_t touched, mismatches, errors, first_differ;
	atomic_int tid, err;
	atomic_bool stop, done;
};

void job_setup(void);
int guarded(struct job *j, void (*fn)(struct job *j, char *p), char *p);
int job_new(struct json_object *req, struct job **ret);
int start_thread(void *(*fn)(void *), void *arg, size_t stack, pthread_t *ret);
int job_start(struct job *j);
int job_run(struct json_object *req, struct json_object *res, struct job *j);
int arg_range(struct json_object *req, struct job *j);
int range_job(struct json_object *req, int (*run)(struct job *j), struct job **ret);

#endif
