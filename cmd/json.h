/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members of JSON objects, and an object a line. */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <stdint.h>

#include <json-c/json.h>

/* null for UFFDCTL_UNKNOWN */
void json_number(json_object *o, const char *key, uint64_t n);
/* "0x7f…"; likewise */
void json_address(json_object *o, const char *key, uint64_t addr);
/* null for 0 */
void json_pid(json_object *o, const char *key, pid_t pid);
/* Escaped; null for NULL. */
void json_text(json_object *o, const char *key, const char *text);
/* The member of o with this name, an object; it is made if there is none. */
json_object *json_member(json_object *o, const char *key);
/* In one line. Valid while o is unchanged. */
const char *json_text_of(json_object *o);
/* As a line of stdout; frees it. */
void json_print(json_object *o);

#endif
