// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What "uffdctl continue" is measured against: UFFDIO_CONTINUE on another process's userfaultfd, in a loop.
 *
 * loop PID FD START LEN STEP: prints the seconds that continuing LEN bytes in pieces of STEP took.
 */
#include <err.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

int main(int argc, char **argv)
{
	uint64_t start, len, step;
	double began;
	int uffd;

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
