/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Userfaultfds, and their ioctls. */
#ifndef TESTS_TARGET_UFFD_H
#define TESTS_TARGET_UFFD_H

#include "tests/helpers/target/request.h"

int copy_pattern(int fd, uint64_t start, uint64_t len, uint64_t off, uint64_t page, uint64_t seed, int64_t *ret);

#endif
