// SPDX-License-Identifier: GPL-2.0-or-later
/* A recording as a trace of Chrome's format: a track for each thread, and flows from who waited to who resolved. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/json.h"
#include "cmd/report/report.h"

/* Threads whose names were written. */
#define MAX_NAMED 65536

struct trace {
	const struct recording *recording;
	bool begun;
	uint64_t nr_flows;
	struct tallies threads, processes;
};

/* Begin an event; end it with put_end(). Names of threads and mappings are put in as JSON. */
static void put_event(struct trace *t, char phase, pid_t pid, pid_t tid)
{
	printf("%s\n{\"ph\":\"%c\",\"pid\":%d,\"tid\":%d", t->begun ? "," : "", phase, pid, tid);
	t->begun = true;
}

/* Microseconds, as the format has them, without rounding. */
static void put_time(const char *key, uint64_t ns)
{
	printf(",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, (unsigned int)(ns % 1000));
}

static void put_string(const char *key, const char *raw)
{
	json_object *o = json_object_new_object();
	const char *text;

	json_text(o, key, raw);
	text = json_text_of(o);
	/* Without the braces. */
	printf("%.*s", (int)strlen(text) - 2, text + 1);
	json_object_put(o);
}

static void put_end(void)
{
	putchar('}');
}

/* ---- names of tracks ---- */

/* Is it new? Those that find no room are never new: they have no name. */
static bool is_new(struct tallies *g, pid_t pid, pid_t tid, const char *comm, const struct uffdctl_fault *f)
{
	struct tally_key key = { .pid = pid, .tid = tid, .text = comm };
	struct wait_parts parts = wait_parts_of(f);
	uint32_t nr = g->nr;

	tallies_add(g, &key, f, &parts);
	return g->nr > nr;
}

static void put_name(struct trace *t, const char *what, pid_t pid, pid_t tid, const char *comm)
{
	put_event(t, 'M', pid, tid);
	printf(",\"name\":\"%s\",\"args\":{", what);
	put_string("name", comm);
	putchar('}');
	put_end();
}

static void name_thread(struct trace *t, pid_t pid, pid_t tid, const char *comm, const struct uffdctl_fault *f)
{
	if (is_new(&t->threads, pid, tid, comm, f))
		put_name(t, "thread_name", pid, tid, comm);
	/* Its main thread's name, or else that of the first thread. */
	if (is_new(&t->processes, pid, 0, NULL, f) || pid == tid)
		put_name(t, "process_name", pid, pid, comm);
}

/* ---- faults ---- */

static void put_args(const struct uffdctl_fault *f, const char *symbol)
{
	printf(",\"args\":{\"addr\":\"0x%" PRIx64 "\",\"access\":\"%s\",\"ended\":\"%s\",", f->addr,
	       uffdctl_access_name(f->access) ?: "unknown", uffdctl_end_name(f->end));
	put_string("name", f->name);
	putchar(',');
	put_string("op", f->op);
	putchar(',');
	put_string("symbol", symbol);
	putchar('}');
}

static void put_slice(struct trace *t, const struct uffdctl_fault *f, const char *symbol, const char *part,
		      uint64_t from_ns, uint64_t len_ns)
{
	put_event(t, 'X', f->pid, f->tid);
	printf(",\"cat\":\"%s\",\"name\":\"%s %s\"", part, uffdctl_kind_name(f->kind), part);
	put_time("ts", from_ns);
	put_time("dur", len_ns);
	put_args(f, symbol);
	put_end();
}

/* From the slice that ends with it to a mark on the track of who resolved it. */
static void put_flow(struct trace *t, const struct uffdctl_fault *f, uint64_t from_ns, uint64_t end_ns)
{
	put_event(t, 's', f->pid, f->tid);
	printf(",\"cat\":\"resolve\",\"name\":\"resolve\",\"id\":%" PRIu64, ++t->nr_flows);
	put_time("ts", from_ns);
	put_end();
	put_event(t, 'X', f->resolver_pid, f->resolver_tid);
	fputs(",\"cat\":\"resolve\",", stdout);
	put_string("name", f->op ?: "resolve");
	put_time("ts", end_ns);
	put_time("dur", 100);
	printf(",\"args\":{\"addr\":\"0x%" PRIx64 "\",\"waiter_tid\":%d}", f->addr, f->tid);
	put_end();
	put_event(t, 'f', f->resolver_pid, f->resolver_tid);
	printf(",\"bp\":\"e\",\"cat\":\"resolve\",\"name\":\"resolve\",\"id\":%" PRIu64, t->nr_flows);
	put_time("ts", end_ns);
	put_end();
}

static void put_instant(struct trace *t, const struct uffdctl_fault *f, const char *symbol, uint64_t at)
{
	put_event(t, 'i', f->pid, f->tid);
	printf(",\"s\":\"t\",\"cat\":\"fault\",\"name\":\"%s, wait not known\"", uffdctl_kind_name(f->kind));
	put_time("ts", at);
	put_args(f, symbol);
	put_end();
}

static void put_fault(void *data, const struct uffdctl_fault *f, const char *symbol)
{
	struct trace *t = data;
	uint64_t at = recording_time(t->recording, f), queued;

	name_thread(t, f->pid, f->tid, f->comm, f);
	if (f->wait_ns == UFFDCTL_UNKNOWN) {
		put_instant(t, f, symbol, at);
		return;
	}
	queued = f->queue_ns < f->wait_ns ? f->queue_ns : f->wait_ns;
	put_slice(t, f, symbol, "queued", at, queued);
	if (queued < f->wait_ns)
		put_slice(t, f, symbol, "handled", at + queued, f->wait_ns - queued);
	if (!f->resolver_pid)
		return;
	name_thread(t, f->resolver_pid, f->resolver_tid, f->resolver_comm, f);
	put_flow(t, f, at + (queued < f->wait_ns ? queued : 0), at + f->wait_ns);
}

/* ---- all ---- */

int report_trace(const struct report *r)
{
	struct trace t = { .recording = r->recording };
	int err = tallies_init(&t.threads, MAX_NAMED, false);

	if (err >= 0)
		err = tallies_init(&t.processes, MAX_NAMED, false);
	if (err >= 0) {
		fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", stdout);
		recording_read(r->recording, put_fault, &t);
		puts("\n]}");
	} else {
		error(r->messages, "out of memory");
	}
	tallies_free(&t.threads);
	tallies_free(&t.processes);
	return err;
}
