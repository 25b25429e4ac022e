// SPDX-License-Identifier: GPL-2.0-or-later
/* Data objects that are hard to find: two versions of one name, a local one, one that a program has too. */

#define PAGES(n) __attribute__((aligned(4096))) char n[4 * 4096]

PAGES(pool_1);
PAGES(pool_2);
PAGES(arena);

__asm__(".symver pool_1, pool@POOL_1");
__asm__(".symver pool_2, pool@@POOL_2");

/* Neither exported nor optimised away: only the debug file names it. */
static PAGES(hidden_pool);

char *touch_hidden_pool(void);
char *touch_hidden_pool(void)
{
	__asm__ volatile("" : : "r"(hidden_pool) : "memory");
	return hidden_pool;
}
