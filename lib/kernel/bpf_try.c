// SPDX-License-Identifier: LGPL-2.1-or-later
/* bpf(2) without libbpf: the least that needs a privilege, tried and undone. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/kernel/bpf_try.h"
#include "lib/util.h"

static int try(int cmd, union bpf_attr *attr)
{
	int fd = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int bpf_try_map(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_HASH, .key_size = 8, .value_size = 8, .max_entries = 1 };

	return try(BPF_MAP_CREATE, &attr);
}

int bpf_try_program(void)
{
	/* r0 = 0; exit */
	static const struct bpf_insn insns[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K },
						 { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT,
				.insn_cnt = ARRAY_SIZE(insns),
				.insns = (uintptr_t)insns,
				.license = (uintptr_t) "GPL" };

	return try(BPF_PROG_LOAD, &attr);
}
