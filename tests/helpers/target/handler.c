// SPDX-License-Identifier: GPL-2.0-or-later
/* Fault handlers: threads, or a child, that read a userfaultfd's messages. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/futex.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/handler.h"
#include "tests/helpers/target/job.h"
#include "tests/helpers/target/map.h"
#include "tests/helpers/target/request.h"
#include "tests/helpers/target/uapi.h"
#include "tests/helpers/target/uffd.h"

#define MAX_HANDLERS 64

static struct handler handlers[MAX_HANDLERS];

static int resolve(struct handler *h, uint64_t flags, struct uffdio_range range, struct map *m)
{
	uint64_t off = m ? m->file_off + (range.start - m->addr) : 0;
	int64_t copied;

	if (flags & UFFD_PAGEFAULT_FLAG_MINOR) {
		struct uffdio_continue arg = { .range = range };

		arg.mode = h->wp ? UFFDIO_CONTINUE_MODE_WP : 0;
		return ioctl(h->uffd, UFFDIO_CONTINUE, &arg);
	}
	if (flags & UFFD_PAGEFAULT_FLAG_WP) {
		struct uffdio_writeprotect arg = { .range = range };

		return ioctl(h->uffd, UFFDIO_WRITEPROTECT, &arg);
	}
	if (flags & UFFD_PAGEFAULT_FLAG_RWP) {
		struct uffdio_rwprotect arg = { .range = range };

		return ioctl(h->uffd, UFFDIO_RWPROTECT, &arg);
	}
	return copy_pattern(h->uffd, range.start, range.len, off, range.len, h->action == ACT_COPY ? h->seed : 0,
			    &copied);
}

/* Keeps its thread for good; true if it did. */
static bool keep_busy(struct handler *h)
{
	uint32_t word = 0;
	char byte;

	switch (h->action) {
	case ACT_READ:
		return read(h->fd, &byte, 1) != -1;
	case ACT_FUTEX:
		return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0) != -1;
	case ACT_SPIN:
		while (!h->stop)
			;
		return true;
	default:
		return false;
	}
}

static void handle_fault(struct handler *h, struct uffd_msg *msg)
{
	uint64_t flags = msg->arg.pagefault.flags, addr = msg->arg.pagefault.address;
	struct map *m = map_at(addr);
	uint64_t page = m ? m->page : page_size;
	struct uffdio_range range = { .start = addr / page * page, .len = page };

	if (flags & UFFD_PAGEFAULT_FLAG_MINOR)
		h->counts->minor++;
	else if (flags & UFFD_PAGEFAULT_FLAG_WP)
		h->counts->wp++;
	else if (flags & UFFD_PAGEFAULT_FLAG_RWP)
		h->counts->rwp++;
	else
		h->counts->missing++;
	if (h->action == ACT_COUNT || keep_busy(h))
		return;
	/* Already resolved, or memory that changes just now: let the thread try again. */
	if (resolve(h, flags, range, m)) {
		h->counts->errors++;
		ioctl(h->uffd, UFFDIO_WAKE, &range);
	}
}

static void handle_msg(struct handler *h, struct uffd_msg *msg)
{
	switch (msg->event) {
	case UFFD_EVENT_PAGEFAULT:
		handle_fault(h, msg);
		break;
	case UFFD_EVENT_FORK:
		h->counts->fork_fd = (int)msg->arg.fork.ufd;
		h->counts->fork++;
		break;
	case UFFD_EVENT_REMAP:
		h->counts->remap++;
		break;
	case UFFD_EVENT_REMOVE:
		h->counts->remove++;
		break;
	case UFFD_EVENT_UNMAP:
		h->counts->unmap++;
		break;
	}
}

/* Until stopped; in a child also until the lifeline is cut. */
void handler_loop(struct handler *h, int lifeline_fd)
{
	struct pollfd fds[] = {
		{ .fd = h->action == ACT_NONE ? -1 : h->uffd, .events = POLLIN },
		{ .fd = h->stop_fd, .events = POLLIN },
		{ .fd = lifeline_fd, .events = POLLIN },
	};
	struct uffd_msg msg;
	ssize_t n;

	while (!h->stop) {
		/* poll says nothing but POLLERR of a blocking one: read, a signal ends it */
		if (!h->blocking || h->action == ACT_NONE) {
			if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
				return;
			if (fds[1].revents || fds[2].revents)
				return;
		}
		n = read(h->uffd, &msg, sizeof(msg));
		if (n == sizeof(msg))
			handle_msg(h, &msg);
		else if (errno != EAGAIN && errno != EINTR)
			return;
	}
}

static void *handler_thread(void *arg)
{
	struct handler *h = arg;

	prctl(PR_SET_NAME, "handler");
	h->tid = gettid();
	handler_loop(h, -1);
	h->running = false;
	return NULL;
}

static struct handler *handler_of(int uffd)
{
	for (int i = 0; i < MAX_HANDLERS; i++)
		if (handlers[i].counts && handlers[i].uffd == uffd)
			return &handlers[i];
	return NULL;
}

static int arg_handler(struct json_object *req, struct handler **ret)
{
	int fd, err = need_uffd(req, &fd);

	*ret = handler_of(fd);
	if (!err && !*ret)
		err = fail(ENOENT, "userfaultfd %d has no handler", fd);
	return err;
}

