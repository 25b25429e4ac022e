// SPDX-License-Identifier: GPL-2.0-only
/* Counts messages in the buffers of their reader. */
#include "bpf/watch/messages.h"
#include "bpf/watch/totals.h"

char _license[] SEC("license") = "GPL";

/* What was read. */
struct messages {
	const void *iov; /* the next struct iovec; NULL: there is none */
	const void *at;	 /* next byte of this buffer */
	__u64 len;	 /* bytes left in it */
	__u64 left;	 /* bytes of messages not counted yet */
	__u32 have;	 /* bytes of msg that have been copied */
	__u32 compat;
	__u64 msg[8]; /* struct uffd_msg, and room up to the limit that the verifier assumes */
};

/* Not on the stack: there the verifier would follow each value of left. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct messages);
} being_counted SEC(".maps");

static long next_buffer(struct messages *m)
{
	__u64 pair[2] = {};
	__u32 half[2] = {};

	if (!m->iov)
		return 1;
	if (m->compat) {
		if (bpf_probe_read_user(half, sizeof(half), m->iov))
			return 1;
		m->at = (void *)(__u64)half[0];
		m->len = half[1];
		m->iov += sizeof(half);
		return 0;
	}
	if (bpf_probe_read_user(pair, sizeof(pair), m->iov))
		return 1;
	m->at = (void *)pair[0];
	m->len = pair[1];
	m->iov += sizeof(pair);
	return 0;
}

/* Copy the available part of the next message. Returns its length so far; negative: it can't be read. */
static long copy_piece(struct messages *m)
{
	__u64 have = m->have & (sizeof(struct uffd_msg) - 1), len = m->len;

	if (len > sizeof(struct uffd_msg) - have)
		len = sizeof(struct uffd_msg) - have;
	/* The verifier of Linux 6.1 does not know this limit, but the compiler does and would drop the check. */
	asm volatile("" : "+r"(len));
	if (len > sizeof(struct uffd_msg) || bpf_probe_read_user((void *)m->msg + have, len, m->at))
		return -1;
	m->at += len;
	m->len -= len;
	return have + len;
}

static void count_message(const struct messages *m)
{
	if ((m->msg[0] & 0xff) == UFFD_EVENT_PAGEFAULT && is_chosen(m->msg[1], m->msg[2]))
		ADD(own_stats()->messages[KIND(kind_of(m->msg[1]))], 1);
}

/* A message may be split over several buffers: handle one piece of it, or the next buffer. */
static long count_piece(__u32 i, void *unused)
{
	__u32 zero = 0;
	struct messages *m = bpf_map_lookup_elem(&being_counted, &zero);
	long have;

	if (!m || !m->left)
		return 1;
	if (!m->len)
		return next_buffer(m);
	have = copy_piece(m);
	if (have < 0)
		return 1;
	m->have = have;
	if (m->have < sizeof(struct uffd_msg))
		return 0;
	m->have = 0;
	m->left -= sizeof(struct uffd_msg);
	count_message(m);
	return !m->left;
}

/* Not static, so that it is verified only once. */
__noinline int count_messages(__u64 bytes, __u64 at, __u64 nr_buffers, __u32 compat)
{
	__u32 zero = 0;
	struct messages *m = bpf_map_lookup_elem(&being_counted, &zero);

	if (!m)
		return 0;
	m->iov = nr_buffers ? (void *)at : NULL;
	m->at = nr_buffers ? NULL : (void *)at;
	m->len = nr_buffers ? 0 : bytes;
	m->left = bytes;
	m->have = 0;
	m->compat = compat;
	bpf_loop(bytes / sizeof(struct uffd_msg) + 2 * nr_buffers, count_piece, NULL, 0);
	return 0;
}
