/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Teams: threads of a process whose names differ only in their digits, and how long all of a team waited at once. */
#ifndef CMD_VIEW_TEAMS_H
#define CMD_VIEW_TEAMS_H

#include <stddef.h>

#include "lib/uffdctl.h"

enum {
	VIEW_MAX_TEAMS = 256,
	TEAM_NAME = 16,
};

/* Zero to begin with. */
struct teams {
	struct team {
		pid_t pid;
		char name[TEAM_NAME];
		uint64_t all_wait_ns, at_reset_ns;
	} list[VIEW_MAX_TEAMS];
	size_t nr;
};

/* "CPU 0/KVM" is in "CPU #/KVM", as the library names it. */
void team_name(const char *comm, char ret[TEAM_NAME]);

/* Take the library's numbers: begin, then add each; a process that has made an exec has several with one name. */
void teams_begin(struct teams *ts);
void teams_add(struct teams *ts, const struct uffdctl_team_totals *t);
/* Count from now on. */
void teams_reset(struct teams *ts);
/* UFFDCTL_UNKNOWN if there was no room for the team. */
uint64_t teams_all_wait_ns(const struct teams *ts, pid_t pid, const char *name);

#endif
