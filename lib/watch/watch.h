/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The backends of watch: how each is loaded and what they have in common. */
#ifndef UFFDCTL_WATCH_H
#define UFFDCTL_WATCH_H

#include "bpf/event.h"
#include "lib/context.h"

struct uffdctl_watch;

struct watch_backend {
	const char *name;
	/* Load the programs and fill in what all have. A negative errno with *why: why they can't be had, or NULL. */
	int (*load)(struct uffdctl_watch *w, const char **why);
	int (*attach)(struct uffdctl_watch *w, const char **why);
	void (*unload)(struct uffdctl_watch *w);
	/* Learn of userfaultfds that are new; NULL: not needed. */
	int (*refresh)(struct uffdctl_watch *w);
	/* A thread waited when watching began. */
	void (*before)(struct uffdctl_watch *w);
	/* Faults that slept are counted when they have ended. */
	bool blocked_at_end;
	/* Messages are counted by their readers, and faults are marked whose message was read. */
	bool marks;
};

extern const struct watch_backend watch_tracepoint, watch_fentry, watch_kprobe, watch_sched;

/* A memory, and its process: the kernel uses both addresses and PIDs again. */
struct watch_memory {
	uint64_t mm;
	uint64_t process_ns; /* as records have it */
	uint64_t start_ns;   /* of the process; 0: not found yet */
	pid_t pid;
	uint64_t used_ns;
	uint64_t found_ns; /* when it was looked for */
	struct uffdctl_maps *maps;
	uint64_t maps_ns; /* when they were read */
};

struct uffdctl_watch {
	struct uffdctl *u;
	const struct watch_backend *backend;
	void *skel; /* the backend's own */
	struct ev_watch_config *config;
	int stats_fd, events_fd, slots_fd, memories_fd, processes_fd;
	int choose_fd; /* the program choose_process */

	struct ring_buffer *ring;
	uint64_t began_ns, refreshed_ns;
	bool crowded; /* sched: a memory has too many userfaultfds, and that was said */
	struct ev_slot *slots; /* of all threads, mapped */
	uint32_t *before;      /* places in it, of those that waited when watching began */
	size_t nr_before, before_alloc;
	struct watch_memory *memories, *last;
	size_t nr_memories, memories_alloc;
	uffdctl_fault_fn fn;
	void *data;
	int nr_handed;
};

/* Of a light skeleton that is loaded. */
#define watch_use_maps(w, skel)                                        \
	do {                                                           \
		(w)->config = &(skel)->bss->config;                    \
		(w)->stats_fd = (skel)->maps.stats.map_fd;             \
		(w)->events_fd = (skel)->maps.events.map_fd;           \
		(w)->slots_fd = (skel)->maps.slots.map_fd;             \
		(w)->memories_fd = (skel)->maps.memories.map_fd;       \
		(w)->processes_fd = (skel)->maps.processes.map_fd;     \
		(w)->choose_fd = (skel)->progs.choose_process.prog_fd; \
	} while (0)

/* The memory of a fault; NULL without room. Holds until the next call. */
struct watch_memory *watch_memory(struct uffdctl_watch *w, const struct ev_fault *ev);
/* Mappings come and go: they are read again now and then, and once when one is missing. */
const struct uffdctl_vma *watch_mapping(struct uffdctl_watch *w, struct watch_memory *m, uint64_t addr, uint64_t now);
void watch_memories_free(struct uffdctl_watch *w);

bool watch_is_wanted(const struct uffdctl_watch *w, uint64_t mm);

#endif
