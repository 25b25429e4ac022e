/* SPDX-License-Identifier: GPL-2.0-only */
/* The userfaultfd behind a descriptor of a task. */
#ifndef UFFDCTL_BPF_WATCH_DESCRIPTOR_H
#define UFFDCTL_BPF_WATCH_DESCRIPTOR_H

#include "bpf/kernel.h"
#include "bpf/watch/config.h"

static inline struct file *file_of_fd(struct task_struct *task, unsigned int fd)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **fds, *file = NULL;

	if (fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	fds = BPF_CORE_READ(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), fds + fd);
	return file;
}

static inline struct userfaultfd_ctx *ctx_of_fd(struct task_struct *task, unsigned int fd)
{
	struct file *file = file_of_fd(task, fd);

	if (!file || (__u64)BPF_CORE_READ(file, f_op) != config.fops)
		return NULL;
	return BPF_CORE_READ(file, private_data);
}

#endif
