/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands, a table a file; an empty one ends it. */
#ifndef TESTS_TARGET_COMMANDS_H
#define TESTS_TARGET_COMMANDS_H

struct json_object;

struct command {
	const char *name;
	int (*run)(struct json_object *req, struct json_object *res);
	const char *args; /* all that it knows */
};

#define RANGE "id addr offset len "

extern const struct command change_commands[];
extern const struct command contents_commands[];
extern const struct command descriptor_commands[];
extern const struct command handler_commands[];
extern const struct command job_commands[];
extern const struct command map_commands[];
extern const struct command process_commands[];
extern const struct command touch_commands[];
extern const struct command uffd_commands[];

#endif
