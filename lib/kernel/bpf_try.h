/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bpf(2) without libbpf: the least that needs a privilege, tried and undone. */
#ifndef UFFDCTL_BPF_TRY_H
#define UFFDCTL_BPF_TRY_H

/* A map, as programs need it. */
int bpf_try_map(void);
/* A program of a type that reads kernel memory: one that returns at once. */
int bpf_try_program(void);

#endif
