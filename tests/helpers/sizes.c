// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Uses each struct of the library that begins with its size, on a process: PID ADDR. install.py builds this with
 * headers in which these structs have one member less, or one more named another.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uffdctl.h>

#define PAGE 4096

static struct uffdctl *context;

/* What lies behind a struct must stay as it is. */
#define GUARDED(type, name)     \
	struct {                \
		struct type s;  \
		uint64_t guard; \
	} name = { .s = { .size = sizeof(name.s) }, .guard = 0x5a }

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	printf("%s: %d: %s\n", what, r, uffdctl_last_error(context));
	exit(1);
}

static void check_guard(uint64_t guard, const char *what)
{
	if (guard == 0x5a)
		return;
	printf("%s: wrote behind the struct\n", what);
	exit(1);
}

static void on_result(void *data, const struct uffdctl_result *result)
{
	(void)data;
	printf("result %" PRId64 " modes %" PRIu64 " mapped %" PRIu64 "\n", (int64_t)result->error, result->modes,
	       result->mapped);
}

static void inspect(struct uffdctl_target *t, pid_t pid, uint64_t addr)
{
	struct uffdctl_find_opts find = { .size = sizeof(find), .pids = &pid, .nr_pids = 1 };
	struct uffdctl_pending *pending;
	struct uffdctl_maps *maps;
	struct uffdctl_list *list;
	char byte;
	GUARDED(uffdctl_peek, peek);
	struct uffdctl_maps_opts which = { .size = sizeof(which) };

	check(uffdctl_list(context, &find, &list), "list");
	check(uffdctl_pending(context, &find, &pending), "pending");
	which.list = list;
	check(uffdctl_maps(t, &which, &maps), "maps");
	printf("list %zu pending %zu maps %zu\n", uffdctl_list_count(list), uffdctl_pending_count(pending),
	       uffdctl_maps_count(maps));
	check(uffdctl_peek(t, addr, &byte, 1, &peek.s), "peek");
	check_guard(peek.guard, "peek");
	printf("page size %" PRIu64 "\n", peek.s.page_size);
	uffdctl_maps_free(maps);
	uffdctl_pending_free(pending);
	uffdctl_list_free(list);
}

static void drive(struct uffdctl_target *t, uint64_t addr)
{
	struct uffdctl_handle_opts which = { .size = sizeof(which) };
	struct uffdctl_action_opts opts = { .size = sizeof(opts), .result = on_result };
	struct uffdctl_ranges *ranges;
	struct uffdctl_handle *h;
	char text[64];

	check(uffdctl_ranges_new(context, &ranges), "ranges");
	snprintf(text, sizeof(text), "%" PRIx64 "+%d", addr, 2 * PAGE);
	check(uffdctl_ranges_add(ranges, text), text);
	which.ranges = ranges;
	check(uffdctl_handle_open(t, &which, &h), "handle");
	check(uffdctl_register(h, ranges, UFFDCTL_MODE_MINOR, &opts), "register");
	check(uffdctl_continue(h, ranges, &opts), "continue");
	check(uffdctl_unregister(h, ranges, &opts), "unregister");
	uffdctl_handle_close(h);
	uffdctl_ranges_free(ranges);
}

static void watch(pid_t pid)
{
	struct uffdctl_watch_opts opts = { .size = sizeof(opts), .pids = &pid, .nr_pids = 1 };
	struct uffdctl_watch *w;
	GUARDED(uffdctl_watch_stats, stats);

	check(uffdctl_watch_open(context, &opts, &w), "watch");
	check(uffdctl_watch_stats(w, &stats.s), "stats");
	check_guard(stats.guard, "stats");
	printf("faults %" PRIu64 " pending %" PRIu64 " longest %" PRIu64 "\n",
	       stats.s.faults[UFFDCTL_KIND_MINOR - UFFDCTL_KIND_MISSING], stats.s.pending, stats.s.max_wait_ns);
	uffdctl_watch_close(w);
}

/* What a library does that does not know a member. */
static void use_another(struct uffdctl_target *t, uint64_t addr)
{
#ifdef HAS_ANOTHER
	struct uffdctl_find_opts find = { .size = sizeof(find), .another = 1 };
	struct uffdctl_peek peek = { .size = sizeof(peek) };
	struct uffdctl_list *list;
	int r;

	check(uffdctl_peek(t, addr, NULL, 0, &peek), "peek");
	printf("another %" PRId64 "\n", (int64_t)peek.another);
	r = uffdctl_list(context, &find, &list);
	printf("another %d: %s\n", r, uffdctl_last_error(context));
#else
	(void)t, (void)addr;
#endif
}

int main(int argc, char **argv)
{
	pid_t pid = argc > 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	uint64_t addr = argc > 2 ? strtoull(argv[2], NULL, 16) : 0;
	struct uffdctl_target *t;

	if (!pid || uffdctl_new(&context) < 0)
		return 2;
	check(uffdctl_target_open(context, pid, &t), "target");
	inspect(t, pid, addr);
	drive(t, addr);
	watch(pid);
	use_another(t, addr);
	uffdctl_target_close(t);
	uffdctl_free(context);
	return 0;
}
