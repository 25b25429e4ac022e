// SPDX-License-Identifier: GPL-2.0-or-later
/* Totals by mapping, from the faults of the stream. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/watch/by_mapping.h"

static bool is_it(const struct mapping_totals *p, pid_t pid, const char *name)
{
	return p->pid == pid && (p->name && name ? !strcmp(p->name, name) : p->name == name);
}

/* FNV-1a */
int text_copy(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

uint64_t mapping_hash(pid_t pid, const char *name, size_t most)
{
	uint64_t h = 0xcbf29ce484222325 ^ (uint64_t)pid;

	for (size_t i = 0; i < most && name[i]; i++)
		h = (h ^ (unsigned char)name[i]) * 0x100000001b3;
	return h;
}

/* Returns 0, where those are counted that find no room. */
static size_t add_name(struct by_mapping *p, size_t *head, pid_t pid, const char *name)
{
	char *copy;

	if (p->nr + 1 >= MAX_BY_MAPPING || text_copy(name, &copy) < 0)
		return 0;
	p->list[++p->nr] = (struct mapping_totals){ .pid = pid, .name = copy, .next = *head };
	*head = p->nr;
	return p->nr;
}

static size_t find(struct by_mapping *p, pid_t pid, const char *name)
{
	size_t *head, i;

	if (p->last && is_it(&p->list[p->last], pid, name))
		return p->last;
	head = &p->heads[mapping_hash(pid, name ?: "", SIZE_MAX) % NR_MAPPING_HEADS];
	for (i = *head; i; i = p->list[i].next)
		if (is_it(&p->list[i], pid, name))
			break;
	return i ?: add_name(p, head, pid, name);
}

void by_mapping_add(struct by_mapping *p, const struct uffdctl_fault *f)
{
	struct mapping_totals *at;

	p->last = find(p, f->target_pid ?: f->pid, f->name);
	at = &p->list[p->last];
	at->faults++;
	at->wait_ns += f->wait_ns == UFFDCTL_UNKNOWN ? 0 : f->wait_ns;
}

void by_mapping_free(struct by_mapping *p)
{
	for (size_t i = 0; i <= p->nr; i++)
		free(p->list[i].name);
}
