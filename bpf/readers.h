/* SPDX-License-Identifier: GPL-2.0-only */
/* The threads that wait for a userfaultfd's messages now: in read, poll, select or epoll. */
#ifndef UFFDCTL_BPF_READERS_H
#define UFFDCTL_BPF_READERS_H

#include "bpf/queues.h"
#include "bpf/task.h"

/* Set by the loader to 0 before each run; may be more than fit. */
__u64 nr_readers;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_MAX_READERS);
	__type(key, __u32);
	__type(value, struct ev_reader);
} readers SEC(".maps");

/* A queue whose entries are threads, or lead to threads; it may change meanwhile. */
struct reader_walk {
	struct userfaultfd_ctx *ctx;
	struct list_head *head, *at;	   /* of fd_wqh */
	struct list_head *ep_head, *ep_at; /* of the threads in epoll_wait */
};

#define MAX_READERS_OF_ONE 1024
/* No kernel stack is larger. */
#define MAX_STACK 65536

/*
 * What an entry's private pointer is depends on its function, which is not known here. That it is a thread is
 * known because these entries, and the polling thread's struct poll_wqueues, are on that thread's own stack.
 */
static inline bool on_stack_of(__u64 addr, __u64 task)
{
	__u64 stack = (__u64)BPF_CORE_READ((struct task_struct *)task, stack);

	return stack && addr >= stack && addr - stack < MAX_STACK;
}

/* Kernel structures that no interface promises. */
static inline bool knows_epoll(void)
{
	return bpf_core_field_exists(struct eppoll_entry, base) && bpf_core_field_exists(struct eppoll_entry, wait) &&
	       bpf_core_field_exists(struct eppoll_entry, whead) && bpf_core_field_exists(struct epitem, ep) &&
	       (bpf_core_field_exists(struct epoll_filefd, file) || bpf_core_field_exists(struct epoll_key, file)) &&
	       bpf_core_field_exists(struct eventpoll, wq);
}

static inline bool knows_readers(void)
{
	return bpf_core_field_exists(struct task_struct, stack) &&
	       bpf_core_field_exists(struct poll_wqueues, polling_task);
}

static inline __u64 wait_of(struct list_head *entry)
{
	return (__u64)entry - bpf_core_field_offset(struct wait_queue_entry, entry);
}

static inline void report_reader(struct reader_walk *w, __u64 task)
{
	__u32 nr = nr_readers++;
	struct ev_reader *ev = bpf_map_lookup_elem(&readers, &nr);

	if (!ev)
		return;
	ev->ctx = (__u64)w->ctx;
	ev->tid = pid_of((struct task_struct *)task);
}

static long ep_step(__u32 i, struct reader_walk *w)
{
	struct list_head *at = w->ep_at, *next = BPF_CORE_READ(at, next);
	__u64 wait = wait_of(next), task;

	if (!next || next == w->ep_head || next == at)
		return 1;
	w->ep_at = next;
	task = (__u64)BPF_CORE_READ((struct wait_queue_entry *)wait, private);
	if (!on_stack_of(wait, task))
		return 1;
	report_reader(w, task);
	return 0;
}

/* The file that an epoll watches. */
static inline struct file *file_of(struct epitem *item)
{
	return bpf_core_field_exists(struct epoll_key, file) ? BPF_CORE_READ((struct epitem___key *)item, ffd.file)
							     : BPF_CORE_READ(item, ffd.file);
}

/* fs/eventpoll.c: the entry is in a struct eppoll_entry. Nobody need be in epoll_wait. */
static inline void walk_epoll(struct reader_walk *w, __u64 wait)
{
	struct eppoll_entry *entry = (void *)wait - bpf_core_field_offset(struct eppoll_entry, wait);
	__u64 head = (__u64)w->ctx + bpf_core_field_offset(struct userfaultfd_ctx, fd_wqh);
	struct epitem *item = BPF_CORE_READ(entry, base);
	struct eventpoll *ep = BPF_CORE_READ(item, ep);

	/* Another entry without a private pointer is that of an io_uring. */
	if ((__u64)BPF_CORE_READ(entry, whead) != head || !ep ||
	    BPF_CORE_READ(file_of(item), private_data) != (void *)w->ctx)
		return;
	w->ep_at = w->ep_head = (void *)ep + bpf_core_field_offset(struct eventpoll, wq) +
				bpf_core_field_offset(struct wait_queue_head, head);
	bpf_loop(MAX_READERS_OF_ONE, ep_step, w, 0);
}

static long reader_step(__u32 i, struct reader_walk *w)
{
	struct list_head *at = w->at, *next = BPF_CORE_READ(at, next);
	__u64 wait = wait_of(next), private, polling;

	if (!next || next == w->head || next == at)
		return 1;
	w->at = next;
	private = (__u64)BPF_CORE_READ((struct wait_queue_entry *)wait, private);
	if (!private) {
		if (knows_epoll())
			walk_epoll(w, wait);
		return 0;
	}
	/* fs/select.c: of poll and select it is their struct poll_wqueues; of read it is the thread. */
	polling = (__u64)BPF_CORE_READ((struct poll_wqueues *)private, polling_task);
	if (polling && on_stack_of(private, polling))
		report_reader(w, polling);
	else if (on_stack_of(wait, private))
		report_reader(w, private);
	return 0;
}

static inline void walk_readers(struct userfaultfd_ctx *ctx)
{
	struct reader_walk w = { .ctx = ctx, .head = queue_of(ctx, fd_wqh) };

	w.at = w.head;
	if (knows_readers())
		bpf_loop(MAX_READERS_OF_ONE, reader_step, &w, 0);
}

#endif
