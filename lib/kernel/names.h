/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's names of modes, features, ioctls and kinds of faults. */
#ifndef UFFDCTL_NAMES_H
#define UFFDCTL_NAMES_H

#include "lib/uffdctl.h"

#define NR_MODES 4

/* "minor,wp", in a buffer of MODES_TEXT_SIZE. */
#define MODES_TEXT_SIZE 64
const char *modes_text(uint64_t modes, char *buf);

/* The kind in a message, as an enumeration of this library. */
enum uffdctl_kind kind_of_message(uint32_t event, uint64_t flags);

#endif
