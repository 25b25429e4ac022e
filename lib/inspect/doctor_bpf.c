// SPDX-License-Identifier: LGPL-2.1-or-later
/* BPF: its least parts, the iterators, and each backend of watching, attached and taken off again. */
#include <errno.h>
#include <string.h>

#include "lib/inspect/doctor_check.h"
#include "lib/kernel/bpf_try.h"
#include "lib/kernel/iter.h"

struct finding check_bpf_map(struct uffdctl_doctor *d)
{
	int r = d->avoid & 1u << REACH_BPF ? -EPERM : bpf_try_map();

	return r < 0 ? why_bpf(d, r, "making a BPF map") : found_yes("maps can be made");
}

struct finding check_bpf_program(struct uffdctl_doctor *d)
{
	int r = d->avoid & 1u << REACH_BPF ? -EPERM : bpf_try_program();

	return r < 0 ? why_bpf(d, r, "loading a BPF program")
		     : found_yes("programs that read kernel memory can be loaded");
}

/* ---- the iterators ---- */

static bool has_uffd(const struct uffdctl_doctor *d)
{
	for (enum uffd_way way = 0; way < UFFD_NR_WAYS; way++)
		if (!d->ways[way])
			return true;
	return false;
}

static int load_iterators(struct uffdctl_doctor *d)
{
	struct iter *it;

	return iter_get(d->u, &it);
}

struct finding check_bpf_iterators(struct uffdctl_doctor *d)
{
	int r = load_iterators(d);
	struct finding f;

	if (r == 0)
		return found_yes("owners, holders, registered bytes, and what threads wait for");
	/* They know userfaultfds by one of ours. */
	if (!has_uffd(d) && bpf_try_program() == 0) {
		f = why_uffd(d, UFFD_BY_DEVICE, d->ways[UFFD_BY_DEVICE]);
		f.detail = doctor_text(d, "BPF works, but the iterators need a userfaultfd: %s", f.detail);
		return f;
	}
	return why_bpf(d, r, "loading the BPF iterators");
}

/* ---- backends of watching ---- */

/* Most of the time is the verifier's, in the kernel: each has a thread, the one that takes longest first. */
static const struct {
	enum check_id id;
	const char *name, *detail;
} backends[NR_BACKENDS] = {
	{ CHECK_WATCH_SCHED, "sched", "attached; while it watches, it slows down each task switch and system call" },
	{ CHECK_WATCH_KPROBE, "kprobe", "attached" },
	{ CHECK_WATCH_FENTRY, "fentry", "attached" },
	{ CHECK_WATCH_TRACEPOINT, "tracepoint", "attached" },
};

static void try_backend(struct backend_try *t)
{
	pid_t self = getpid();
	struct uffdctl_watch_opts opts = { .size = sizeof(opts), .backend = t->name, .pids = &self, .nr_pids = 1 };
	struct uffdctl_watch *w = NULL;
	struct uffdctl *u;

	t->err = uffdctl_new(&u);
	if (t->err < 0)
		return;
	t->err = uffdctl_watch_open(u, &opts, &w);
	if (t->err < 0)
		t->text = strdup(uffdctl_last_error(u));
	uffdctl_watch_close(w);
	uffdctl_free(u);
}

static void *try_backends(void *arg)
{
	struct uffdctl_doctor *d = arg;
	unsigned int i;

	while ((i = __atomic_fetch_add(&d->next_backend, 1, __ATOMIC_RELAXED)) < NR_BACKENDS)
		try_backend(&d->backends[i]);
	return NULL;
}

void bpf_begin(struct uffdctl_doctor *d)
{
	for (size_t i = 0; i < NR_BACKENDS; i++)
		d->backends[i].name = backends[i].name;
	/* They need the iterators, too. */
	if (load_iterators(d) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(d->threads); i++)
		if (pthread_create(&d->threads[d->nr_threads], NULL, try_backends, d) == 0)
			d->nr_threads++;
	if (!d->nr_threads)
		try_backends(d);
}

void bpf_end(struct uffdctl_doctor *d)
{
	while (d->nr_threads)
		pthread_join(d->threads[--d->nr_threads], NULL);
}

/* "backend fentry: this kernel ..." */
static const char *reason_of(struct uffdctl_doctor *d, const struct backend_try *t)
{
	const char *colon = t->text ? strstr(t->text, ": ") : NULL;

	return doctor_text(d, "%s", colon ? colon + 2 : t->text ?: strerror(-t->err));
}

static struct finding why_backend(struct uffdctl_doctor *d, const struct backend_try *t)
{
	const char *text = reason_of(d, t);
	uint64_t layers = UFFDCTL_LAYER_KERNEL;

	if (t->err == -ENOMEM || t->err == -EMFILE || t->err == -ENFILE)
		return found_no(UFFDCTL_LAYER_RESOURCE, text, NULL);
	if (t->err == -EPERM || t->err == -EACCES) {
		layers |= UFFDCTL_LAYER_LSM;
		if (!d->settings.lockdown_known || strcmp(d->settings.lockdown, "none"))
			layers |= UFFDCTL_LAYER_LOCKDOWN;
		text = doctor_text(d, "%s; whether by its configuration, %s is not known", text,
				   layers & UFFDCTL_LAYER_LOCKDOWN ? "an LSM or lockdown" : "or by an LSM");
	}
	return found_no(layers, text, NULL);
}

struct finding check_watch(struct uffdctl_doctor *d, enum check_id id)
{
	struct finding f;

	bpf_end(d);
	for (size_t i = 0; i < NR_BACKENDS; i++) {
		const struct backend_try *t = &d->backends[i];

		if (backends[i].id != id)
			continue;
		if (!d->next_backend)
			break;
		return t->err ? why_backend(d, t) : found_yes(backends[i].detail);
	}
	f = check_bpf_iterators(d);
	f.detail = doctor_text(d, "needs the BPF iterators: %s", f.detail);
	return f;
}
