/* SPDX-License-Identifier: GPL-2.0-only */
/* READ(type, p, field): reading through pointers without a type of their own. */
#ifndef UFFDCTL_BPF_WATCH_READ_H
#define UFFDCTL_BPF_WATCH_READ_H

#include "bpf/kernel.h"

/*
 * With a helper, which always works. p is evaluated first: a field of our own struct in p would be relocated, too.
 */
#define READ_BY_HELPER(type, p, field)            \
	({                                        \
		const void *_p = (p);             \
		BPF_CORE_READ((type *)_p, field); \
	})

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __attribute__((section(".ksyms"), weak));

/*
 * Costs a tenth of that, if the kernel has it (6.2); but loading takes longer, since it is searched for in all of the
 * kernel's BTF.
 */
#define READ_BY_CAST(type, p, field)                                                                  \
	({                                                                                            \
		const void *_q = (p);                                                                 \
		bpf_rdonly_cast ? ((type *)bpf_rdonly_cast(_q, bpf_core_type_id_kernel(type)))->field \
				: READ_BY_HELPER(type, _q, field);                                    \
	})

#ifdef READS_BY_HELPER
#define READ READ_BY_HELPER
#else
#define READ READ_BY_CAST
#endif

#endif
