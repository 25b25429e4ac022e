// SPDX-License-Identifier: GPL-2.0-or-later
/* watch --control: continuing minor faults that wait, each time after a question. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "cmd/watch/view/view.h"

/* What was asked about. The picture may move on meanwhile: what is done is what was asked, if it still holds. */
static struct {
	struct uffdctl_target *t; /* held since, so that a PID that is used again is not taken for it */
	char name[VIEW_NAME];	  /* of the mapping; its beginning, if it is long */
	pid_t pid, holder_pid;
	int holder_fd;
	uint64_t page_size;
	uint64_t pages[VIEW_MAX_WAITERS];
	size_t nr_pages;
	uint64_t mapped, already, absent;
	char error[VIEW_MESSAGE];
} plan;

static void __attribute__((format(printf, 2, 3))) ask(struct view *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->question[v->nr_question++], VIEW_MESSAGE, fmt, ap);
	va_end(ap);
}

/* ---- doing ---- */

static void on_result(void *data, const struct uffdctl_result *r)
{
	(void)data;
	plan.mapped += r->mapped == UFFDCTL_UNKNOWN ? 0 : r->mapped;
	plan.already += r->already == UFFDCTL_UNKNOWN ? 0 : r->already;
	plan.absent += r->absent == UFFDCTL_UNKNOWN ? 0 : r->absent;
	if (r->error && !*plan.error)
		snprintf(plan.error, sizeof(plan.error), "%s", r->error_text ?: strerror(-r->error));
}

static int add_pages(struct uffdctl_ranges *ranges)
{
	char text[64];
	int r = 0;

	for (size_t i = 0; r >= 0 && i < plan.nr_pages; i++) {
		snprintf(text, sizeof(text), "%" PRIx64 "+%" PRIu64, plan.pages[i], plan.page_size);
		r = uffdctl_ranges_add(ranges, text);
	}
	return r;
}

static bool waits_at(const struct uffdctl_pending *p, uint64_t page)
{
	for (size_t i = 0; i < uffdctl_pending_count(p); i++) {
		const struct uffdctl_waiter *w = uffdctl_pending_get(p, i);

		if (w->target_pid == plan.pid && w->kind == UFFDCTL_KIND_MINOR &&
		    w->addr / plan.page_size * plan.page_size == page &&
		    !strncmp(w->name ?: "", plan.name, strlen(plan.name)))
			return true;
	}
	return false;
}

/* Pages that nobody waits for any more may be another mapping's by now. */
static int drop_stale_pages(void)
{
	struct uffdctl_pending *p;
	size_t nr = 0;
	int r = uffdctl_target_check(plan.t);

	if (r >= 0)
		r = uffdctl_pending(ctx(), UFFDCTL_SOURCE_AUTO, &plan.pid, 1, &p);
	if (r < 0)
		return r;
	for (size_t i = 0; i < plan.nr_pages; i++)
		if (waits_at(p, plan.pages[i]))
			plan.pages[nr++] = plan.pages[i];
	uffdctl_pending_free(p);
	plan.nr_pages = nr;
	return 0;
}

static int do_continue(void)
{
	struct uffdctl_resolve_opts opts = { .nr_threads = 1, .from_fd = -1 };
	struct uffdctl_ranges *ranges = NULL;
	struct uffdctl_handle *h = NULL;
	int r = drop_stale_pages();

	if (r < 0 || !plan.nr_pages)
		return r;
	r = uffdctl_ranges_new(ctx(), &ranges);
	if (r >= 0)
		r = add_pages(ranges);
	if (r >= 0)
		r = uffdctl_handle_open(plan.t, plan.holder_pid == plan.pid ? 0 : plan.holder_pid,
					plan.holder_pid ? plan.holder_fd : -1, ranges, 0, &h);
	if (r >= 0)
		r = uffdctl_continue(h, ranges, &opts, on_result);
	uffdctl_handle_close(h);
	uffdctl_ranges_free(ranges);
	return r;
}

static void on_yes(struct view *v)
{
	char mapped[NUM_SIZE], already[NUM_SIZE];
	int r;

	plan.mapped = plan.already = plan.absent = 0;
	plan.error[0] = '\0';
	r = do_continue();
	v->live->mappings.want_scan = true;
	/* What the library said about other failures is shown already. */
	if (r < 0 && *plan.error)
		view_say(v, true, "continue: %s", plan.error);
	else if (r >= 0 && !plan.nr_pages)
		view_say(v, false, "nobody waits there any more: nothing was done");
	else if (r >= 0)
		view_say(v, plan.absent != 0, "continued: %s mapped, %s mapped before%s",
			 text_bytes(mapped, plan.mapped), text_bytes(already, plan.already),
			 plan.absent ? "; some pages are not in the page cache" : "");
}

/* ---- asking ---- */

