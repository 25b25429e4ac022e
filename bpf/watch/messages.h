/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages in the buffers of their reader. */
#ifndef UFFDCTL_BPF_WATCH_MESSAGES_H
#define UFFDCTL_BPF_WATCH_MESSAGES_H

#include "bpf/kernel.h"

/*
 * Counts the messages that the current task has read.
 * @at: its buffer, or an array of struct iovec if nr_buffers is not 0
 * @compat: a 32-bit program has made that array
 */
int count_messages(__u64 bytes, __u64 at, __u64 nr_buffers, __u32 compat);

#endif
