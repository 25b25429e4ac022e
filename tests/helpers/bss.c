// SPDX-License-Identifier: GPL-2.0-or-later
/* A program with an array that it never writes: it reads every page of it, prints all of it, and ends with status 7. */
#include <stdint.h>
#include <unistd.h>

extern char arena[1 << 20];
char arena[1 << 20] __attribute__((aligned(4096), used));

int main(void)
{
	volatile const char *p = arena;
	uint32_t page = 0, nr = sizeof(arena) / 4096;
	size_t done = 0;
	ssize_t n;

	/* 77 and 256 have no factor in common. Each eighth one is left to write(2). */
	for (uint32_t i = 0; i < nr; i++, page = (page + 77) % nr)
		if (page % 8)
			(void)p[(size_t)page * 4096];
	for (; done < sizeof(arena); done += (size_t)n) {
		n = write(STDOUT_FILENO, arena + done, sizeof(arena) - done);
		if (n < 0)
			return 1;
	}
	return 7;
}
