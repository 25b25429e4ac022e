/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's names for what belongs to userfaultfds: modes, features, ioctls, kinds of faults. */
#ifndef UFFDCTL_NAMES_H
#define UFFDCTL_NAMES_H

#include "lib/uffdctl.h"

#define NR_MODES 4

/* What a message says, as this library's enumeration. */
enum uffdctl_kind kind_of_message(uint32_t event, uint64_t flags);

#endif
