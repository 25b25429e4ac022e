// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process with 1 GiB to restore (tests/bench/restore.py): each page has its number, and so is not zeros.
 *
 * restored fill: fills its memory, makes the file "ready", and waits for the file "go" without sleeping: who dumps the
 * process meanwhile restores one that goes on at once. restored: "go" is there.
 *
 * "go" holds how many pages are touched, in no order that could be foreseen, 1 at least. The file "result" holds when
 * the first page was there and when all were (ns of CLOCK_REALTIME), and how many are right. What is not touched is
 * there when it is mapped.
 */
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define NR ((1L << 30) / PAGE)
#define STEP 181081 /* odd: each page once */
#define WINDOW 256

static _Alignas(PAGE) char memory[NR][PAGE];

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static long number_of(long page)
{
	return *(volatile long *)memory[page] - 1;
}

static void fill(void)
{
	for (long i = 0; i < NR; i++)
		memcpy(memory[i], &(long){ i + 1 }, sizeof(long));
	close(open("ready", O_WRONLY | O_CREAT, 0644));
}

static long pages_to_touch(void)
{
	char buf[32] = "";
	int fd = -1;

	while ((fd = open("go", O_RDONLY)) < 0)
		sched_yield();
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		err(1, "go");
	close(fd);
	return atol(buf);
}

static bool is_mapped(long page)
{
	unsigned char there[WINDOW];

	if (mincore(memory[page], sizeof(there) * PAGE, there) < 0)
		err(1, "mincore");
	for (long i = 0; i < WINDOW; i++)
		if (!(there[i] & 1))
			return false;
	return true;
}

static void wait_for_all(void)
{
	for (long i = 0; i < NR; i += WINDOW)
		while (!is_mapped(i))
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

int main(int argc, char **argv)
{
	uint64_t first, all;
	long n, right = 0;
	FILE *f;

	(void)argv;
	if (argc > 1)
		fill();
	n = pages_to_touch();
	number_of(0);
	first = now();
	for (long i = 0; i < n; i++)
		number_of(i * STEP % NR);
	wait_for_all();
	all = now();
	for (long i = 0; i < NR; i++)
		right += number_of(i) == i;
	f = fopen("result.new", "w");
	if (!f || fprintf(f, "%lu %lu %ld\n", (unsigned long)first, (unsigned long)all, right) < 0 || fclose(f) ||
	    rename("result.new", "result"))
		err(1, "result");
	return 0;
}
