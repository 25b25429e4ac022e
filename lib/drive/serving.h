/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Serving: the state of a handler.
 *
 * A memory is what one userfaultfd governs: that of the target, and after a fork that of a child, too. One of its
 * workers leads: it reads the messages. What it has read it resolves itself if that is quick; otherwise another worker
 * takes the lead first. So while faults come one at a time, no lock changes hands and no thread is woken.
 *
 * With contents, each page has a state, so that it is filled once. Who resolves a page claims it first (BUSY).
 *
 * With events, a memory has a gate. A worker holds it, together with others, while it looks at states and resolves. The
 * reader holds it alone while it reads and takes in events. The kernel refuses to resolve (EAGAIN) from the moment that
 * the process changes its memory until the event is read. So what is resolved fits the events that were read.
 */
#ifndef UFFDCTL_SERVING_H
#define UFFDCTL_SERVING_H

#include <pthread.h>

#include "lib/drive/chunk.h"
#include "lib/drive/filling.h"
#include "lib/drive/plan.h"
#include "lib/kernel/names.h"
#include "lib/kernel/uffd_messages.h"

#define SERVE_BATCH 64

/* ---- pages ---- */

enum serve_state {
	SERVE_NEW,	      /* not filled by us */
	SERVE_HELD,	      /* not filled, because that failed */
	SERVE_BUSY,	      /* a worker fills it */
	SERVE_DONE,	      /* filled, or there before us: the process may have changed it */
	SERVE_REMOVED,	      /* the process has removed it before it was filled: it is zeros */
	SERVE_COUNTED = 0x80, /* a bit, before the start */
};

/* The states of the pages of a file that shared mappings show, or of one private mapping. */
struct serve_store {
	struct serve_store *next;
	const struct uffdctl_vma *vma; /* shared: one with the file; NULL: private */
	const void *owner;	       /* the child whose it is; NULL: all others */
	uint64_t first;		       /* as vma_offset() */
	uint64_t nr, page_size;
	uint8_t *states;
};

/* A part of a mapping. REMAP changes its addresses. */
struct serve_part {
	struct serve_part *next;	 /* in all */
	const struct serve_image *image; /* its contents; NULL: what is there is kept */
	struct part *part;		 /* with vma as its mapping */
	struct part own;		 /* part, unless that is one of the job's */
	struct uffdctl_vma vma;
	struct serve_store *store; /* NULL: pages need no state */
};

/* ---- a memory ---- */

enum serve_op {
	SERVE_CONTINUE,
	SERVE_CONTINUE_QUIETLY, /* waking nobody */
	SERVE_FILL,		/* then continue */
	SERVE_COPY,
	SERVE_ZEROPAGE,
	SERVE_UNPROTECT_WP,
	SERVE_UNPROTECT_RWP,
	SERVE_NR_OPS,
};

struct serve_fault {
	uint64_t addr;
	enum uffdctl_kind kind;
	bool write;
};

struct serve_memory {
	struct serve_memory *next;
	struct uffdctl_serve *s;
	struct uffdctl_handle h; /* of a child: only uffd is its own */
	bool is_child;
	bool gone;
	bool has_events;
	struct uffd_messages messages;
	struct job jobs[SERVE_NR_OPS];
	struct part *first_parts;  /* jobs[].parts */
	struct serve_part **parts; /* by address */
	size_t nr;
	struct serve_part *all; /* also those that are gone: a worker may have one in hand */
	pthread_rwlock_t gate;
	pthread_mutex_t lead;
	uint64_t spin_ns;     /* the leader's */
	unsigned int in_vain; /* how often in a row spinning brought nothing */
	uint64_t changes;     /* atomic: events that were taken in */

	pthread_mutex_t lock; /* for these */
	struct serve_fault *deferred;
	size_t nr_deferred, deferred_alloc;
	struct serve_fault *held; /* one a page */
	size_t nr_held, held_alloc;

	struct serve_worker *workers;
	size_t nr_workers; /* atomic */
};

/* ---- a thread ---- */

struct serve_counts {
	uint64_t faults[UFFDCTL_MAX_MODES];
	uint64_t events, demand, prefault, prefetch, late, zero, mapped, unprotected, around, errors;
};

