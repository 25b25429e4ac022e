// SPDX-License-Identifier: GPL-2.0-or-later
/* watch --control: continues waiting minor faults, each time after a confirmation. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/watch/view/control.h"
#include "cmd/watch/view/text.h"
#include "lib/cleanup.h"

/* What the user was asked. The screen may change meanwhile: do what was asked, if it is still valid. */
struct plan {
	struct uffdctl *u;
	struct uffdctl_target *t; /* kept open, so that a recycled PID is not taken for it */
	char name[VIEW_NAME];	  /* name of the mapping; only its beginning, if it is long */
	pid_t pid, holder_pid;
	int holder_fd;
	uint64_t page_size;
	uint64_t pages[VIEW_MAX_WAITERS];
	size_t nr_pages;
	uint64_t mapped, already, absent;
	char error[VIEW_MESSAGE];
};

/* ---- doing ---- */

static uint64_t known(uint64_t bytes)
{
	return bytes == UFFDCTL_UNKNOWN ? 0 : bytes;
}

static void on_result(void *data, const struct uffdctl_result *r)
{
	struct plan *plan = data;

	plan->mapped += known(r->mapped);
	plan->already += known(r->already);
	plan->absent += known(r->absent);
	if (r->error && !*plan->error)
		snprintf(plan->error, sizeof(plan->error), "%s", r->error_text ?: strerror(-r->error));
}

static int add_pages(const struct plan *plan, struct uffdctl_ranges *ranges)
{
	char text[64];
	int r = 0;

	for (size_t i = 0; r >= 0 && i < plan->nr_pages; i++) {
		snprintf(text, sizeof(text), "%" PRIx64 "+%" PRIu64, plan->pages[i], plan->page_size);
		r = uffdctl_ranges_add(ranges, text);
	}
	return r;
}

static bool waits_at(const struct plan *plan, const struct uffdctl_pending *p, uint64_t page)
{
	for (size_t i = 0; i < uffdctl_pending_count(p); i++) {
		const struct uffdctl_waiter *w = uffdctl_pending_get(p, i);

		if (w->target_pid == plan->pid && w->kind == UFFDCTL_KIND_MINOR &&
		    w->addr / plan->page_size * plan->page_size == page &&
		    !strncmp(w->name ?: "", plan->name, strlen(plan->name)))
			return true;
	}
	return false;
}

/* Pages without waiters may belong to another mapping by now: leave them out. */
static int drop_stale_pages(struct plan *plan)
{
	const struct uffdctl_find_opts opts = { .size = sizeof(opts), .pids = &plan->pid, .nr_pids = 1 };
	struct uffdctl_pending *p;
	size_t nr = 0;
	int r = uffdctl_target_check(plan->t);

	if (r >= 0)
		r = uffdctl_pending(plan->u, &opts, &p);
	if (r < 0)
		return r;
	for (size_t i = 0; i < plan->nr_pages; i++)
		if (waits_at(plan, p, plan->pages[i]))
			plan->pages[nr++] = plan->pages[i];
	uffdctl_pending_free(p);
	plan->nr_pages = nr;
	return 0;
}

static int do_continue(struct plan *plan)
{
	const struct uffdctl_action_opts opts = {
		.size = sizeof(opts), .nr_threads = 1, .result = on_result, .data = plan
	};
	struct uffdctl_handle_opts which = { .size = sizeof(which) };
	struct uffdctl_ranges *ranges = NULL;
	struct uffdctl_handle *h = NULL;
	int r = drop_stale_pages(plan);

	if (r < 0 || !plan->nr_pages)
		return r;
	r = uffdctl_ranges_new(plan->u, &ranges);
	if (r >= 0)
		r = add_pages(plan, ranges);
	which.ranges = ranges;
	if (plan->holder_pid) {
		which.flags = UFFDCTL_HANDLE_FD;
		which.pid = plan->holder_pid;
		which.fd = plan->holder_fd;
	}
	if (r >= 0)
		r = uffdctl_handle_open(plan->t, &which, &h);
	if (r >= 0)
		r = uffdctl_continue(h, ranges, &opts);
	uffdctl_handle_close(h);
	uffdctl_ranges_free(ranges);
	return r;
}

static void on_yes(struct view *v)
{
	struct plan *plan = v->plan;
	char mapped[NUM_SIZE], already[NUM_SIZE];
	int r;

	plan->mapped = plan->already = plan->absent = 0;
	plan->error[0] = '\0';
	r = do_continue(plan);
	v->live->mappings.want_scan = true;
	/* The library's messages about other failures are shown already. */
	if (r < 0 && *plan->error)
		messages_say(&v->messages, true, "continue: %s", plan->error);
	else if (r >= 0 && !plan->nr_pages)
		messages_say(&v->messages, false, "no thread waits there any more: nothing was done");
	else if (r >= 0)
		messages_say(&v->messages, plan->absent != 0, "continued: %s mapped now, %s mapped before%s",
			     text_bytes(mapped, plan->mapped), text_bytes(already, plan->already),
			     plan->absent ? "; some pages are not in the page cache" : "");
}

/* ---- what is asked about ---- */

static void add_page(struct plan *plan, uint64_t addr)
{
	uint64_t page = addr / plan->page_size * plan->page_size;

	for (size_t i = 0; i < plan->nr_pages; i++)
		if (plan->pages[i] == page)
			return;
	plan->pages[plan->nr_pages++] = page;
}

static bool can_continue(const struct waiter *w)
{
	return w->kind == UFFDCTL_KIND_MINOR && w->addr != UFFDCTL_UNKNOWN && w->target_pid;
}

