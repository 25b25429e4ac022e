/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of the doctor: checks, what is found by them, and why something can't be had. */
#ifndef UFFDCTL_DOCTOR_CHECK_H
#define UFFDCTL_DOCTOR_CHECK_H

#include <pthread.h>

#include "lib/context.h"
#include "lib/kernel/confine.h"
#include "lib/kernel/ordinary.h"
#include "lib/kernel/reach.h"
#include "lib/kernel/uffd.h"
#include "lib/kernel/uffd_try.h"
#include "lib/util.h"

/* In the order of the output. Those of memory and of huge pages are not here: there are several of each. */
enum check_id {
	CHECK_UFFD_DEVICE,
	CHECK_UFFD_SYSCALL,
	CHECK_UFFD_USER_MODE,
	CHECK_UFFD_FEATURES,
	CHECK_PROC,
	CHECK_PTRACE_READ,
	CHECK_PIDFD_GETFD,
	CHECK_PTRACE,
	CHECK_PROCESS_VM,
	CHECK_KCMP,
	CHECK_OTHER_USERS,
	CHECK_BPF_MAP,
	CHECK_BPF_PROGRAM,
	CHECK_BPF_ITERATORS,
	CHECK_WATCH_TRACEPOINT,
	CHECK_WATCH_FENTRY,
	CHECK_WATCH_KPROBE,
	CHECK_WATCH_SCHED,
	CHECK_PAGEMAP,
	CHECK_PAGEMAP_SCAN,
	CHECK_OWN_PAGEMAP,
	CHECK_PROCMAP_QUERY,
	CHECK_CACHESTAT,
	CHECK_MAP_FILES,
	NR_CHECKS,
};

#define CHECK(id) (UINT64_C(1) << (CHECK_##id))

struct finding {
	uint64_t ok;
	uint64_t layers;
	const char *detail, *remedy; /* NULL: none */
};

#define NR_BACKENDS 4

/* A backend of watching that is tried in a thread. */
struct backend_try {
	const char *name;
	int err;
	char *text;
};

struct uffdctl_doctor {
	struct uffdctl *u; /* of our own: what fails here is a result, and not logged */
	const struct need *need;
	pid_t pid;
	struct confinement own;
	struct settings settings;
	int reach[REACH_NR_CALLS];
	unsigned int avoid; /* calls that would kill us */
	char exe[256], user[64];
	uint64_t verdict;

	struct strpool pool; /* of all texts */
	struct uffdctl_check *checks;
	struct uffdctl_fact *facts;
	struct uffdctl_prospect *prospects;
	size_t nr_checks, checks_alloc, nr_facts, facts_alloc, nr_prospects, prospects_alloc;

	struct finding found[NR_CHECKS];
	uint64_t done; /* bits of enum check_id */
	int ways[UFFD_NR_WAYS];
	uint64_t features; /* of this kernel */
	struct {
		int err; /* why it could not be tried */
		struct ordinary_access access;
	} ordinary[ORDINARY_NR_RELATIONS];
	struct backend_try backends[NR_BACKENDS];
	unsigned int next_backend;
	pthread_t threads[NR_BACKENDS];
	unsigned int nr_threads;
};

/* A text that lives as long as the doctor; "" when out of memory. */
const char *doctor_text(struct uffdctl_doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "userfaultfd-device" */
const char *doctor_check_name(enum check_id id);

void doctor_add(struct uffdctl_doctor *d, const char *group, const char *name, const struct finding *f);

static inline struct finding found_yes(const char *detail)
{
	return (struct finding){ .ok = 1, .detail = detail };
}

static inline struct finding found_unknown(uint64_t layers, const char *detail)
{
	return (struct finding){ .ok = UFFDCTL_UNKNOWN, .layers = layers, .detail = detail };
}

static inline struct finding found_no(uint64_t layers, const char *detail, const char *remedy)
{
	return (struct finding){ .layers = layers, .detail = detail, .remedy = remedy };
}

/* ---- why (doctor_why.c) ---- */

/* Does a seccomp filter of ours answer this call? Then *ret has it all. */
bool why_seccomp(struct uffdctl_doctor *d, enum reach_call call, struct finding *ret);
struct finding why_uffd(struct uffdctl_doctor *d, enum uffd_way way, int err);
/* A privilege is missing, if it is; what else can be the cause is in @others. */
struct finding why_cap(struct uffdctl_doctor *d, uint64_t caps, const char *what, uint64_t others);
struct finding why_bpf(struct uffdctl_doctor *d, int err, const char *what);
/* @read: PTRACE_MODE_READ, of which Yama takes no notice */
struct finding why_ptrace(struct uffdctl_doctor *d, enum ordinary_relation relation, bool read, int err,
			  const char *what);

/* ---- checks ---- */

/* Each fills in what it finds. */
typedef struct finding (*check_fn)(struct uffdctl_doctor *d);

/* doctor_uffd.c */
void uffd_prepare(struct uffdctl_doctor *d);
struct finding check_uffd_device(struct uffdctl_doctor *d);
struct finding check_uffd_syscall(struct uffdctl_doctor *d);
struct finding check_uffd_user_mode(struct uffdctl_doctor *d);
struct finding check_uffd_features(struct uffdctl_doctor *d);
/* A userfaultfd of our own after its handshake. @wanted: of its features, those that the kernel has */
int doctor_uffd(struct uffdctl_doctor *d, uint64_t wanted, int *ret);

/* doctor_memory.c */
void check_memory(struct uffdctl_doctor *d);
void check_hugepages(struct uffdctl_doctor *d);

/* doctor_access.c */
void access_prepare(struct uffdctl_doctor *d);
struct finding check_proc(struct uffdctl_doctor *d);
struct finding check_ptrace_read(struct uffdctl_doctor *d);
struct finding check_pidfd_getfd(struct uffdctl_doctor *d);
struct finding check_ptrace(struct uffdctl_doctor *d);
struct finding check_process_vm(struct uffdctl_doctor *d);
struct finding check_kcmp(struct uffdctl_doctor *d);
struct finding check_other_users(struct uffdctl_doctor *d);

/* doctor_bpf.c */
void bpf_begin(struct uffdctl_doctor *d); /* starts threads */
void bpf_end(struct uffdctl_doctor *d);	  /* ends them */
struct finding check_bpf_map(struct uffdctl_doctor *d);
struct finding check_bpf_program(struct uffdctl_doctor *d);
struct finding check_bpf_iterators(struct uffdctl_doctor *d);
struct finding check_watch(struct uffdctl_doctor *d, enum check_id id);

/* doctor_pages.c */
struct finding check_pagemap(struct uffdctl_doctor *d);
struct finding check_pagemap_scan(struct uffdctl_doctor *d);
struct finding check_own_pagemap(struct uffdctl_doctor *d);
struct finding check_procmap_query(struct uffdctl_doctor *d);
struct finding check_cachestat(struct uffdctl_doctor *d);
struct finding check_map_files(struct uffdctl_doctor *d);

/* doctor_target.c: what --for adds for a process. */
struct finding check_target(struct uffdctl_doctor *d);

#endif
