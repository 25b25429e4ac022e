/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What pages hold: the pattern of a seed, or bytes. */
#ifndef TESTS_TARGET_CONTENTS_H
#define TESTS_TARGET_CONTENTS_H

#include "tests/helpers/target/job.h"

uint64_t pattern_word(uint64_t seed, uint64_t index);
uint64_t unit(struct job *j);
bool same(struct job *j, char *p);

#endif
