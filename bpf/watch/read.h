/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading what programs on userfaultfd itself see. READ(type, p, field) is for pointers without a type of their own.
 * The includer defines GET(p, field), for those that may have it from a program's arguments.
 */
#ifndef UFFDCTL_BPF_WATCH_READ_H
#define UFFDCTL_BPF_WATCH_READ_H

#include "bpf/kernel.h"

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __attribute__((section(".ksyms"), weak));

/* A tenth of a read by helper, where the kernel has it (6.2). */
#define READ(type, p, field)                                                                          \
	({                                                                                            \
		const void *_p = (p); /* a local struct's field in it would be relocated as well */   \
		bpf_rdonly_cast ? ((type *)bpf_rdonly_cast(_p, bpf_core_type_id_kernel(type)))->field \
				: BPF_CORE_READ((type *)_p, field);                                   \
	})

#endif
