// SPDX-License-Identifier: GPL-2.0-or-later
/* Teams: threads of a process whose names differ only in their digits, and how long all of a team waited at once. */
#include <stdbool.h>
#include <string.h>

#include "cmd/watch/view/teams.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

void team_name(const char *comm, char ret[TEAM_NAME])
{
	size_t nr = 0;

	for (size_t i = 0; i < TEAM_NAME - 1 && comm[i]; i++)
		if (!is_digit(comm[i]) || !i || !is_digit(comm[i - 1]))
			ret[nr++] = is_digit(comm[i]) ? '#' : comm[i];
	ret[nr] = '\0';
}

static struct team *find(const struct teams *ts, pid_t pid, const char *name)
{
	for (size_t i = 0; i < ts->nr; i++)
		if (ts->list[i].pid == pid && !strncmp(ts->list[i].name, name, TEAM_NAME))
			return (struct team *)&ts->list[i];
	return NULL;
}

void teams_begin(struct teams *ts)
{
	for (size_t i = 0; i < ts->nr; i++)
		ts->list[i].all_wait_ns = 0;
}

void teams_add(struct teams *ts, const struct uffdctl_team_totals *t)
{
	struct team *team = find(ts, t->pid, t->name);

	if (!team) {
		if (!t->pid || ts->nr == VIEW_MAX_TEAMS)
			return;
		team = &ts->list[ts->nr++];
		*team = (struct team){ .pid = t->pid };
		memcpy(team->name, t->name, sizeof(team->name) - 1);
	}
	team->all_wait_ns += t->all_wait_ns;
}

void teams_reset(struct teams *ts)
{
	for (size_t i = 0; i < ts->nr; i++)
		ts->list[i].at_reset_ns = ts->list[i].all_wait_ns;
}

uint64_t teams_all_wait_ns(const struct teams *ts, pid_t pid, const char *name)
{
	const struct team *team = find(ts, pid, name);

	return team ? team->all_wait_ns - team->at_reset_ns : UFFDCTL_UNKNOWN;
}
