/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs libbpf's messages while it works for us, without taking the messages of other users in the process. */
#ifndef UFFDCTL_BPF_PRINT_H
#define UFFDCTL_BPF_PRINT_H

#include "lib/context.h"

/*
 * libbpf has one print function for the whole process, which the caller may use too, also in other threads. Between
 * begin and end, libbpf's messages in this thread go to the context's log; those in other threads go where they went
 * before. Call end once for each begin, in the same thread.
 */
void bpf_print_begin(struct uffdctl *u);
void bpf_print_end(void);

#endif
