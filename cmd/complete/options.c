// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of a command and the words that their values may be, from the tables that parse them. */
#include <ctype.h>
#include <string.h>

#include "cmd/complete/options.h"
#include "cmd/contents.h"
#include "cmd/options.h"
#include "cmd/pages_map.h"
#include "cmd/serve.h"
#include "cmd/source.h"
#include "cmd/values.h"
#include "cmd/watch/options.h"

static void add_table(struct option_list *list, const struct argp_option *o)
{
	for (; o && (o->name || o->key) && list->nr < sizeof(list->items) / sizeof(list->items[0]); o++)
		if (o->name && !(o->flags & OPTION_HIDDEN))
			list->items[list->nr++] = o;
}

/* The recursion is as deep as the tables of parsers are nested. */
/* NOLINTNEXTLINE(misc-no-recursion) */
static void add_parser(struct option_list *list, const struct argp *argp)
{
	add_table(list, argp->options);
	for (const struct argp_child *child = argp->children; child && child->argp; child++)
		add_parser(list, child->argp);
}

void options_of(const struct cmd *cmd, struct option_list *ret)
{
	ret->nr = 0;
	if (cmd)
		add_table(ret, cmd->options);
	for (size_t i = 0; cmd && cmd->groups && cmd->groups[i].argp; i++)
		add_parser(ret, cmd->groups[i].argp);
	add_parser(ret, &common_argp);
	if (!cmd || cmd->columns)
		add_parser(ret, &table_argp);
	if (cmd && cmd->columns)
		add_parser(ret, &columns_argp);
	add_parser(ret, &help_argp);
}

const struct argp_option *option_named(const struct option_list *options, const char *name, size_t len)
{
	const struct argp_option *found = NULL;
	size_t nr = 0;

	for (size_t i = 0; i < options->nr; i++) {
		const struct argp_option *o = options->items[i];

		if (strncmp(o->name, name, len))
			continue;
		if (!o->name[len])
			return o;
		found = o;
		nr++;
	}
	return nr == 1 ? found : NULL;
}

const struct argp_option *option_lettered(const struct option_list *options, char letter)
{
	for (size_t i = 0; i < options->nr; i++)
		if (options->items[i]->key == letter && isgraph((unsigned char)letter))
			return options->items[i];
	return NULL;
}

/* ---- values ---- */

static const char *access_word(unsigned int n)
{
	return uffdctl_access_name(UFFDCTL_ACCESS_READ + n);
}

/* By the long name, which means the same in every command. */
static const struct {
	const char *option;
	const char *const *words;
	const char *(*word)(unsigned int n); /* where there are no words */
	bool several;
} choices[] = {
	{ "access", NULL, access_word, false },	     { "backend", watch_backends, NULL, false },
	{ "color", when_words, NULL, false },	     { "elsewhere", elsewhere_words, NULL, false },
	{ "flag", NULL, uffdctl_mode_flag, true },   { "kind", NULL, uffdctl_mode_name, true },
	{ "map", map_forms, NULL, false },	     { "mode", NULL, uffdctl_mode_name, true },
	{ "on-death", on_death_words, NULL, false }, { "on-error", on_error_words, NULL, false },
	{ "order", order_words, NULL, false },	     { "progress", when_words, NULL, false },
	{ "source", source_words, NULL, false },
};

#define NR_CHOICES (sizeof(choices) / sizeof(choices[0]))

/* --map of serve takes a range. */
static bool takes_word(const struct argp_option *o)
{
	return o->arg && strncmp(o->arg, "RANGE", 5);
}

static size_t choice_of(const struct argp_option *o)
{
	size_t i = takes_word(o) ? 0 : NR_CHOICES;

	while (i < NR_CHOICES && strcmp(o->name, choices[i].option))
		i++;
	return i;
}

const char *option_word(const struct argp_option *o, unsigned int n)
{
	size_t i = choice_of(o);

	if (i == NR_CHOICES)
		return NULL;
	return choices[i].words ? choices[i].words[n] : choices[i].word(n);
}

bool option_takes_several(const struct argp_option *o)
{
	size_t i = choice_of(o);

	return i < NR_CHOICES && choices[i].several;
}
