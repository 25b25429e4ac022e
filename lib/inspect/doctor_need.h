/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each command needs, and whether that is there. */
#ifndef UFFDCTL_DOCTOR_NEED_H
#define UFFDCTL_DOCTOR_NEED_H

#include "lib/inspect/doctor_check.h"

enum need_flags {
	NEED_MEMORY = 1 << 0,	 /* kinds of memory that can be registered */
	NEED_HUGEPAGES = 1 << 1, /* it works with huge pages, too */
	NEED_ATTACH = 1 << 2,	 /* it uses a userfaultfd of the process */
	NEED_REGISTERS = 1 << 3, /* and registers its mappings */
	NEED_ZAPS = 1 << 4,	 /* it makes the process call madvise(2) */
	NEED_INJECTS = 1 << 5,	 /* with --inject it makes the userfaultfd that the process lacks */
};

struct need {
	const char *command;
	uint64_t all;	     /* it does not work without these, bits of enum check_id */
	uint64_t any;	     /* nor without one of these; 0: there are none */
	uint64_t better;     /* without these it does less */
	const char *less;    /* what it does not do then */
	const char *blind;   /* what it needs without CHECK_BPF_ITERATORS; NULL: that is among the others */
	unsigned int flags;  /* NEED_* */
	uint64_t modes;	     /* it works on what is registered for these; 0: for any */
	unsigned long ioctl; /* of a userfaultfd, that not every kernel has; 0: none */
	uint64_t marks;	     /* and needs pagemap where it is registered for these, too: it keeps their marks */
};

/* NULL: no such command. */
const struct need *need_of(const char *command);
/* The checks that it needs, and those that explain them. */
uint64_t need_checks(const struct need *n);
struct finding need_no_ioctl(struct uffdctl_doctor *d);
/* Add the verdict as the first row. @target: does the process let itself be worked on? Yes, if there is none */
void need_judge(struct uffdctl_doctor *d, const struct finding *target);

#endif
