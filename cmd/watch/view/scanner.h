/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A thread with a context of its own, which scans for waiters and mappings. */
#ifndef CMD_VIEW_SCANNER_H
#define CMD_VIEW_SCANNER_H

#include "cmd/watch/view/scan.h"

struct scanner;

/* @pids: must exist until scanner_stop(); none: all processes */
int scanner_start(const pid_t *pids, size_t nr_pids, struct scanner **ret);
void scanner_stop(struct scanner *s);
/* Tell it in which memory faults were; @hurry: scan soon */
void scanner_ask(struct scanner *s, const pid_t *pids, size_t nr_pids, bool hurry);
/* True if there is a scan newer than this number, which is copied to *ret. */
bool scanner_take(struct scanner *s, uint32_t number, struct scan *ret);

#endif
