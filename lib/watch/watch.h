/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watching faults: the backends, and what is kept of one that watches. */
#ifndef UFFDCTL_WATCH_H
#define UFFDCTL_WATCH_H

#include "bpf/event.h"
#include "lib/context.h"

struct uffdctl_watch;

enum watch_backend_flags {
	WATCH_STEPS = 1 << 0, /* EV_WATCH_STEPS; faults that slept are counted when they have ended */
	/* Messages are counted at the readers, and faults whose message was read are marked. */
	WATCH_MARKS = 1 << 1,
	WATCH_FAILURES = 1 << 2, /* it sees ioctls that fail */
};

/* A way to see faults. probe and open return a negative errno and set *why to the reason, or leave it NULL. */
struct watch_backend {
	const char *name;
	unsigned int flags;
	/* Load the programs with w->config, and fill in w. */
	int (*probe)(struct uffdctl_watch *w, const char **why);
	/* Attach the programs: from now on they see faults. */
	int (*open)(struct uffdctl_watch *w, const char **why);
	void (*close)(struct uffdctl_watch *w);
	/* Find new userfaultfds; NULL: not needed. */
	int (*refresh)(struct uffdctl_watch *w);
	/* Called for each thread that waited when watching began; NULL: not needed. */
	void (*note_before)(struct uffdctl_watch *w);
	/* How often the kernel has not run a program that it should have run; NULL: this is made up for. */
	uint64_t (*skipped)(struct uffdctl_watch *w);
};

extern const struct watch_backend watch_tracepoint, watch_fentry, watch_kprobe, watch_sched;

/* A memory and its process: the kernel reuses both addresses and PIDs. */
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
	struct ev_watch_config config;

	/* Set by probe. */
	void *skel;
	uint32_t *all_seen; /* of its programs */
	const struct ev_stats *stats;
	int events_fd, slots_fd, processes_fd;
	int threads_fd, teams_fd, resolvers_fd, failures_fd;
	int choose_fd; /* the program choose_process */

	struct ring_buffer *ring;
	uint64_t began_ns, refreshed_ns;
	bool crowded; /* sched: there are too many userfaultfds, which was logged */
	/* For uffdctl_watch_governed(): */
	struct {
		int last;	  /* its result */
		bool none;	  /* none was found the last time */
		pid_t holder;	  /* of the one that was found last */
		uint64_t next_ns; /* when it looks again */
	} governed;
	struct ev_slot *slots; /* of all threads, mapped */
	uint32_t *before;      /* places of threads that waited when watching began */
	size_t nr_before, before_alloc;
	bool before_incomplete; /* there was no room for one of them */
	struct watch_memory *memories, *last;
	size_t nr_memories, memories_alloc;
	/* Totals by thread and so on: mapped on first use, and the last ones handed out. */
	struct {
		const struct ev_thread *threads;
		const struct ev_team *teams;
		const struct ev_resolver *resolvers;
		const struct ev_failure *failures;
		struct uffdctl_thread_totals thread;
		struct uffdctl_team_totals team;
		struct uffdctl_resolver_totals resolver;
		struct uffdctl_failure_totals failure;
	} tally;
	uffdctl_fault_fn fn;
	void *data;
	int nr_handed;
};

/* Load a light skeleton with the configuration: 0 or a negative errno. On success w->skel is the skeleton. */
#define watch_load(w, name)                                                                   \
	__extension__({                                                                       \
		struct name *_skel = NULL;                                                    \
		int _err = iter_load_skel(name, &_skel, _skel->rodata->config = (w)->config); \
                                                                                              \
		(w)->skel = _skel;                                                            \
		if (_skel) {                                                                  \
			(w)->all_seen = &_skel->bss->all_seen;                                \
			(w)->stats = _skel->bss->stats;                                       \
			(w)->events_fd = _skel->maps.events.map_fd;                           \
			(w)->threads_fd = _skel->maps.threads.map_fd;                         \
			(w)->teams_fd = _skel->maps.teams.map_fd;                             \
			(w)->resolvers_fd = _skel->maps.resolvers.map_fd;                     \
			(w)->failures_fd = _skel->maps.failures.map_fd;                       \
			(w)->slots_fd = _skel->maps.slots.map_fd;                             \
			(w)->processes_fd = _skel->maps.processes.map_fd;                     \
			(w)->choose_fd = _skel->progs.choose_process.prog_fd;                 \
		}                                                                             \
		_err;                                                                         \
	})

/* ---- what is watched (choice.c); errors are logged ---- */

/* Fill in w->config. */
int watch_configure(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts);
/* Choose the given processes, after programs are loaded. */
int watch_choose(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts);
/* After they are attached: choose the descendants, and drop processes that have ended. */
int watch_complete_choice(struct uffdctl_watch *w, const struct uffdctl_watch_opts *opts);
bool watch_is_wanted(const struct uffdctl_watch *w, uint64_t mm);
/* By kind, access and range, as choose_message() of the programs. */
bool watch_is_chosen(const struct uffdctl_watch *w, const struct ev_waiter *ev);

/* ---- threads that waited when watching began (before.c) ---- */

int watch_note_before(struct uffdctl_watch *w);
/* How many of them still wait. */
uint64_t watch_before_left(const struct uffdctl_watch *w);
void watch_before_free(struct uffdctl_watch *w);

/* ---- totals by thread, team and resolver (tally.c) ---- */

/* The waits of all faults, and the number of ioctls that failed. */
int watch_sum_tally(struct uffdctl_watch *w, struct uffdctl_watch_stats *ret);
void watch_tally_free(struct uffdctl_watch *w);

/* ---- records (record.c, memory.c) ---- */

/* For the ring buffer. @arg: a struct uffdctl_watch; @data: a struct ev_fault */
int watch_hand_out(void *arg, void *data, size_t size);
/* The memory of a fault; NULL if there is no room. Valid until the next call. */
struct watch_memory *watch_memory(struct uffdctl_watch *w, const struct ev_fault *ev);
/*
 * The mapping at an address, or NULL. Mappings change: they are read again after a second, or after a tenth of a
 * second if there is none at the address.
 */
const struct uffdctl_vma *watch_mapping(struct uffdctl_watch *w, struct watch_memory *m, uint64_t addr, uint64_t now);
void watch_memories_free(struct uffdctl_watch *w);

#endif
