// SPDX-License-Identifier: LGPL-2.1-or-later
/* A userfaultfd that a process hands over through a socket, together with what it governs. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "lib/drive/handoff.h"
#include "lib/kernel/handover.h"
#include "lib/kernel/proc.h"
#include "lib/log.h"
#include "lib/util.h"

static const struct protocol {
	const char *name;
	handoff_parse_fn parse;
} protocols[] = {
	{ "firecracker", handoff_parse_firecracker },
};

struct uffdctl_handoff {
	struct uffdctl *u;
	int socket, uffd; /* ours; -1: none so far */
	pid_t pid;
	char *text;
	size_t len;
	bool complete; /* the text is */
	struct handoff_regions regions;
	const struct protocol *protocol;
};

UFFDCTL_EXPORT int uffdctl_handoff_begin(struct uffdctl *u, int socket, struct uffdctl_handoff **ret)
{
	struct uffdctl_handoff *h = calloc(1, sizeof(*h));
	struct ucred peer = {};
	int r = h ? handover_peer(socket, &peer) : log_oom(u);

	if (h && r < 0)
		fail(u, r, "hand-over: who has connected is not known: %s", strerror(-r));
	if (h && r >= 0 && !peer.pid)
		r = fail(u, -ESRCH,
			 "hand-over: who has connected is not in the PID namespace of this process: it must be");
	else if (h && r >= 0 && geteuid() && peer.uid && peer.uid != geteuid())
		r = fail(u, -EPERM,
			 "hand-over by %d: it is user %u's: only processes of this user and of root are served",
			 peer.pid, peer.uid);
	if (r < 0) {
		free(h);
		return r;
	}
	*h = (struct uffdctl_handoff){ .u = u, .socket = socket, .uffd = -1, .pid = peer.pid };
	*ret = h;
	return 0;
}

UFFDCTL_EXPORT void uffdctl_handoff_free(struct uffdctl_handoff *h)
{
	if (!h)
		return;
	cleanup_close(&h->socket);
	cleanup_close(&h->uffd);
	free(h->text);
	free(h->regions.list);
	free(h);
}

UFFDCTL_EXPORT pid_t uffdctl_handoff_pid(const struct uffdctl_handoff *h)
{
	return h->pid;
}

UFFDCTL_EXPORT int uffdctl_handoff_socket(const struct uffdctl_handoff *h)
{
	return h->socket;
}

UFFDCTL_EXPORT int uffdctl_handoff_uffd(const struct uffdctl_handoff *h)
{
	return h->uffd;
}

UFFDCTL_EXPORT const char *uffdctl_handoff_protocol(const struct uffdctl_handoff *h)
{
	return h->protocol ? h->protocol->name : NULL;
}

UFFDCTL_EXPORT const struct uffdctl_handoff_region *uffdctl_handoff_region(const struct uffdctl_handoff *h, size_t i)
{
	return i < h->regions.nr ? &h->regions.list[i] : NULL;
}

/* Of several descriptors, only the userfaultfd is kept. */
static int take_descriptors(struct uffdctl_handoff *h, struct handover_part *part)
{
	char path[64];
	int r = 0;

	for (size_t i = 0; i < part->nr_fds; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", part->fds[i]);
		if (!proc_is_uffd(AT_FDCWD, path))
			continue;
		if (h->uffd >= 0) {
			r = fail(h->u, -EBADMSG, "hand-over by %d: there are two userfaultfds", h->pid);
			break;
		}
		h->uffd = part->fds[i];
		part->fds[i] = -1;
	}
	handover_close(part);
	return r;
}

static int parse_text(struct uffdctl_handoff *h, size_t len, const char **why)
{
	int r = -EBADMSG;

	for (size_t i = 0; i < ARRAY_SIZE(protocols) && r == -EBADMSG; i++) {
		r = protocols[i].parse(h->text, len, &h->regions, why);
		h->protocol = r == 1 ? &protocols[i] : NULL;
	}
	h->complete = r == 1;
	return r;
}

/* @filler: the last byte may be that of a descriptor, which the kernel has appended to the text before it */
static int parse(struct uffdctl_handoff *h, bool filler)
{
	const char *why = "", *ignored;
	int r = parse_text(h, h->len, &why);

	if (r == -EBADMSG && filler && parse_text(h, h->len - 1, &ignored) == 1)
		return 0;
	return r == -EBADMSG ? fail(h->u, r, "hand-over by %d: %s", h->pid, why) : r == -ENOMEM ? log_oom(h->u) : 0;
}

/* @has_fds: descriptors came with it */
static int add_text(struct uffdctl_handoff *h, const struct handover_part *part, bool has_fds)
{
	char *text;

	/* A descriptor can't be sent without a byte. */
	if (!part->len || (h->complete && h->uffd >= 0 && part->len == 1))
		return 0;
	if (h->complete || h->len + part->len > HANDOFF_MAX_TEXT)
		return fail(h->u, -EBADMSG, "hand-over by %d: %s", h->pid,
			    h->complete ? "something follows the array" : "the message is too long");
	text = realloc(h->text, h->len + part->len);
	if (!text)
		return log_oom(h->u);
	h->text = text;
	memcpy(text + h->len, part->text, part->len);
	h->len += part->len;
	return parse(h, has_fds && part->len > 1);
}

/* Who only looks whether somebody listens, as the next one to listen there does, sends nothing. */
static int fail_receive(const struct uffdctl_handoff *h, int err)
{
	if (err == -EPIPE && !h->len && h->uffd < 0) {
		log_info(h->u, "hand-over by %d: it connected and sent nothing", h->pid);
		return err;
	}
	return fail(h->u, err, "hand-over by %d: %s", h->pid,
		    err == -EPIPE ? "it closed the socket before all was sent" : strerror(-err));
}

UFFDCTL_EXPORT int uffdctl_handoff_step(struct uffdctl_handoff *h)
{
	while (!h->complete || h->uffd < 0) {
		struct handover_part part;
		int r = handover_receive(h->socket, &part);
		bool has_fds = part.nr_fds;

		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return fail_receive(h, r);
		r = take_descriptors(h, &part);
		if (r >= 0)
			r = add_text(h, &part, has_fds);
		if (r < 0)
			return r;
	}
	return 1;
}
