/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* get_robust_list(2): where libc keeps a thread's list of robust mutexes, which is beside its TLS. */
#ifndef UFFDCTL_ROBUST_LIST_H
#define UFFDCTL_ROBUST_LIST_H

#include <stdint.h>
#include <sys/types.h>

/* The head of the list in the thread's memory; 0: none, or not known. */
uint64_t robust_list_head(pid_t tid);

#endif
