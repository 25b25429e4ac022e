// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A live process for tests and the demo to work on, driven by JSON lines.
 *
 * One request {"cmd":NAME,...} a line on stdin, exactly one answer a line on stdout: {"ok":true,...}
 * or {"ok":false,"error":TEXT,"errno":N}. The first line is {"ok":true,"pid":N}; EOF ends it. The
 * table at the end of each file lists its commands and their arguments (another argument is an error).
 * Addresses in answers are strings "0x..", in requests strings or numbers.
 *
 * The main thread, which talks, never touches memory that may be registered: what may block runs in a
 * worker thread ("job"), which is waited for 5 s, or not at all with "async":true; `join` has its end.
 *
 * Pattern: every 8-byte word of a page is pattern_word(seed, index), index being the page's number
 * within its file (without a file: within its mapping) in units of the mapping's page size.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/job.h"
#include "tests/helpers/target/map.h"
#include "tests/helpers/target/process.h"
#include "tests/helpers/target/request.h"

static bool leader_ends;

static void serve_lines(void);

static int cmd_leader_ends(struct json_object *req, struct json_object *res)
{
	(void)req, (void)res;
	if (getpid() != gettid())
		return fail(EINVAL, "it has ended");
	leader_ends = true;
	return 0;
}

static const struct command main_commands[] = {
	{ "leader_ends", cmd_leader_ends, "" },
	{},
};

static bool is_word_of(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += len)
		if ((p == list || p[-1] == ' ') && (!p[len] || p[len] == ' '))
			return true;
	return false;
}

static const struct command *command_of(const char *name)
{
	static const struct command *const tables[] = {
		uffd_commands, map_commands,	 contents_commands, change_commands,	 touch_commands,
		job_commands,  handler_commands, process_commands,  descriptor_commands, main_commands,
	};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct command *c = tables[i]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

static int dispatch(struct json_object *req, struct json_object *res)
{
	const char *name = arg_str(req, "cmd", "");
	const struct command *c = command_of(name);

	if (!c)
		return fail(ENOSYS, "unknown command \"%s\"", name);
	json_object_object_foreach(req, key, value)
	{
		(void)value;
		if (strcmp(key, "cmd") && !is_word_of(c->args, key))
			return fail(EINVAL, "%s knows no argument \"%s\"", name, key);
	}
	return c->run(req, res);
}

static void answer(struct json_object *res, int err)
{
	const char *text;

	json_object_object_add(res, "ok", json_object_new_boolean(!err));
	if (err) {
		json_object_object_add(res, "error", json_object_new_string(failure()));
		put_int(res, "errno", -err);
	}
	text = json_object_to_json_string_ext(res, JSON_C_TO_STRING_PLAIN);
	if (dprintf(STDOUT_FILENO, "%s\n", text) < 0)
		_exit(1);
	json_object_put(res);
}

static void serve_line(const char *line)
{
	struct json_object *req = json_tokener_parse(line), *res = json_object_new_object();
	int err;

	if (json_object_is_type(req, json_type_object))
		err = dispatch(req, res);
	else
		err = fail(EINVAL, "no JSON object");
	answer(res, err);
	json_object_put(req);
}

/* The process's first thread ends, and leaves talking to another. */
static void *go_on_talking(void *arg)
{
	serve_lines();
	return arg;
}

static void serve_lines(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) > 0) {
		serve_line(line);
		if (getpid() == gettid() && leader_ends) {
			if (start_thread(go_on_talking, NULL, SMALL_STACK, NULL))
				_exit(1);
			pthread_exit(NULL);
		}
	}
	_exit(0); /* threads may be blocked for good */
}

int main(void)
{
	struct json_object *greeting = json_object_new_object();

	map_setup();
	job_setup();
	if (process_setup())
		return EXIT_FAILURE;
	put_int(greeting, "pid", getpid());
	answer(greeting, 0);
	serve_lines();
}
