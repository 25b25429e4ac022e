// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What uffdctl is measured against.
 *
 * loop PID FD START LEN STEP: UFFDIO_CONTINUE on another process's userfaultfd, in a loop; prints
 * the seconds that continuing LEN bytes in pieces of STEP took.
 * loop pagemap PID START LEN: reads the words of a range of /proc/PID/pagemap, 65536 at a time, and counts the pages
 * that are present; prints the seconds that it took, and their number.
 * loop switch N: N task switches between two processes on one CPU; prints the seconds they took.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int take(int pid, int fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), ours;

	if (pidfd < 0)
		err(1, "pidfd_open of %d", pid);
	ours = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (ours < 0)
		err(1, "pidfd_getfd of fd %d", fd);
	close(pidfd);
	return ours;
}

/* A byte goes back and forth through two pipes: each time one sleeps, the other runs. */
static void pass_byte(int in, int out, long times)
{
	char c = 0;

	for (long i = 0; i < times; i++)
		if (write(out, &c, 1) != 1 || read(in, &c, 1) != 1)
			exit(1);
}

static int switch_tasks(long nr)
{
	int there[2], back[2];
	cpu_set_t cpu;
	double began;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	if (pipe(there) || pipe(back) || sched_setaffinity(0, sizeof(cpu), &cpu))
		err(1, "pipe");
	began = seconds();
	if (fork() == 0) {
		close(there[1]);
		pass_byte(there[0], back[1], nr);
		_exit(0);
	}
	pass_byte(back[0], there[1], nr / 2);
	printf("%.6f\n", seconds() - began);
	close(there[1]);
	return 0;
}

static int read_pagemap(const char *pid, uint64_t start, uint64_t len)
{
	static uint64_t words[65536];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), present = 0;
	double began = seconds();
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		err(1, "%s", path);
	for (uint64_t at = start; at < start + len;) {
		uint64_t nr = (start + len - at) / page;
		ssize_t got;

		nr = nr < 65536 ? nr : 65536;
		got = pread(fd, words, nr * sizeof(*words), (off_t)(at / page * sizeof(*words)));
		if (got <= 0)
			err(1, "%s at %" PRIx64, path, at);
		for (ssize_t i = 0; i < got / (ssize_t)sizeof(*words); i++)
			present += words[i] >> 63;
		at += (uint64_t)got / sizeof(*words) * page;
	}
	printf("%.6f %" PRIu64 "\n", seconds() - began, present);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t start, len, step;
	double began;
	int uffd;

	if (argc == 3 && !strcmp(argv[1], "switch"))
		return switch_tasks(strtol(argv[2], NULL, 0));
	if (argc == 5 && !strcmp(argv[1], "pagemap"))
		return read_pagemap(argv[2], strtoull(argv[3], NULL, 16), strtoull(argv[4], NULL, 0));

	if (argc != 6)
		errx(2, "usage: loop PID FD START LEN STEP");
	uffd = take(atoi(argv[1]), atoi(argv[2]));
	start = strtoull(argv[3], NULL, 16);
	len = strtoull(argv[4], NULL, 0);
	step = strtoull(argv[5], NULL, 0);
	began = seconds();
	for (uint64_t done = 0; done < len; done += step) {
		struct uffdio_continue c = { .range = { start + done, step } };

		if (ioctl(uffd, UFFDIO_CONTINUE, &c) || (uint64_t)c.mapped != step)
			err(1, "UFFDIO_CONTINUE at %" PRIx64, start + done);
	}
	printf("%.6f\n", seconds() - began);
	return 0;
}
