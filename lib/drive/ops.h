/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ioctls that resolve faults, each with what its errors mean: for commands, and for a handler. */
#ifndef UFFDCTL_OPS_H
#define UFFDCTL_OPS_H

#include "lib/drive/job.h"

extern const struct resolve_op op_continue, op_copy, op_zeropage, op_writeprotect, op_rwprotect;

#endif
