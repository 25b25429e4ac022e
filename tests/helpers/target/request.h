/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests, which are JSON objects, and the answers to them. */
#ifndef TESTS_TARGET_REQUEST_H
#define TESTS_TARGET_REQUEST_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct name_value {
	const char *name;
	uint64_t value;
};

int __attribute__((format(printf, 2, 3))) fail(int err, const char *fmt, ...);
int fail_errno(const char *what);
const char *failure(void);
void put_u64(struct json_object *res, const char *key, uint64_t value);
void put_int(struct json_object *res, const char *key, int64_t value);
void put_hex(struct json_object *res, const char *key, uint64_t value);
bool has(struct json_object *req, const char *key);
uint64_t arg_u64(struct json_object *req, const char *key, uint64_t def);
int arg_int(struct json_object *req, const char *key, int def);
bool arg_bool(struct json_object *req, const char *key, bool def);
const char *arg_str(struct json_object *req, const char *key, const char *def);
int need(struct json_object *req, const char *key);
int need_uffd(struct json_object *req, int *ret);
int arg_name(struct json_object *req, const char *key, const char *def, const struct name_value *table, size_t n,
	     uint64_t *ret);
int arg_flags(struct json_object *req, const char *key, const struct name_value *table, size_t n, uint64_t *ret);

#endif