/* What the page at addr holds, in a line of the question. */
static void describe_page(struct view *v, uint64_t addr)
{
	struct uffdctl_peek peek = {};
	unsigned char buf[16];
	char hex[3 * sizeof(buf) + 1] = "";
	int r = uffdctl_peek(plan.t, addr, buf, sizeof(buf), &peek);

	for (size_t i = 0; r >= 0 && i < peek.len; i++)
		snprintf(hex + 3 * i, 4, "%02x ", buf[i]);
	if (r >= 0 && peek.cached == 0)
		ask(v, "It is NOT in the page cache any more: nothing to map.");
	else if (*hex)
		ask(v, "It is in the page cache and begins with");
	else
		/* Otherwise its fault would not have been a minor one. */
		ask(v, "It was in the page cache then; it can't be read here.");
	if (*hex)
		ask(v, "  %s", hex);
}

static void add_page(uint64_t addr)
{
	uint64_t page = addr / plan.page_size * plan.page_size;

	for (size_t i = 0; i < plan.nr_pages; i++)
		if (plan.pages[i] == page)
			return;
	plan.pages[plan.nr_pages++] = page;
}

static bool can_continue(const struct waiter *w)
{
	return w->kind == UFFDCTL_KIND_MINOR && w->addr != UFFDCTL_UNKNOWN && w->target_pid;
}

void view_forget_plan(void)
{
	uffdctl_target_close(plan.t);
	plan.t = NULL;
}

/* False: the process is gone, which the library has said. */
static bool plan_for(const struct view *v, const struct waiter *w)
{
	const struct mapping *map = model_find(v->m, w->target_pid, w->addr);

	view_forget_plan();
	if (uffdctl_target_open(ctx(), w->target_pid, &plan.t) < 0)
		return false;
	memcpy(plan.name, w->name, sizeof(plan.name));
	plan.pid = w->target_pid;
	plan.holder_pid = w->holder_pid;
	plan.holder_fd = w->holder_fd;
	plan.page_size = map && map->page_size ? map->page_size : (uint64_t)sysconf(_SC_PAGESIZE);
	plan.nr_pages = 0;
	add_page(w->addr);
	return true;
}

static void ask_last(struct view *v)
{
	ask(v, "The handler is not asked, and does not learn of it.");
	v->yes = on_yes;
	v->mode = MODE_CONFIRM;
}

void view_ask_continue(struct view *v)
{
	const struct waiter *w = selected_waiter(v);
	_cleanup_free_ char *comm = NULL, *name = NULL;
	char size[NUM_SIZE];

	if (!w) {
		view_say(v, false, "no thread waits");
		return;
	}
	if (!can_continue(w)) {
		view_say(v, true, "thread %d: only minor faults are continued; this is %s", w->tid,
			 w->kind == UFFDCTL_KIND_MISSING ? "missing: see uffdctl copy"
							 : (uffdctl_kind_name(w->kind) ?: "not known"));
		return;
	}
	if (!plan_for(v, w))
		return;
	v->nr_question = 0;
	uffdctl_escape(w->comm, &comm);
	name = text_name(w->name);
	ask(v, "Continue the minor fault of thread %d (%s)?", w->tid, comm ?: "?");
	ask(v, "Its page of %s at %" PRIx64 " gets mapped as it is:", text_bytes(size, plan.page_size), plan.pages[0]);
	ask(v, "%s in process %d.", name && *name ? name : "memory without a name", plan.pid);
	describe_page(v, plan.pages[0]);
	ask_last(v);
}

void view_ask_continue_all(struct view *v)
{
	const struct mapping *map = selected_mapping(v);
	const struct scan *scan = &v->m->scan;
	_cleanup_free_ char *name = map ? text_name(map->name) : NULL;
	size_t nr_threads = 0;

	plan.nr_pages = 0;
	for (size_t i = 0; map && i < scan->nr_waiters; i++) {
		const struct waiter *w = &scan->waiters[i];

		if (!can_continue(w) || model_find(v->m, w->target_pid, w->addr) != map)
			continue;
		if (nr_threads++)
			add_page(w->addr);
		else if (!plan_for(v, w))
			return;
	}
	if (!nr_threads) {
		view_say(v, false, map ? "no minor fault waits in this mapping" : "no mapping is selected");
		return;
	}
	v->nr_question = 0;
	if (nr_threads == 1)
		ask(v, "Continue the one minor fault that waits in");
	else
		ask(v, "Continue all %zu minor faults that wait in", nr_threads);
	ask(v, "%s?", name && *name ? name : "this mapping");
	ask(v, "%zu %s mapped, with what the page cache has, in process %d.", plan.nr_pages,
	    plan.nr_pages == 1 ? "page gets" : "pages get", plan.pid);
	ask(v, "The first of them:");
	describe_page(v, plan.pages[0]);
	ask_last(v);
}
