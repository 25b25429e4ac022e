// SPDX-License-Identifier: GPL-2.0-or-later
/* The columns of the threads that can resolve what waits, the second list of uffdctl pending. */
#include <string.h>

#include "cmd/handlers.h"
#include "lib/uffdctl.h"

static const struct uffdctl_handler *handler_of(const void *row)
{
	return row;
}

static void handler_ctx(const void *row, struct cell *ret)
{
	uint32_t ctx = handler_of(row)->ctx;

	cell_number(ret, ctx);
}

static void handler_tid(const void *row, struct cell *ret)
{
	cell_pid(ret, handler_of(row)->tid);
}

static void handler_pid(const void *row, struct cell *ret)
{
	cell_pid(ret, handler_of(row)->pid);
}

static void handler_comm(const void *row, struct cell *ret)
{
	cell_text(ret, handler_of(row)->comm);
}

static void handler_fd(const void *row, struct cell *ret)
{
	cell_number(ret, handler_of(row)->fd);
}

static void handler_role(const void *row, struct cell *ret)
{
	cell_text(ret, uffdctl_role_name(handler_of(row)->role));
}

static void handler_state(const void *row, struct cell *ret)
{
	const char *state = handler_of(row)->state;

	cell_text(ret, state);
	ret->alert = !strcasecmp(state, "t");
}

static void handler_tracer(const void *row, struct cell *ret)
{
	cell_pid(ret, handler_of(row)->tracer_pid);
}

static void handler_syscall(const void *row, struct cell *ret)
{
	cell_text(ret, handler_of(row)->syscall);
}

static void handler_syscall_nr(const void *row, struct cell *ret)
{
	cell_number(ret, handler_of(row)->syscall_nr);
}

static void handler_syscall_fd(const void *row, struct cell *ret)
{
	int fd = handler_of(row)->syscall_fd;

	cell_number(ret, fd < 0 ? UFFDCTL_UNKNOWN : (uint64_t)fd);
}

static void handler_on(const void *row, struct cell *ret)
{
	cell_text(ret, handler_of(row)->on);
}

static void handler_peer(const void *row, struct cell *ret)
{
	cell_pid(ret, handler_of(row)->peer_pid);
}

static void handler_wchan(const void *row, struct cell *ret)
{
	cell_text(ret, handler_of(row)->wchan);
}

const struct column handler_columns[] = {
	{ "CTX", "number of the userfaultfd in this output", COL_RIGHT | COL_HIDDEN, handler_ctx },
	{ "TID", "thread that can resolve", COL_RIGHT, handler_tid },
	{ "PID", "its process", COL_RIGHT, handler_pid },
	{ "COMM", "the thread's name", 0, handler_comm },
	{ "FD", "the userfaultfd in its process", COL_RIGHT | COL_HIDDEN, handler_fd },
	{ "ROLE", "reader: it waits for messages now; only: no other visible thread can read them", 0, handler_role },
	{ "STATE", "as ps(1) shows it: R runs, S sleeps, T is stopped, t is traced", 0, handler_state },
	{ "TRACER_PID", "process that traces it, such as a debugger; shown if there is one",
	  COL_RIGHT | COL_EXTRA | COL_GROUP, handler_tracer },
	{ "SYSCALL", "system call that it is in", 0, handler_syscall },
	{ "SYSCALL_NR", "number of that call", COL_RIGHT | COL_HIDDEN, handler_syscall_nr },
	{ "SYSCALL_FD", "descriptor that the call works on", COL_RIGHT | COL_HIDDEN, handler_syscall_fd },
	{ "PEER_PID", "if that is a Unix socket: process that connected or listened", COL_RIGHT, handler_peer },
	{ "ON", "what that descriptor is: a path, a pipe, a socket with its peer", 0, handler_on },
	{ "WCHAN", "kernel function in which it sleeps", COL_WIDE, handler_wchan },
	{}
};
