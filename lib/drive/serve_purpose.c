// SPDX-License-Identifier: LGPL-2.1-or-later
/* Serving: what is done on purpose to software under test: faults that take time, and pages that fail. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/drive/serve_plan.h"
#include "lib/drive/serve_purpose.h"
#include "lib/drive/serve_store.h"
#include "lib/drive/serve_verify.h"
#include "lib/kernel/pagemap.h"
#include "lib/kernel/uffd.h"
#include "lib/log.h"

/* ---- delays ---- */

static uint64_t random_up_to(uint64_t max)
{
	uint64_t n = 0;

	/* It does not fail for so few bytes, once the kernel has entropy. */
	if (getrandom(&n, sizeof(n), 0) != sizeof(n))
		n = now_ns(CLOCK_MONOTONIC);
	return max == UINT64_MAX ? n : n % (max + 1);
}

void purpose_delay(struct uffdctl_serve *s)
{
	struct pollfd stop = { .fd = s->stop_fd, .events = POLLIN };
	uint64_t ns = s->opts.delay_ns + random_up_to(s->opts.jitter_ns);
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000) };

	ppoll(&stop, 1, &ts, NULL);
}

/* ---- pages that fail ---- */

static int refuse(const struct uffdctl_serve *s, uint64_t addr, const char *text)
{
	return fail(s->h->t->u, -EINVAL, "%d: %" PRIx64 ": can't be made to fail: %s", s->h->t->pid, addr, text);
}

static bool is_there(const struct uffdctl_serve *s, const struct serve_part *p, uint64_t addr)
{
	struct uffdctl_range page = { addr, addr + p->vma.page_size };
	uint8_t state = 0;

	if (p->store)
		return part_get(p, addr) != SERVE_NEW;
	return s->pagemap >= 0 && pagemap_read(s->pagemap, &p->vma, page, &state) >= 0 && state & PTE_MAPPED;
}

static int check_pages(const struct uffdctl_serve *s, struct uffdctl_range r)
{
	while (r.start < r.end) {
		const struct serve_part *p = memory_part(s->memories, r.start);

		if (!p || !(p->vma.modes & (UFFDCTL_MODE_MISSING | UFFDCTL_MODE_MINOR)))
			return refuse(s, r.start, "it is not in what is served for missing or minor");
		if (is_there(s, p, r.start))
			return refuse(s, r.start, "the process has the page already, or it is not to be filled");
		r.start += p->vma.page_size;
	}
	return 0;
}

int purpose_open(struct uffdctl_serve *s)
{
	int r = s->opts.poison ? serve_plan_ranges(s, s->opts.poison, &s->poison) : 0;

	for (size_t i = 0; r >= 0 && i < s->poison.segs.nr; i++)
		r = check_pages(s, s->poison.segs.segs[i].range);
	return r;
}

/* A mapping that changes just now makes the kernel refuse for a moment; an event that nobody reads, for good. */
#define TRIES 200

static int poison(struct uffdctl_serve *s, struct uffdctl_range r)
{
	uint64_t done;
	int err = 0, tries = 0;

	for (; r.start < r.end && tries < TRIES; r.start += done) {
		err = uffd_poison(s->h->uffd, r, 0, &done);
		if (err < 0 && err != -EAGAIN)
			break;
		if (done)
			continue;
		tries++;
		nanosleep(&(struct timespec){ .tv_nsec = 5 * 1000L * 1000 }, NULL);
	}
	if (r.start == r.end)
		return 0;
	return fail(s->h->t->u, err, "%d: %" PRIx64 ": can't be made to fail: %s%s", s->h->t->pid, r.start,
		    err == -EINVAL ? "this kernel has no UFFDIO_POISON for this memory (needs Linux 6.6)"
				   : strerror(-err),
		    err == -EEXIST ? ": the process has the page now" : "");
}

/* They need nothing any more. */
static void set_states(struct uffdctl_serve *s, struct uffdctl_range r)
{
	while (r.start < r.end) {
		const struct serve_part *p = memory_part(s->memories, r.start);

		if (p->store && part_get(p, r.start) != SERVE_DONE) {
			*part_state(p, r.start) = SERVE_DONE;
			s->already_bytes += p->vma.page_size;
		}
		verify_leave_out(s, p, (struct uffdctl_range){ r.start, r.start + p->vma.page_size });
		r.start += p->vma.page_size;
	}
}

int purpose_start(struct uffdctl_serve *s)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < s->poison.segs.nr; i++) {
		r = poison(s, s->poison.segs.segs[i].range);
		if (r >= 0)
			set_states(s, s->poison.segs.segs[i].range);
	}
	return r;
}

void purpose_close(struct uffdctl_serve *s)
{
	plan_free(&s->poison);
}
