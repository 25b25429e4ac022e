/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libbpf has to say while it works for us, without taking its messages from the rest of the process. */
#ifndef UFFDCTL_BPF_PRINT_H
#define UFFDCTL_BPF_PRINT_H

#include "lib/context.h"

/*
 * libbpf has one print function for the whole process, which the caller may use, too, and in other threads.
 * Between these two, what it says in this thread goes to the context's log; what it says in others goes where
 * it went before. Each begin has its end, in the same thread.
 */
void bpf_print_begin(struct uffdctl *u);
void bpf_print_end(void);

#endif
