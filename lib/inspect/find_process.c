// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finds a process by its name. All names are the process's own choice, and it may end meanwhile. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/kernel/proc.h"
#include "lib/log.h"
#include "lib/util.h"

#define MAX_NAMED 10
#define COMMAND_BYTES 60 /* of a candidate's command line, in the error */

struct candidate {
	pid_t pid;
	char command[COMMAND_BYTES + 4];
};

struct search {
	const char *name;
	struct candidate found[MAX_NAMED]; /* the first ones */
	size_t nr;
};

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool program_is(int procfd, const char *name)
{
	static const char deleted[] = " (deleted)";
	char path[4096];
	ssize_t len = readlinkat(procfd, "exe", path, sizeof(path) - 1);

	if (len < 0)
		return false;
	path[len] = '\0';
	if (!strcmp(last_part(path), name))
		return true;
	len -= (ssize_t)strlen(deleted);
	if (len < 0 || strcmp(path + len, deleted) != 0)
		return false;
	path[len] = '\0';
	return !strcmp(last_part(path), name);
}

static bool argument_is(int procfd, const char *name)
{
	char args[4096];

	return proc_read(procfd, "cmdline", args, sizeof(args)) >= 0 && !strcmp(last_part(args), name);
}

/* Its arguments with blanks between; its name, if it has none. */
static void describe(int procfd, const char *comm, struct candidate *c)
{
	char args[COMMAND_BYTES + 2] = "";
	size_t len = COMMAND_BYTES + 1;
	bool longer;

	proc_read(procfd, "cmdline", args, sizeof(args));
	while (len && !args[len - 1])
		len--;
	for (size_t i = 0; i < len; i++)
		args[i] = args[i] ?: ' ';
	longer = len > COMMAND_BYTES;
	/* Not within a character. */
	while (longer && len && (len > COMMAND_BYTES || (args[len] & 0xc0) == 0x80))
		len--;
	snprintf(c->command, sizeof(c->command), "%.*s%s", len ? (int)len : COMMAND_BYTES, len ? args : comm,
		 longer ? "..." : "");
}

static int try_process(uint32_t pid, void *arg)
{
	struct search *s = arg;
	_cleanup_close_ int fd = -1;
	struct proc_stat st;
	char path[64], buf[1024];

	snprintf(path, sizeof(path), "task/%u/stat", pid);
	/* The name of a process is that of its first thread, also if that has ended. */
	if ((pid_t)pid == getpid() || proc_open_live((pid_t)pid, &fd, NULL) < 0 || !proc_lives(fd) ||
	    proc_read(fd, path, buf, sizeof(buf)) < 0 || stat_parse(buf, &st) < 0 || st.flags & PF_KTHREAD)
		return 0;
	if (strcmp(st.comm, s->name) != 0 && !program_is(fd, s->name) && !argument_is(fd, s->name))
		return 0;
	if (s->nr < MAX_NAMED) {
		s->found[s->nr].pid = (pid_t)pid;
		describe(fd, st.comm, &s->found[s->nr]);
	}
	s->nr++;
	return 0;
}

static int say_ambiguous(struct uffdctl *u, const struct search *s)
{
	size_t nr = MIN(s->nr, (size_t)MAX_NAMED), size;
	_cleanup_free_ char *list = NULL;
	FILE *f = open_memstream(&list, &size);

	if (!f)
		return log_oom(u);
	for (size_t i = 0; i < nr; i++) {
		_cleanup_free_ char *command = escaped(s->found[i].command);

		fprintf(f, "%s%d (%s)", i ? ", " : "", s->found[i].pid, command);
	}
	if (s->nr > nr)
		fprintf(f, ", and %zu more", s->nr - nr);
	if (fclose(f))
		return log_oom(u);
	return fail(u, -ENOTUNIQ, "%zu processes have the name %s: %s: give the PID of one", s->nr, s->name, list);
}

UFFDCTL_EXPORT int uffdctl_find_process(struct uffdctl *u, const char *name, pid_t *ret)
{
	struct search s = { .name = name };
	int r;

	if (!*name)
		return fail(u, -EINVAL, "uffdctl_find_process: the name is empty");
	if (proc_check_namespace() < 0)
		return fail(u, -EXDEV, TEXT_PROC);
	r = proc_each_number(AT_FDCWD, "/proc", try_process, &s);
	if (r < 0)
		return fail(u, r, "/proc: %s", strerror(-r));
	if (!s.nr)
		return fail(u, -ESRCH,
			    "no process has the name %s: give its name as \"ps -e\" shows it, the name of its program's file, or its PID",
			    name);
	if (s.nr > 1)
		return say_ambiguous(u, &s);
	*ret = s.found[0].pid;
	return 0;
}
