// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals by mapping, from the faults of the stream. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/places.h"

static bool is_it(const struct place *p, pid_t pid, const char *name)
{
	return p->pid == pid && (p->name && name ? !strcmp(p->name, name) : p->name == name);
}

/* FNV-1a */
static size_t head_of(pid_t pid, const char *name)
{
	uint64_t h = 0xcbf29ce484222325 ^ (uint64_t)pid;

	for (; name && *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3;
	return h % NR_PLACE_HEADS;
}

/* Returns 0, where those are counted that find no room. */
static size_t new_place(struct places *p, size_t *head, pid_t pid, const char *name)
{
	char *copy = name ? strdup(name) : NULL;

	if (p->nr + 1 >= MAX_PLACES || (name && !copy)) {
		free(copy);
		return 0;
	}
	p->list[++p->nr] = (struct place){ .pid = pid, .name = copy, .next = *head };
	*head = p->nr;
	return p->nr;
}

static size_t find(struct places *p, pid_t pid, const char *name)
{
	size_t *head, i;

	if (p->last && is_it(&p->list[p->last], pid, name))
		return p->last;
	head = &p->heads[head_of(pid, name)];
	for (i = *head; i; i = p->list[i].next)
		if (is_it(&p->list[i], pid, name))
			break;
	return i ?: new_place(p, head, pid, name);
}

void places_add(struct places *p, const struct uffdctl_fault *f)
{
	struct place *at;

	p->last = find(p, f->target_pid ?: f->pid, f->name);
	at = &p->list[p->last];
	at->faults++;
	at->wait_ns += f->wait_ns == UFFDCTL_UNKNOWN ? 0 : f->wait_ns;
}

void places_free(struct places *p)
{
	for (size_t i = 0; i <= p->nr; i++)
		free(p->list[i].name);
}
