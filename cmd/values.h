/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsing of options' values and arguments: numbers, PIDs, times, words. */
#ifndef CMD_VALUES_H
#define CMD_VALUES_H

#include <stdint.h>
#include <sys/types.h>

#include "cmd/usage.h"

/* Digits alone, up to INT32_MAX; -EINVAL. */
int parse_number(const char *text, int *ret);
/* "100us", "5ms", "2"; -EINVAL. */
int parse_time(const char *text, uint64_t *ret_ns);

/* From here on: 0, or EINVAL, reported, for the parser to return. */
/* @ret_name: out, for %NAME, whose PID is still to be found: the name; otherwise NULL */
error_t parse_pid(const struct argp_state *state, const char *text, pid_t *ret, const char **ret_name);
/*
 * @option: its long name
 * @words: the accepted words, ended by NULL
 * @ret: out, the index of the word
 */
error_t parse_word(const struct argp_state *state, const char *option, const char *text, const char *const *words,
		   unsigned int *ret);

/* For options such as --color=WHEN. */
enum when {
	WHEN_AUTO,
	WHEN_ALWAYS,
	WHEN_NEVER,
};
extern const char *const when_words[]; /* ended by NULL */
error_t parse_when(const struct argp_state *state, const char *option, const char *text, enum when *ret);

#endif
