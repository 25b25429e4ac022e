// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a thread is in now: its files under /proc/PID/task/TID. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/socket.h"
#include "lib/kernel/thread.h"

static int read_file(int procfd, pid_t tid, const char *name, char *buf, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "task/%d/%s", tid, name);
	return proc_read(procfd, path, buf, size);
}

int thread_read(int procfd, pid_t tid, struct thread_now *ret)
{
	struct thread_now t = { .syscall.nr = NO_SYSCALL };
	struct proc_stat st;
	char buf[4096];
	const char *p;
	int r = read_file(procfd, tid, "stat", buf, sizeof(buf));

	if (r >= 0)
		r = stat_parse(buf, &st);
	if (r < 0)
		return r;
	memcpy(t.comm, st.comm, sizeof(t.comm));
	t.state = st.state;
	if (read_file(procfd, tid, "status", buf, sizeof(buf)) >= 0 && (p = strstr(buf, "\nTracerPid:")))
		t.tracer_pid = atoi(p + strlen("\nTracerPid:"));
	if (read_file(procfd, tid, "syscall", buf, sizeof(buf)) >= 0)
		syscall_parse(buf, &t.syscall);
	/* "0": it does not sleep, or may not be inspected. */
	if (read_file(procfd, tid, "wchan", t.wchan, sizeof(t.wchan)) < 0 || !strcmp(t.wchan, "0"))
		t.wchan[0] = '\0';
	*ret = t;
	return 0;
}

int thread_seccomp(int procfd, pid_t tid)
{
	char buf[8192];
	const char *p;

	if (read_file(procfd, tid, "status", buf, sizeof(buf)) < 0 || !(p = strstr(buf, "\nSeccomp:")))
		return -1;
	return atoi(p + strlen("\nSeccomp:"));
}

/* Threads may have descriptors of their own: it is the same socket if it has the same inode. */
static int describe_socket(int pidfd, pid_t pid, int fd, unsigned long inode, char *buf, size_t size, pid_t *ret_peer)
{
	_cleanup_close_ int taken = -1;
	struct stat st;
	int r = pidfd_take_fd(pid, pidfd, fd, &taken);

	if (r < 0)
		return r;
	if (fstat(taken, &st) || st.st_ino != inode)
		return -ESTALE;
	socket_describe(taken, buf, size, ret_peer);
	return 0;
}

int thread_describe_fd(int procfd, int pidfd, pid_t pid, pid_t tid, int fd, char *buf, size_t size, pid_t *ret_peer)
{
	char path[64];
	unsigned long inode;
	ssize_t n;

	*ret_peer = 0;
	snprintf(path, sizeof(path), "task/%d/fd/%d", tid, fd);
	n = readlinkat(procfd, path, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	if (sscanf(buf, "socket:[%lu]", &inode) == 1) {
		if (describe_socket(pidfd, pid, fd, inode, buf, size, ret_peer) < 0)
			snprintf(buf, size, "socket");
	} else if (!strncmp(buf, "pipe:[", strlen("pipe:["))) {
		snprintf(buf, size, "pipe");
	} else if (!strncmp(buf, "anon_inode:", strlen("anon_inode:"))) {
		char *name = buf + strlen("anon_inode:"), *end;

		name += *name == '[';
		end = name + strcspn(name, "]");
		*end = '\0';
		memmove(buf, name, end - name + 1);
	}
	return 0;
}
