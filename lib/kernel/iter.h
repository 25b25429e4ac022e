/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BPF iterators over files, processes and mappings: one load serves all three. */
#ifndef UFFDCTL_ITER_H
#define UFFDCTL_ITER_H

#include "bpf/event.h"
#include "lib/context.h"

/*
 * The context's iterators, loaded on first use. -EPERM, -ENOSYS, …: they are not available; not logged, since most
 * callers have a fallback; iter_why() has the text for the others.
 */
int iter_get(struct uffdctl *u, struct iter **ret);
const char *iter_why(const struct uffdctl *u, int err);
/*
 * If BPF is not available for lack of privileges, what to do about it, " (needs …)", for a message that says "without
 * BPF": the first time; later "".
 */
const char *iter_remedy(struct uffdctl *u);
/* The reason is not a lack of BPF or privileges, but of memory or descriptors, which may be over next time. */
bool iter_is_shortage(int err);

/* Gets one record of bpf/event.h. Returns 0 to go on; anything else ends the walk and is returned. */
typedef int (*iter_fn)(const void *ev, void *arg);

/*
 * Get a struct ev_file for every descriptor of a userfaultfd in one process, or in all (0). Before them, task_fn,
 * unless NULL, gets the struct ev_task of the same walk.
 */
int iter_files(struct iter *it, pid_t pid, iter_fn file_fn, iter_fn task_fn, void *arg);

/*
 * Get a struct ev_task for the memory of one process, or of all (0): once for a process; if its first thread has
 * ended, once for each other thread.
 */
int iter_tasks(struct iter *it, pid_t pid, iter_fn fn, void *arg);

/* One record of these; -ENOENT if there is none. */
int iter_find_fd(struct iter *it, pid_t pid, int fd, struct ev_file *ret);
int iter_find_task(struct iter *it, pid_t pid, struct ev_task *ret);

/* Get a struct ev_vma for each mapping of a process, ordered by address. */
int iter_vmas(struct iter *it, pid_t pid, bool registered_only, iter_fn fn, void *arg);

/* Get the mapping at an address without walking all. -ENOENT; -ESRCH: no such process,
 * or it has no memory any more; -EBUSY: its mappings are being changed. */
int iter_vma_at(struct iter *it, pid_t pid, uint64_t addr, struct ev_vma_at *ret);

/*
 * For programs of other objects: the identity of a userfaultfd's operations, the depth of our PID namespace and its
 * number, and a run over all processes without output.
 */
uint64_t iter_fops(const struct iter *it);
unsigned int iter_level(const struct iter *it);
uint64_t iter_pid_ns(const struct iter *it);
int iter_run(int prog_fd);

/*
 * Open and load a light skeleton into *skel: 0 or a negative errno, with nothing left behind. configure is an
 * expression that sets its constants in between, (void)0 if it has none. The kernel stops verifying when a signal
 * comes (EAGAIN), such as Ctrl-C: then try again.
 */
#define LOAD_TRIES 10
#define iter_load_skel(name, skel, configure)                              \
	__extension__({                                                    \
		int _r = -EAGAIN;                                          \
                                                                           \
		for (int _i = 0; _r == -EAGAIN && _i < LOAD_TRIES; _i++) { \
			*(skel) = name##__open();                          \
			if (!*(skel)) {                                    \
				_r = -ENOMEM;                              \
				break;                                     \
			}                                                  \
			(configure);                                       \
			_r = name##__load(*(skel));                        \
			if (_r < 0) {                                      \
				name##__destroy(*(skel));                  \
				*(skel) = NULL;                            \
			}                                                  \
		}                                                          \
		_r;                                                        \
	})

#endif
