// SPDX-License-Identifier: LGPL-2.1-or-later
/* The backends fentry and kprobe: programs on those kernel functions that exist. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "lib/kernel/bpf_print.h"
#include "lib/util.h"
#include "lib/watch/watch.h"

#include "watch_fentry.skel.h"
#include "watch_kprobe.skel.h"

/* Defined by the kernel, but not in libc's headers. */
#define ENOTSUPP 524

static bool has_function(const struct btf *btf, const char *name)
{
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

/* Linux 6.10 replaced read by read_iter: the kernel has one of the two functions. */
static void choose_programs(struct bpf_object *obj, const struct btf *btf)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, obj)
	{
		const char *function = strchr(bpf_program__section_name(prog), '/');

		if (function && strncmp(function, "/userfaultfd_read", strlen("/userfaultfd_read")) == 0)
			bpf_program__set_autoload(prog, has_function(btf, function + 1));
	}
}

static int map_fd(struct bpf_object *obj, const char *name)
{
	return bpf_object__find_map_fd_by_name(obj, name);
}

static int check_functions(const struct btf *btf, const char **why)
{
	static const char *const needed[] = { "handle_userfault", "userfaultfd_wake_function", "userfaultfd_ioctl" };

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!has_function(btf, needed[i])) {
			*why = "the kernel's BTF does not have the functions of userfaultfd";
			return -ENOENT;
		}
	return 0;
}

static void use_object(struct uffdctl_watch *w, struct bpf_object *obj)
{
	w->events_fd = map_fd(obj, "events");
	w->slots_fd = map_fd(obj, "slots");
	w->threads_fd = map_fd(obj, "threads");
	w->teams_fd = map_fd(obj, "teams");
	w->resolvers_fd = map_fd(obj, "resolvers");
	w->failures_fd = map_fd(obj, "failures");
	w->processes_fd = map_fd(obj, "processes");
	w->choose_fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "choose_process"));
}

static int load_object(struct uffdctl_watch *w, struct bpf_object_skeleton *s, const char **why)
{
	struct btf *btf;
	int r;

	bpf_print_begin(w->u);
	btf = btf__load_vmlinux_btf();
	r = btf ? check_functions(btf, why) : -errno;
	if (!btf)
		*why = "the kernel's BTF can't be read (/sys/kernel/btf/vmlinux; needs CONFIG_DEBUG_INFO_BTF)";
	if (r == 0) {
		choose_programs(*s->obj, btf);
		r = bpf_object__load_skeleton(s);
	}
	if (r == 0)
		use_object(w, *s->obj);
	btf__free(btf);
	bpf_print_end();
	return r;
}

static int attach_object(struct uffdctl_watch *w, struct bpf_object_skeleton *s)
{
	int r;

	bpf_print_begin(w->u);
	r = bpf_object__attach_skeleton(s);
	bpf_print_end();
	return r;
}

/*
 * The two differ in the type of the skeleton. Its data are mapped again when it is loaded, so they are taken after
 * loading.
 */
#define probe_skel(w, name, why)                                     \
	__extension__({                                              \
		struct name *_skel = name##__open();                 \
		int _err = -errno;                                   \
                                                                     \
		(w)->skel = _skel;                                   \
		if (_skel) {                                         \
			_skel->rodata->config = (w)->config;         \
			_err = load_object(w, _skel->skeleton, why); \
			(w)->all_seen = &_skel->bss->all_seen;       \
			(w)->stats = _skel->bss->stats;              \
		}                                                    \
		_err;                                                \
	})

/* ---- fentry ---- */

static int fentry_probe(struct uffdctl_watch *w, const char **why)
{
	return probe_skel(w, watch_fentry_bpf, why);
}

static int fentry_attach(struct uffdctl_watch *w, const char **why)
{
	struct watch_fentry_bpf *skel = w->skel;
	int r = attach_object(w, skel->skeleton);

	if (r == -EBUSY || r == -ENOTSUPP || r == -EINVAL)
		*why = "the kernel has no BPF trampolines (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS)";
	return r;
}

static void fentry_unload(struct uffdctl_watch *w)
{
	watch_fentry_bpf__destroy(w->skel);
}

const struct watch_backend watch_fentry = {
	.name = "fentry",
	.flags = WATCH_STEPS | WATCH_FAILURES,
	.probe = fentry_probe,
	.open = fentry_attach,
	.close = fentry_unload,
};

/* ---- kprobe ---- */

#define NO_KPROBES "the kernel has no kprobes (CONFIG_KPROBE_EVENTS)"

/* The ways by which libbpf attaches one: without any, loading would be in vain, and that takes a tenth of a second. */
static bool has_kprobes(void)
{
	static const char *const ways[] = { "/sys/bus/event_source/devices/kprobe/type",
					    "/sys/kernel/tracing/kprobe_events",
					    "/sys/kernel/debug/tracing/kprobe_events" };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (access(ways[i], F_OK) == 0 || errno != ENOENT)
			return true;
	return false;
}

static int kprobe_probe(struct uffdctl_watch *w, const char **why)
{
	if (!has_kprobes()) {
		*why = NO_KPROBES;
		return -ENOENT;
	}
	return probe_skel(w, watch_kprobe_bpf, why);
}

static int kprobe_attach(struct uffdctl_watch *w, const char **why)
{
	struct watch_kprobe_bpf *skel = w->skel;
	int r = attach_object(w, skel->skeleton);

	if (r == -ENOENT || r == -EOPNOTSUPP)
		*why = NO_KPROBES;
	return r;
}

static uint64_t kprobe_skipped(struct uffdctl_watch *w)
{
	struct watch_kprobe_bpf *skel = w->skel;
	struct bpf_program *prog;
	uint64_t sum = 0;

	bpf_object__for_each_program(prog, skel->obj)
	{
		struct bpf_prog_info info = {};
		__u32 len = sizeof(info);

		if (bpf_program__type(prog) == BPF_PROG_TYPE_KPROBE && bpf_program__fd(prog) >= 0 &&
		    bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len) == 0)
			sum += info.recursion_misses;
	}
	return sum;
}

static void kprobe_unload(struct uffdctl_watch *w)
{
	watch_kprobe_bpf__destroy(w->skel);
}

const struct watch_backend watch_kprobe = {
	.name = "kprobe",
	.flags = WATCH_STEPS | WATCH_FAILURES,
	.probe = kprobe_probe,
	.open = kprobe_attach,
	.close = kprobe_unload,
	.skipped = kprobe_skipped,
};
