/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that wait in userfaultfds now. */
#ifndef UFFDCTL_PENDING_H
#define UFFDCTL_PENDING_H

#include "context.h"

/* What a message says, as this library's enumerations. */
enum uffdctl_kind kind_of_message(uint32_t event, uint64_t flags);

#endif
