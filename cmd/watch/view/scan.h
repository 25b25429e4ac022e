/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The results of a scan, which are not in the stream: processes, waiters, mappings. */
#ifndef CMD_VIEW_SCAN_H
#define CMD_VIEW_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/uffdctl.h"

enum {
	VIEW_MAX_MAPPINGS = 1024,
	VIEW_MAX_WAITERS = 1024,
	VIEW_MAX_TARGETS = 64,
	VIEW_NAME = 256, /* bytes that are kept of a name */
	VIEW_HOLDERS = 64,
};

struct target {
	pid_t pid;
	bool gone;
	char comm[64]; /* escaped */
};

struct waiter {
	pid_t pid, tid, target_pid;
	uint64_t addr, offset;
	uint64_t slept_ns; /* at the time of the scan: it may have gone on since */
	enum uffdctl_kind kind;
	enum uffdctl_access access;
	enum uffdctl_wait_state state;
	pid_t holder_pid; /* 0: none is known */
	int holder_fd;
	char comm[16];
	char name[VIEW_NAME]; /* "" also where it is not known */
};

struct mapping_info {
	pid_t pid;
	struct uffdctl_range range;
	uint64_t page_size, modes, offset;
	char name[VIEW_NAME];	    /* raw */
	char holders[VIEW_HOLDERS]; /* "PID:FD …" */
};

struct scan {
	uint64_t ns; /* when; 0: not yet */
	uint32_t number;
	size_t nr_targets, nr_waiters, nr_mappings;
	uint64_t nr_waiting; /* more than nr_waiters if there was no room */
	struct target targets[VIEW_MAX_TARGETS];
	struct waiter waiters[VIEW_MAX_WAITERS]; /* longest first */
	struct mapping_info mappings[VIEW_MAX_MAPPINGS];
};

#endif
