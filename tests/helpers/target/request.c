// SPDX-License-Identifier: GPL-2.0-or-later
/* Requests, which are JSON objects, and the answers to them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/helpers/target/request.h"

static char error_text[512];

int __attribute__((format(printf, 2, 3))) fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	return -err;
}

int fail_errno(const char *what)
{
	int err = errno;

	return fail(err, "%s: %s", what, strerror(err));
}

const char *failure(void)
{
	return error_text;
}

void put_u64(struct json_object *res, const char *key, uint64_t value)
{
	json_object_object_add(res, key, json_object_new_uint64(value));
}

void put_int(struct json_object *res, const char *key, int64_t value)
{
	json_object_object_add(res, key, json_object_new_int64(value));
}

void put_hex(struct json_object *res, const char *key, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	json_object_object_add(res, key, json_object_new_string(text));
}

bool has(struct json_object *req, const char *key)
{
	return json_object_object_get(req, key);
}

uint64_t arg_u64(struct json_object *req, const char *key, uint64_t def)
{
	struct json_object *o = json_object_object_get(req, key);

	if (!o)
		return def;
	if (json_object_is_type(o, json_type_string))
		return strtoull(json_object_get_string(o), NULL, 0);
	return json_object_get_uint64(o);
}

int arg_int(struct json_object *req, const char *key, int def)
{
	return has(req, key) ? json_object_get_int(json_object_object_get(req, key)) : def;
}

bool arg_bool(struct json_object *req, const char *key, bool def)
{
	return has(req, key) ? json_object_get_boolean(json_object_object_get(req, key)) : def;
}

const char *arg_str(struct json_object *req, const char *key, const char *def)
{
	return has(req, key) ? json_object_get_string(json_object_object_get(req, key)) : def;
}

int need(struct json_object *req, const char *key)
{
	return has(req, key) ? 0 : fail(EINVAL, "argument \"%s\" is missing", key);
}

int need_uffd(struct json_object *req, int *ret)
{
	*ret = arg_int(req, "uffd", -1);
	return need(req, "uffd");
}

static int lookup(const struct name_value *table, size_t n, const char *name, uint64_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(table[i].name, name)) {
			*ret = table[i].value;
			return 0;
		}
	}
	return fail(EINVAL, "unknown name \"%s\"", name);
}

int arg_name(struct json_object *req, const char *key, const char *def, const struct name_value *table, size_t n,
	     uint64_t *ret)
{
	const char *name = arg_str(req, key, def);

	return name ? lookup(table, n, name, ret) : need(req, key);
}

/* A list of names, or-ed. */
int arg_flags(struct json_object *req, const char *key, const struct name_value *table, size_t n, uint64_t *ret)
{
	struct json_object *list = json_object_object_get(req, key);
	uint64_t one = 0;
	int err;

	*ret = 0;
	if (!list)
		return 0;
	if (!json_object_is_type(list, json_type_array))
		return fail(EINVAL, "\"%s\" is no list", key);
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		err = lookup(table, n, json_object_get_string(json_object_array_get_idx(list, i)), &one);
		if (err)
			return err;
		*ret |= one;
	}
	return 0;
}
