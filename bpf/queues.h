/* SPDX-License-Identifier: GPL-2.0-only */
/* The queues of a userfaultfd and their entries. */
#ifndef UFFDCTL_BPF_QUEUES_H
#define UFFDCTL_BPF_QUEUES_H

#include "bpf/kernel.h"

/* The head of a wait queue: queue_of(ctx, fault_wqh). */
#define queue_of(ctx, field) \
	((struct list_head *)((void *)(ctx) + bpf_core_field_offset(struct userfaultfd_ctx, field.head)))

static inline __u64 mm_of(struct userfaultfd_ctx *ctx)
{
	return (__u64)BPF_CORE_READ(ctx, mm);
}

static inline bool is_released(struct userfaultfd_ctx *ctx)
{
	return BPF_CORE_READ(ctx, released);
}

/* The struct userfaultfd_wait_queue of a struct wait_queue_entry. */
static inline struct userfaultfd_wait_queue *uwq_of_wait(__u64 wait)
{
	return (void *)wait - bpf_core_field_offset(struct userfaultfd_wait_queue, wq);
}

/* The struct userfaultfd_wait_queue of an entry in a queue. */
static inline struct userfaultfd_wait_queue *uwq_of(struct list_head *entry)
{
	return uwq_of_wait((__u64)entry - bpf_core_field_offset(struct wait_queue_entry, entry));
}

/* The entry of a struct userfaultfd_wait_queue. */
static inline struct list_head *entry_of(struct userfaultfd_wait_queue *uwq)
{
	return (void *)uwq + bpf_core_field_offset(struct userfaultfd_wait_queue, wq) +
	       bpf_core_field_offset(struct wait_queue_entry, entry);
}

static inline bool is_waken(struct userfaultfd_wait_queue *uwq)
{
	return BPF_CORE_READ(uwq, waken);
}

static inline struct uffd_msg msg_of(struct userfaultfd_wait_queue *uwq)
{
	struct uffd_msg msg = {};

	bpf_core_read(&msg, sizeof(msg), &uwq->msg);
	return msg;
}

#endif