void control_end(struct view *v)
{
	if (v->plan)
		uffdctl_target_close(v->plan->t);
	free(v->plan);
	v->plan = NULL;
}

/* Make a plan for that fault. NULL: no memory, or the process can't be opened, which the library has logged. */
static struct plan *plan_for(struct view *v, const struct waiter *w)
{
	const struct mapping *map = model_find(v->frame, w->target_pid, w->addr);
	struct plan *plan;

	control_end(v);
	v->plan = plan = calloc(1, sizeof(*plan));
	if (!plan || uffdctl_target_open(v->u, w->target_pid, &plan->t) < 0)
		return NULL;
	plan->u = v->u;
	memcpy(plan->name, w->name, sizeof(plan->name));
	plan->pid = w->target_pid;
	plan->holder_pid = w->holder_pid;
	plan->holder_fd = w->holder_fd;
	plan->page_size = map && map->page_size ? map->page_size : (uint64_t)sysconf(_SC_PAGESIZE);
	add_page(plan, w->addr);
	return plan;
}

/* ---- asking ---- */

static void __attribute__((format(printf, 2, 3))) ask(struct question *q, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(q->lines[q->nr_lines++], VIEW_MESSAGE, fmt, ap);
	va_end(ap);
}

/* The contents of the first page. */
static void describe_page(struct view *v, const struct plan *plan)
{
	struct question *q = &v->question;
	struct uffdctl_peek peek = { .size = sizeof(peek) };
	unsigned char buf[16];
	char hex[3 * sizeof(buf) + 1] = "";
	int r;

	v->messages.muted = true;
	r = uffdctl_peek(plan->t, plan->pages[0], buf, sizeof(buf), &peek);
	v->messages.muted = false;
	for (size_t i = 0; r >= 0 && i < peek.len; i++)
		snprintf(hex + 3 * i, 4, "%02x ", buf[i]);
	if (r >= 0 && peek.cached == 0)
		ask(q, "It is NOT in the page cache any more: it can't be mapped.");
	else if (*hex)
		ask(q, "It is in the page cache and begins with");
	else
		/* It was cached, or else the fault would not have been a minor one. */
		ask(q, "It was in the page cache; its contents can't be read here.");
	if (*hex)
		ask(q, "  %s", hex);
}

static void ask_last(struct view *v)
{
	ask(&v->question, "The handler does not take part in this.");
	v->question.yes = on_yes;
	v->mode = MODE_CONFIRM;
}

void control_ask(struct view *v)
{
	const struct waiter *w = view_selected_waiter(v);
	struct question *q = &v->question;
	_cleanup_free_ char *comm = NULL, *name = NULL;
	char size[NUM_SIZE];
	struct plan *plan;

	if (!w) {
		messages_say(&v->messages, false, "no thread waits");
		return;
	}
	if (!can_continue(w)) {
		messages_say(&v->messages, true, "thread %d: only minor faults are continued; this is %s", w->tid,
			     w->kind == UFFDCTL_KIND_MISSING ? "missing: see uffdctl copy"
			     : w->kind == UFFDCTL_KIND_MINOR ? "minor, but its address or process is not known"
							     : (uffdctl_kind_name(w->kind) ?: "not known"));
		return;
	}
	plan = plan_for(v, w);
	if (!plan)
		return;
	q->nr_lines = 0;
	uffdctl_escape(w->comm, &comm);
	name = text_name(w->name);
	ask(q, "Continue the minor fault of thread %d (%s)?", w->tid, comm ?: "?");
	ask(q, "Its page of %s at %" PRIx64 " will be mapped as it is:", text_bytes(size, plan->page_size),
	    plan->pages[0]);
	ask(q, "%s in process %d.", name && *name ? name : "memory without a name", plan->pid);
	describe_page(v, plan);
	ask_last(v);
}

/* Make a plan for all faults there. Returns the number of waiters; -ESRCH: the process has ended. */
static int plan_for_all(struct view *v, const struct mapping *map)
{
	const struct scan *scan = &v->frame->scan;
	int nr_threads = 0;

	for (size_t i = 0; i < scan->nr_waiters; i++) {
		const struct waiter *w = &scan->waiters[i];

		if (!can_continue(w) || model_find(v->frame, w->target_pid, w->addr) != map)
			continue;
		if (nr_threads++)
			add_page(v->plan, w->addr);
		else if (!plan_for(v, w))
			return -ESRCH;
	}
	return nr_threads;
}

void control_ask_all(struct view *v)
{
	const struct mapping *map = view_selected_mapping(v);
	int nr_threads = map ? plan_for_all(v, map) : 0;
	struct question *q = &v->question;
	_cleanup_free_ char *name = NULL;
	size_t nr_pages;

	if (!nr_threads)
		messages_say(&v->messages, false,
			     map ? "no minor fault waits in this mapping" : "no mapping is selected");
	if (nr_threads <= 0)
		return;
	q->nr_lines = 0;
	name = text_name(map->name);
	nr_pages = v->plan->nr_pages;
	if (nr_threads == 1)
		ask(q, "Continue the one minor fault that waits in");
	else
		ask(q, "Continue all %d minor faults that wait in", nr_threads);
	ask(q, "%s?", name && *name ? name : "this mapping");
	ask(q, "%zu %s mapped unchanged in process %d.", nr_pages, nr_pages == 1 ? "page will be" : "pages will be",
	    v->plan->pid);
	ask(q, "The first page:");
	describe_page(v, v->plan);
	ask_last(v);
}