struct serve_worker {
	struct serve_memory *m;
	pthread_t thread;
	bool started, ended;
	bool leads;
	bool prefaults; /* or prefetches */
	bool prefetches;
	bool wakes_later; /* all whose faults are resolved at a time, once */
	bool around;	  /* at neighbours of faults: nobody waits for them */
	int told[4];	  /* why pages could not be prefaulted: each reason is told once */
	bool busy;	  /* has messages that are not resolved */
	struct serve_counts counts;
	struct chunk c;
	struct uffd_msg msgs[SERVE_BATCH];
	struct serve_fault faults[SERVE_BATCH];
	size_t nr_faults;
	uint64_t changes; /* m->changes before they were read; UINT64_MAX: not known */
	uint8_t states[CONTENTS_CHUNK_BYTES / 4096];
} __attribute__((aligned(64)));

/* ---- where contents come from ---- */

/* Those of opts, and of each of opts.maps. */
struct serve_image {
	const struct uffdctl_serve_map *map;  /* NULL: it is that of opts */
	enum uffdctl_serve_source source;     /* 0: there is none */
	struct contents contents, background; /* the same: who reads the second can wait */
	uint64_t need;			      /* bytes that its pages need */
};

/* ---- all of it ---- */

#define SERVE_NOTES 128
#define SERVE_NOTE_BYTES 320

struct serve_note {
	int level, error;
	struct uffdctl_range range;
	char text[SERVE_NOTE_BYTES];
};

struct uffdctl_serve {
	struct uffdctl_handle *h;
	struct uffdctl_serve_opts opts;
	bool serves_grown; /* what grows from the ranges, too: nobody else can have registered it */
	bool fills;	   /* pages have contents other than what the page cache has */
	bool slow;	   /* reading them may wait */
	bool asks_server;
	struct serve_image *images; /* the first one is that of opts */
	size_t nr_images;
	struct uffdctl_ranges ranges; /* those of the maps, and all others; its specs are the caller's */
	struct uffdctl_action_opts plain, quiet, fill, off; /* those of the jobs */
	struct plan plan;
	struct plan poison;	 /* what is made to fail */
	struct filling *filling; /* the fill job's */
	int pagemap;
	bool locked, reading;
	struct serve_store *stores;
	struct uffdctl_range *own; /* what we have registered */
	size_t nr_own, own_alloc;
	uint64_t total_bytes, already_bytes;
	uint8_t *dirty;	   /* as opts.stale, but a bit for each small page; NULL: no server has said it */
	uint64_t put_back; /* threads whose messages were read before us */
	uint64_t began_ns;

	int state_fd;
	bool state_is_new;    /* we have made that file */
	void *state_header;   /* a mapping of its beginning; NULL: there is none */
	int stop_fd, poke_fd; /* eventfds: all are to end; the control thread is to look */
	int stopping;	      /* atomic, as all below */
	int failed;	      /* a negative errno: end */
	int prefault_ended;
	uint64_t rate_due_ns; /* when as much as was brought in is due: a source that was away is not made up for */
	uint64_t done_bytes; /* pages that are there now and were not in the beginning */
	uint64_t held;

	pthread_mutex_t lock; /* for the rest */
	pthread_cond_t changed;
	struct serve_memory *memories; /* the target's is the last one: new ones come first */
	struct serve_counts past;      /* of those that are gone */
	struct serve_note notes[SERVE_NOTES];
	size_t first_note, nr_notes;
	uint64_t lost_notes;
	enum uffdctl_serve_end end;
	uint64_t passed_ns;
	bool has_control, has_prefault;
	pthread_t control;
	struct serve_worker *prefaulter;
	const struct serve_memory *visited; /* the child that the prefaulter is at: it stays in the list */
	struct serve_set *set;	     /* NULL: none is recorded or prefetched */
	struct serve_before *before; /* for verifying */
};

/* Hold the gate with others. */
static inline void serve_enter(struct serve_memory *m)
{
	if (m->has_events)
		pthread_rwlock_rdlock(&m->gate);
}

static inline void serve_leave(struct serve_memory *m)
{
	if (m->has_events)
		pthread_rwlock_unlock(&m->gate);
}

static inline size_t memory_nr_workers(const struct serve_memory *m)
{
	return __atomic_load_n(&m->nr_workers, __ATOMIC_ACQUIRE);
}

static inline bool serve_stopping(struct uffdctl_serve *s)
{
	return __atomic_load_n(&s->stopping, __ATOMIC_ACQUIRE);
}

#define serve_count(n, add) ((void)__atomic_fetch_add(n, add, __ATOMIC_RELAXED))

/* serve_note.c: keep it for uffdctl_serve_poll(), or count it as lost. */
void serve_note(struct uffdctl_serve *s, int level, int err, struct uffdctl_range range, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* For a note that is about no range. */
extern const struct uffdctl_range serve_nowhere;

/* Let the control thread look what has happened. */
void serve_poke(struct uffdctl_serve *s);

#endif