int handler_new(struct json_object *req, struct handler **ret)
{
	static const struct name_value actions[] = {
		{ "none", ACT_NONE }, { "count", ACT_COUNT }, { "continue", ACT_CONTINUE }, { "copy", ACT_COPY },
		{ "read", ACT_READ }, { "futex", ACT_FUTEX }, { "spin", ACT_SPIN },
	};
	struct handler *h;
	uint64_t action;
	int fd, fl, err = need_uffd(req, &fd);

	if (!err)
		err = arg_name(req, "action", "continue", actions, ARRAY_SIZE(actions), &action);
	if (err)
		return err;
	h = handler_of(fd);
	if (h && h->running)
		return fail(EBUSY, "userfaultfd %d has a handler", fd);
	for (int i = 0; !h && i < MAX_HANDLERS; i++)
		if (!handlers[i].counts)
			h = &handlers[i];
	fl = fcntl(fd, F_GETFL);
	if (!h || fl < 0)
		return h ? fail_errno("uffd") : fail(ENOSPC, "too many handlers");
	if (h->counts)
		munmap(h->counts, sizeof(*h->counts));
	*h = (struct handler){ .uffd = fd, .action = (enum action)action };
	h->blocking = !(fl & O_NONBLOCK);
	h->wp = arg_bool(req, "wp", false);
	h->seed = arg_u64(req, "seed", 1);
	h->fd = arg_int(req, "fd", -1);
	h->stop_fd = eventfd(0, EFD_CLOEXEC);
	h->counts = mmap(NULL, sizeof(*h->counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h->stop_fd < 0 || h->counts == MAP_FAILED)
		return fail_errno("handler");
	h->counts->fork_fd = -1;
	*ret = h;
	return 0;
}

void handler_child_ended(pid_t pid)
{
	for (int i = 0; i < MAX_HANDLERS; i++)
		if (handlers[i].child == pid)
			handlers[i].running = false;
}

static bool is_asleep(pid_t tid)
{
	char path[64], text[128] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	if (!f)
		return false;
	state = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	fclose(f);
	return state && !strncmp(state, ") S", 3);
}

/* Returns when it waits for messages, as all that asks for readers can see from then on. */
static int cmd_handler(struct json_object *req, struct json_object *res)
{
	struct handler *h;
	int err = handler_new(req, &h);

	(void)res;
	if (err)
		return err;
	h->running = true;
	err = start_thread(handler_thread, h, SMALL_STACK, &h->thread);
	if (err)
		h->running = false;
	while (h->running && !(h->tid && is_asleep(h->tid)))
		sched_yield();
	return err;
}

static int cmd_handler_stats(struct json_object *req, struct json_object *res)
{
	struct handler *h;
	int err = arg_handler(req, &h);

	if (err)
		return err;
	put_u64(res, "minor", h->counts->minor);
	put_u64(res, "missing", h->counts->missing);
	put_u64(res, "wp", h->counts->wp);
	put_u64(res, "rwp", h->counts->rwp);
	put_u64(res, "fork", h->counts->fork);
	put_u64(res, "remap", h->counts->remap);
	put_u64(res, "remove", h->counts->remove);
	put_u64(res, "unmap", h->counts->unmap);
	put_u64(res, "errors", h->counts->errors);
	put_int(res, "fork_fd", h->counts->fork_fd);
	return 0;
}

static int cmd_handler_stop(struct json_object *req, struct json_object *res)
{
	struct handler *h;
	int err = arg_handler(req, &h);

	(void)res;
	if (err)
		return err;
	if (!h->running && !h->thread)
		return fail(ESRCH, "the handler has ended");
	h->stop = true;
	if (eventfd_write(h->stop_fd, 1))
		return fail_errno("eventfd");
	if (h->child) {
		waitpid(h->child, NULL, 0);
	} else {
		while (h->blocking && h->running) { /* between its test of stop and its read */
			pthread_kill(h->thread, SIGUSR1);
			usleep(1000);
		}
		pthread_join(h->thread, NULL);
	}
	h->running = false;
	h->thread = 0;
	close(h->stop_fd);
	return 0;
}

static int cmd_read_msg(struct json_object *req, struct json_object *res)
{
	struct pollfd p = { .events = POLLIN };
	struct uffd_msg msg;
	int n, err = need_uffd(req, &p.fd);

	if (err)
		return err;
	if (!(fcntl(p.fd, F_GETFL) & O_NONBLOCK))
		return fail(EINVAL, "a blocking userfaultfd would block this process's main thread");
	n = poll(&p, 1, arg_int(req, "timeout_ms", WAIT_MS));
	if (n <= 0)
		return n ? fail_errno("poll") : fail(ETIMEDOUT, "no message");
	if (read(p.fd, &msg, sizeof(msg)) != sizeof(msg))
		return fail_errno("read");
	put_int(res, "event", msg.event);
	if (msg.event == UFFD_EVENT_PAGEFAULT) {
		put_hex(res, "addr", msg.arg.pagefault.address);
		put_hex(res, "flags", msg.arg.pagefault.flags);
		put_int(res, "tid", msg.arg.pagefault.feat.ptid);
	} else if (msg.event == UFFD_EVENT_FORK) {
		put_int(res, "fd", msg.arg.fork.ufd);
	} else { /* remap has {from, to, len}, remove and unmap {start, end} */
		put_hex(res, "addr", msg.arg.reserved.reserved1);
		put_hex(res, msg.event == UFFD_EVENT_REMAP ? "to" : "end", msg.arg.reserved.reserved2);
	}
	return 0;
}

const struct command handler_commands[] = {
	{ "handler", cmd_handler, "uffd action wp seed fd" },
	{ "handler_stats", cmd_handler_stats, "uffd" },
	{ "handler_stop", cmd_handler_stop, "uffd" },
	{ "read_msg", cmd_read_msg, "uffd timeout_ms" },
	{},
};
