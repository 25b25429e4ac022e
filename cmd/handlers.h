/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The columns of the threads that can resolve what waits, the second list of uffdctl pending. */
#ifndef CMD_HANDLERS_H
#define CMD_HANDLERS_H

#include "cmd/table.h"

/* A row is a struct uffdctl_handler. */
extern const struct column handler_columns[];

#endif
