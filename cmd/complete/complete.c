// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * uffdctl complete: what the completion of bash and zsh calls (dist/), and nobody else: neither --help nor a man page
 * has it.
 *
 *	uffdctl complete bash -- LINE BREAKS	the line up to the cursor, COMP_WORDBREAKS
 *	uffdctl complete zsh -- WORD...		the words up to the cursor, without quotes
 *
 * Prints a line for each thing that fits: KIND, VALUE and TEXT, separated by tabs. KIND is "word", "part" (no blank
 * goes behind it) or "file" (the shell completes names of files; no VALUE). VALUE is for bash what to insert, quoted,
 * for zsh the whole word; it has no control characters. TEXT describes it, and may be missing.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "cmd/complete/offer.h"
#include "cmd/complete/options.h"
#include "cmd/usage.h"
#include "lib/cleanup.h"

struct complete_options {
	char **args;
	size_t nr_args;
};

/* ---- one candidate ---- */

void offer(const struct offer *o, const char *value, unsigned int flags, const char *text)
{
	_cleanup_free_ char *word = NULL, *insertion = NULL;
	size_t len = strlen(o->word + o->before);

	if (strncmp(value, o->word + o->before, len))
		return;
	if (asprintf(&word, "%.*s%s", (int)o->before, o->word, value) < 0)
		word = NULL;
	if (word && o->bash)
		insertion = line_insertion(o->line, word);
	if (!word || (o->bash && !insertion))
		return;
	printf("%s\t%s", flags & OFFER_GOES_ON ? "part" : "word", o->bash ? insertion : word);
	if (text && *text && (!o->bash || flags & OFFER_TEXT))
		printf("\t%s", text);
	putchar('\n');
}

void offer_files(void)
{
	puts("file");
}

/* ---- values ---- */

/* The value is a list: complete its last item. Returns where the list begins. */
static const char *skip_list(struct offer *o)
{
	const char *list = o->word + o->before, *comma = strrchr(list, ',');

	if (comma)
		o->before = comma + 1 - o->word;
	return list;
}

/* An item that the list has before the last one is not offered again. */
static void offer_item(const struct offer *o, const char *list, const char *item, const char *text)
{
	const char *last = o->word + o->before;
	size_t len = strlen(item);

	for (; list < last; list += strcspn(list, ",") + 1)
		if (!strncasecmp(list, item, len) && list[len] == ',')
			return;
	offer(o, item, OFFER_GOES_ON, text);
}

/* Columns may be written in lower case: who begins so, goes on so. */
static void offer_list_of_columns(const struct offer *o, const char *list, const struct column *columns)
{
	char name[64];

	for (const struct column *c = columns; c && c->name; c++) {
		size_t len = strnlen(c->name, sizeof(name) - 1);

		for (size_t i = 0; i < len; i++)
			name[i] = islower((unsigned char)o->word[o->before]) ? tolower((unsigned char)c->name[i])
									     : c->name[i];
		name[len] = '\0';
		offer_item(o, list, name, c->help);
	}
}

static void offer_columns(struct offer *o)
{
	const char *list;

	o->before += o->word[o->before] == '+';
	list = skip_list(o);
	offer_list_of_columns(o, list, o->cmd ? o->cmd->columns : NULL);
	offer_list_of_columns(o, list, o->cmd ? o->cmd->more_columns : NULL);
}

static void offer_words(struct offer *o, const struct argp_option *option)
{
	bool several = option_takes_several(option);
	const char *list = several ? skip_list(o) : NULL, *word;

	for (unsigned int i = 0; (word = option_word(option, i)); i++) {
		if (several)
			offer_item(o, list, word, NULL);
		else
			offer(o, word, 0, NULL);
	}
}

static void offer_commands(const struct offer *o)
{
	for (size_t i = 0; i < o->inv->nr_cmds; i++)
		offer(o, o->inv->cmds[i]->name, 0, o->inv->cmds[i]->summary);
}

/* @what: as --help names it: PID, RANGE, FILE and so on. Returns false for another thing. */
static bool offer_named(struct offer *o, const char *what)
{
	if (!strncmp(what, "FILE", 4) || !strcmp(what, "SOCKET"))
		offer_files();
	else if (!strncmp(what, "PID", 3))
		offer_pids(o);
	else if (!strncmp(what, "RANGE", 5))
		offer_ranges(o);
	else if (!strncmp(what, "COMMAND", 7))
		offer_commands(o);
	else if (!strncmp(what, "COLS", 4))
		offer_columns(o);
	else if (!strcmp(what, "[PID:]FD"))
		offer_fds(o);
	else
		return false;
	return true;
}

static void offer_value(struct offer *o, const struct argp_option *option)
{
	if (!offer_named(o, option->arg))
		offer_words(o, option);
}

/* ---- options ---- */

static void offer_options(const struct offer *o, const struct option_list *options)
{
	char name[80];

	for (size_t i = 0; i < options->nr; i++) {
		const struct argp_option *option = options->items[i];

		if (!option_needs_value(option)) {
			snprintf(name, sizeof(name), "--%s", option->name);
			offer(o, name, 0, option->doc);
		}
		if (option->arg) {
			snprintf(name, sizeof(name), "--%s=", option->name);
			offer(o, name, OFFER_GOES_ON, option->doc);
		}
	}
}

