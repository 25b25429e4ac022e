/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread with a context of its own, which scans for waiting threads and mappings. */
#ifndef CMD_VIEW_SCANNER_H
#define CMD_VIEW_SCANNER_H

#include "cmd/watch/view/scan.h"

struct scanner;

/* @pids: to be there until scanner_stop(); none: all processes */
int scanner_start(const pid_t *pids, size_t nr_pids, struct scanner **ret);
void scanner_stop(struct scanner *s);
/* Names memory that faults were in; @hurry: scan soon */
void scanner_ask(struct scanner *s, const pid_t *pids, size_t nr_pids, bool hurry);
/* True, and *ret, when there is a scan newer than this number. */
bool scanner_take(struct scanner *s, uint32_t number, struct scan *ret);

#endif
