/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mappings, by number: memory of each kind, and what lies beneath it. */
#ifndef TESTS_TARGET_MAP_H
#define TESTS_TARGET_MAP_H

#include <stdatomic.h>

#include "tests/helpers/target/request.h"

struct map {
	int id, fd;
	bool shared;
	uint64_t page, file_off;
	_Atomic uint64_t addr, size; /* a job (mremap) changes them */
};

extern uint64_t page_size;

void map_setup(void);
int arg_map(struct json_object *req, const char *key, struct map **ret);
struct map *map_at(uint64_t addr);
void *mmap_aligned(uint64_t size, uint64_t align, int prot, int flags, int fd, uint64_t off);

#endif