/* An option with a value, as it stands in a word. */
struct valued {
	const struct argp_option *option; /* NULL: none */
	size_t at;			  /* where in the word its value begins */
	bool is_here;			  /* else it is the next word */
};

static struct valued valued_long(const struct option_list *options, const char *word)
{
	size_t len = strcspn(word, "=");
	const struct argp_option *o = option_named(options, word + 2, len - 2);

	if (!o || !o->arg || (!word[len] && !option_needs_value(o)))
		return (struct valued){};
	return (struct valued){ o, len + 1, word[len] };
}

static struct valued find_valued(const struct option_list *options, const char *word)
{
	if (word[1] == '-')
		return valued_long(options, word);
	for (size_t i = 1; word[i]; i++) {
		const struct argp_option *o = option_lettered(options, word[i]);

		if (o && option_needs_value(o))
			return (struct valued){ o, i + 1, word[i + 1] };
	}
	return (struct valued){};
}

/* ---- the line ---- */

/* @args: "PID RANGE..."; the last of them may be repeated. */
static void offer_argument(struct offer *o, const char *args, size_t nth)
{
	const char *arg = args + strspn(args, " [");

	while (nth && arg[strcspn(arg, " ")]) {
		arg += strcspn(arg, " ");
		arg += strspn(arg, " [");
		nth--;
	}
	if (!nth || strstr(arg, "..."))
		offer_named(o, arg);
}

/* What has been typed before the last word. */
struct parsed {
	struct option_list options;
	const struct argp_option *valued; /* the last word is its value */
	size_t nr_args;
	bool helps, only_args;
};

static void take_argument(struct offer *o, struct parsed *p, const char *word)
{
	if (p->helps || o->cmd) {
		if (!p->nr_args++ && o->cmd && strstr(o->cmd->args, "PID"))
			o->process = word;
		return;
	}
	p->helps = !strcmp(word, "help");
	for (size_t i = 0; i < o->inv->nr_cmds; i++)
		if (!strcmp(word, o->inv->cmds[i]->name))
			o->cmd = o->inv->cmds[i];
	options_of(o->cmd, &p->options);
}

static void take_word(struct offer *o, struct parsed *p, const char *word)
{
	struct valued v;

	if (p->valued) {
		p->valued = NULL;
	} else if (p->only_args || word[0] != '-' || !word[1]) {
		take_argument(o, p, word);
	} else if (!strcmp(word, "--")) {
		p->only_args = true;
	} else {
		v = find_valued(&p->options, word);
		p->valued = v.is_here ? NULL : v.option;
	}
}

static void complete_option(struct offer *o, const struct parsed *p)
{
	struct valued v = find_valued(&p->options, o->word);

	if (!v.is_here) {
		offer_options(o, &p->options);
		return;
	}
	o->before = v.at;
	offer_value(o, v.option);
}

static void complete_word(struct offer *o, const struct parsed *p)
{
	if (p->valued) {
		offer_value(o, p->valued);
	} else if (o->word[0] == '-' && !p->only_args) {
		complete_option(o, p);
	} else if (o->cmd) {
		offer_argument(o, o->cmd->args, p->nr_args);
	} else if (!p->nr_args) {
		offer_commands(o);
		if (!p->helps)
			offer(o, "help", 0, "Give the help of a command");
	}
}

static int complete(struct invocation *inv, const struct line *line, bool bash)
{
	struct offer o = { .inv = inv, .line = line, .bash = bash, .word = line->words[line->nr - 1] };
	struct parsed p = {};

	uffdctl_set_log(inv->context, UFFDCTL_LOG_ERROR, NULL, NULL);
	options_of(NULL, &p.options);
	for (size_t i = 1; i + 1 < line->nr; i++)
		take_word(&o, &p, line->words[i]);
	complete_word(&o, &p);
	return EXIT_DONE;
}

static int run_complete(struct invocation *inv)
{
	const struct complete_options *o = inv->options;
	struct line line = { .words = o->args + 1, .nr = o->nr_args - 1 };
	int status;

	if (!strcmp(o->args[0], "zsh"))
		return complete(inv, &line, false);
	if (line_split(o->args[1], o->args[2], &line) < 0) {
		error(&inv->messages, "out of memory");
		return EXIT_UNDONE;
	}
	status = complete(inv, &line, true);
	line_free(&line);
	return status;
}

static error_t parse_complete(int key, char *arg __attribute__((unused)), struct argp_state *state)
{
	struct complete_options *o = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		return ARGP_ERR_UNKNOWN; /* then all of them come at once */
	case ARGP_KEY_ARGS:
		o->args = state->argv + state->next;
		o->nr_args = state->argc - state->next;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (o->nr_args >= 2 && !strcmp(o->args[0], "zsh"))
			return 0;
		if (o->nr_args == 3 && !strcmp(o->args[0], "bash"))
			return 0;
		return usage_error(state, "write bash -- LINE BREAKS or zsh -- WORD...");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct cmd cmd_complete = {
	.name = "complete",
	.summary = "Print what completes a line of a shell",
	.args = "bash -- LINE BREAKS\nzsh -- WORD...",
	.parse = parse_complete,
	.groups = (const struct option_group[]){ {} },
	.options_size = sizeof(struct complete_options),
	.run = run_complete,
};
