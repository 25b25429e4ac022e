/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Children, other threads, and what this process is. */
#ifndef TESTS_TARGET_PROCESS_H
#define TESTS_TARGET_PROCESS_H

#include "tests/helpers/target/request.h"

int process_setup(void);

#endif
