// SPDX-License-Identifier: GPL-2.0-or-later
/* Members of JSON objects, and an object a line. */
#include <inttypes.h>

#include "cmd/json.h"
#include "lib/cleanup.h"
#include "lib/uffdctl.h"

void json_number(json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, n == UFFDCTL_UNKNOWN ? NULL : json_object_new_uint64(n));
}

void json_address(json_object *o, const char *key, uint64_t addr)
{
	char s[32];

	snprintf(s, sizeof(s), "0x%" PRIx64, addr);
	json_object_object_add(o, key, addr == UFFDCTL_UNKNOWN ? NULL : json_object_new_string(s));
}

void json_pid(json_object *o, const char *key, pid_t pid)
{
	json_number(o, key, pid ? (uint64_t)pid : UFFDCTL_UNKNOWN);
}

void json_text(json_object *o, const char *key, const char *text)
{
	_cleanup_free_ char *s = NULL;
	bool known = text && uffdctl_escape(text, &s) == 0;

	json_object_object_add(o, key, known ? json_object_new_string(s) : NULL);
}

json_object *json_member(json_object *o, const char *key)
{
	json_object *member;

	if (json_object_object_get_ex(o, key, &member))
		return member;
	member = json_object_new_object();
	json_object_object_add(o, key, member);
	return member;
}

const char *json_text_of(json_object *o)
{
	return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

void json_print(json_object *o)
{
	puts(json_text_of(o));
	json_object_put(o);
}
