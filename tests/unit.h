/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a program of unit tests is made of: TEST("area-case") { NUM(got, want); }, run in their order by main(). */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/util.h"

/* ---- the tests register themselves, in the order of the file ---- */

struct test {
	const char *name;
	void (*run)(void);
	struct test *next;
};

static struct test *tests, **tests_end = &tests;
static char *failures; /* of the running test, "# " before each line */
static size_t failures_size;
static FILE *failures_file;

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define TEST(tap_name) TEST2(tap_name, PASTE(test_, __LINE__))
#define TEST2(tap_name, fn)                                              \
	static void fn(void);                                            \
	static void __attribute__((constructor)) PASTE(fn, _add)(void)   \
	{                                                                \
		static struct test self = { .name = tap_name, .run = fn }; \
		*tests_end = &self;                                      \
		tests_end = &self.next;                                  \
	}                                                                \
	static void fn(void)

static void __attribute__((format(printf, 2, 3), unused)) fail_at(int line, const char *fmt, ...)
{
	va_list ap;

	fprintf(failures_file, "# %s:%d: ", __BASE_FILE__, line);
	va_start(ap, fmt);
	vfprintf(failures_file, fmt, ap);
	va_end(ap);
	fputc('\n', failures_file);
}

static void __attribute__((unused)) check_num(int line, const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		fail_at(line, "%s: got %" PRIi64 " (0x%" PRIx64 "), expected %" PRIi64, what, got, got, want);
}

static void __attribute__((unused)) check_str(int line, const char *what, const char *got, const char *want)
{
	if (!got || !want ? got != want : strcmp(got, want) != 0)
		fail_at(line, "%s: got \"%s\", expected \"%s\"", what, got ?: "(null)", want ?: "(null)");
}

static void __attribute__((unused)) check_part(int line, const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_at(line, "\"%s\" is not in \"%s\"", part, text);
}

#define NUM(got, want) check_num(__LINE__, #got, (uint64_t)(got), (uint64_t)(want))
#define STR(got, want) check_str(__LINE__, #got, got, want)
#define PART(text, part) check_part(__LINE__, text, part)
#define OK(cond) ((cond) ? (void)0 : fail_at(__LINE__, "not so: %s", #cond))
#define EACH(table) (size_t i = 0; i < ARRAY_SIZE(table); i++)

/* True when it passed. */
static bool run(const struct test *t, int number)
{
	bool good;

	failures_file = open_memstream(&failures, &failures_size);
	if (!failures_file)
		abort();
	t->run();
	fclose(failures_file);
	good = failures_size == 0;
	printf("%sok %d - %s\n%s", good ? "" : "not ", number, t->name, failures);
	fflush(stdout);
	free(failures);
	return good;
}

/* Whether one of the arguments is a pattern of its name, or there is none. */
static bool is_chosen(const struct test *t, char **patterns)
{
	bool any = false;

	for (; *patterns; patterns++) {
		if (!strcmp(*patterns, "-l"))
			continue;
		if (!fnmatch(*patterns, t->name, 0))
			return true;
		any = true;
	}
	return !any;
}

/* Runs those of the tests that are chosen; -l lists them. */
int main(int argc, char **argv)
{
	int number = 0, failed = 0;
	bool list = argc > 1 && !strcmp(argv[1], "-l");

	for (const struct test *t = tests; t; t = t->next) {
		if (!is_chosen(t, argv + 1))
			continue;
		if (list)
			puts(t->name);
		else
			failed += !run(t, ++number);
	}
	if (!list)
		printf("1..%d\n", number);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
