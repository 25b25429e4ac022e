/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notes that say why no faults are shown. */
#ifndef CMD_WATCH_NOTICES_H
#define CMD_WATCH_NOTICES_H

#include "cmd/watch/output.h"

/* Zero to begin with. */
struct notices {
	bool governed;	     /* a userfaultfd governed the memory */
	bool closed;	     /* it was closed, and so were all others */
	uint64_t look_ns;    /* when to look again */
	uint64_t nr_done;    /* threads that had gone on at the last look */
	uint64_t waiting_ns; /* since when so many threads wait and none has gone on; 0: not so */
	uint64_t nr_waiting;
	uint64_t nr_told;  /* threads that a note was about, since one has gone on */
	bool told_before;  /* about the threads that waited when watching began */
	uint64_t nr_again; /* ioctls that had failed with EAGAIN at the last look */
	pid_t told_event;  /* the thread whose unread event a note was about */
};

/* To be called some times a second: say what is due. @say_waits: also about threads that wait */
int notices_look(struct notices *n, const struct watch_session *s, bool say_waits);

/* "4211: no userfaultfd governs its memory yet…" */
void notices_ungoverned(const struct watch_options *o, char *buf, size_t size);

#endif
