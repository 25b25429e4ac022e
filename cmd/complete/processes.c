// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PIDs, ranges and userfaultfds for completion. Names that come from processes are made fit to be typed: what is not
 * printable becomes * in a pattern, and is left out elsewhere.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/complete/offer.h"
#include "cmd/values.h"
#include "lib/cleanup.h"

static struct uffdctl_list *find_userfaultfds(const struct offer *o)
{
	const struct uffdctl_find_opts opts = { .size = sizeof(opts) };
	struct uffdctl_list *list = NULL;

	return uffdctl_list(o->inv->context, &opts, &list) < 0 ? NULL : list;
}

static pid_t process_of(const struct offer *o)
{
	pid_t pid = 0;

	if (!o->process)
		return 0;
	if (o->process[0] != '%')
		return parse_number(o->process, &pid) < 0 ? 0 : pid;
	return uffdctl_find_process(o->inv->context, o->process + 1, &pid) < 0 ? 0 : pid;
}

/* Can these bytes be printed as they are? */
static bool is_printable(const char *text)
{
	_cleanup_free_ char *same = NULL;

	return uffdctl_escape(text, &same) == 0 && !strcmp(text, same);
}

/* ---- PIDs ---- */

static void offer_process(const struct offer *o, pid_t pid, const char *comm)
{
	_cleanup_free_ char *text = NULL;
	char number[16], name[20];

	snprintf(number, sizeof(number), "%d", pid);
	offer(o, number, OFFER_TEXT, uffdctl_escape(comm, &text) < 0 ? NULL : text);
	/* A name that reads like history expansion is not offered. */
	snprintf(name, sizeof(name), "%%%s", comm);
	if (o->word[o->before] == '%' && is_printable(comm) && !strchr(comm, '!'))
		offer(o, name, 0, number);
}

/* A process that holds none of the userfaultfds that govern its memory. */
static void offer_target(const struct offer *o, pid_t pid)
{
	struct uffdctl_target *t = NULL;

	if (uffdctl_target_open(o->inv->context, pid, &t) < 0)
		return;
	offer_process(o, pid, uffdctl_target_comm(t));
	uffdctl_target_close(t);
}

void offer_pids(const struct offer *o)
{
	struct uffdctl_list *list = find_userfaultfds(o);
	size_t nr = list ? uffdctl_list_count(list) : 0;

	for (size_t i = 0; i < nr; i++) {
		const struct uffdctl_uffd *uffd = uffdctl_list_get(list, i);
		bool is_new = true, holds = false;

		for (size_t j = 0; j < nr; j++) {
			const struct uffdctl_uffd *other = uffdctl_list_get(list, j);

			is_new &= j >= i || other->pid != uffd->pid;
			holds |= other->pid == uffd->target_pid || (j < i && other->target_pid == uffd->target_pid);
		}
		if (is_new)
			offer_process(o, uffd->pid, uffd->comm);
		if (uffd->target_pid && !holds)
			offer_target(o, uffd->target_pid);
	}
	uffdctl_list_free(list);
}

/* ---- ranges ---- */

/* The length of a character that can be printed; 0: it can't. */
static size_t printable_len(const char *at)
{
	char c[5] = "";

	for (size_t len = 1; len <= 4 && at[len - 1]; len++) {
		c[len - 1] = at[len - 1];
		if (is_printable(c))
			return len;
	}
	return 0;
}

/* A pattern for @GLOB that matches the name. ! would be history expansion in double quotes. */
static char *pattern_of(const char *name)
{
	const char *deleted = strstr(name, " (deleted)"), *end = name + strlen(name);
	char *pattern = malloc(2 * strlen(name) + 2), *out = pattern;

	if (!pattern)
		return NULL;
	if (deleted && !deleted[strlen(" (deleted)")])
		end = deleted;
	*out++ = '@';
	while (name < end) {
		size_t len = printable_len(name);

		if (!len || *name == '!') {
			if (out[-1] != '*' || (out > pattern + 1 && out[-2] == '\\'))
				*out++ = *name == '!' ? '?' : '*';
			name++;
			continue;
		}
		if (strchr("*?[\\", *name))
			*out++ = '\\';
		out = mempcpy(out, name, len);
		name += len;
	}
	*out = '\0';
	return pattern;
}

static void offer_mapping(const struct offer *o, const struct uffdctl_vma *v)
{
	_cleanup_free_ char *name = v->name && *v->name ? pattern_of(v->name) : NULL, *text = NULL;
	char addresses[40];

	if (name && strlen(name) > 1)
		offer(o, name, 0, NULL);
	if (!v->modes)
		return;
	snprintf(addresses, sizeof(addresses), "%" PRIx64 "-%" PRIx64, v->range.start, v->range.end);
	if (v->name && *v->name && uffdctl_escape(v->name, &text) < 0)
		text = NULL;
	offer(o, addresses, 0, text);
}

void offer_ranges(const struct offer *o)
{
	const struct uffdctl_maps_opts opts = { .size = sizeof(opts), .flags = UFFDCTL_MAPS_ALL };
	struct uffdctl_target *t = NULL;
	struct uffdctl_maps *maps = NULL;
	pid_t pid = process_of(o);

	offer(o, "all", 0, NULL);
	if (!pid || uffdctl_target_open(o->inv->context, pid, &t) < 0)
		return;
	if (uffdctl_maps(t, &opts, &maps) >= 0)
		for (size_t i = 0; i < uffdctl_maps_count(maps); i++)
			offer_mapping(o, uffdctl_maps_get(maps, i));
	uffdctl_maps_free(maps);
	uffdctl_target_close(t);
}

/* ---- userfaultfds ---- */

void offer_fds(const struct offer *o)
{
	struct uffdctl_list *list = find_userfaultfds(o);
	pid_t pid = process_of(o);

	for (size_t i = 0; list && pid && i < uffdctl_list_count(list); i++) {
		const struct uffdctl_uffd *uffd = uffdctl_list_get(list, i);
		_cleanup_free_ char *text = NULL;
		char fd[40];

		if (uffd->pid != pid && uffd->target_pid != pid)
			continue;
		if (uffd->pid == pid)
			snprintf(fd, sizeof(fd), "%d", uffd->fd);
		else
			snprintf(fd, sizeof(fd), "%d:%d", uffd->pid, uffd->fd);
		offer(o, fd, 0, uffdctl_escape(uffd->comm, &text) < 0 ? NULL : text);
	}
	uffdctl_list_free(list);
}
