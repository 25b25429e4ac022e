// SPDX-License-Identifier: GPL-2.0-only
/* Faults by fentry and fexit programs on the functions of userfaultfd itself. */
#define GET(p, field) ((p)->field)
#define MAY_SKIP true
#include "bpf/watch/function.h"

SEC("fexit/handle_userfault")
int ends(__u64 *args)
{
	fault_ends(args[2]);
	return 0;
}

SEC("fentry/userfaultfd_wake_function")
int wakes(__u64 *args)
{
	struct wait_queue_entry *wq = (void *)args[0];

	/* A number: read directly, Linux 7.2 takes it for a pointer and lets nobody reckon with it. */
	fault_woken(BPF_CORE_READ(wq, private), (__u64)wq, (void *)args[3]);
	return 0;
}

SEC("fexit/userfaultfd_read_iter")
int reads(__u64 *args)
{
	struct kiocb *iocb = (void *)args[0];
	long ret = args[2];

	if (ret > 0)
		messages_read(iocb->ki_filp, ret);
	return 0;
}

/* Before it was made an iterator's (Linux 6.10). */
SEC("fexit/userfaultfd_read")
int reads_plain(__u64 *args)
{
	long ret = args[4];

	if (ret > 0)
		messages_read((void *)args[0], ret);
	return 0;
}

SEC("fentry/userfaultfd_ioctl")
int resolves(__u64 *args)
{
	resolver_comes((void *)args[0]);
	return 0;
}

/* Last: programs are attached in this order, and what begins must be seen to end. */
SEC("fentry/handle_userfault")
int begins(__u64 *args)
{
	fault_begins((void *)args[0], args[1]);
	return 0;
}
