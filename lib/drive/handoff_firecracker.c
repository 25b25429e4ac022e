// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Firecracker's message: a JSON array with an object for each region of memory. page_size was page_size_kib once, which
 * also is in bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "lib/drive/handoff.h"
#include "lib/util.h"

#define MAX_DEPTH 4

static bool get(json_object *o, const char *key, uint64_t *ret)
{
	json_object *n;

	if (!json_object_object_get_ex(o, key, &n) || !json_object_is_type(n, json_type_int) ||
	    json_object_get_int64(n) < 0)
		return false;
	*ret = json_object_get_uint64(n);
	return true;
}

static const char *parse_region(json_object *o, struct uffdctl_handoff_region *ret)
{
	uint64_t page = base_page_size();

	if (!json_object_is_type(o, json_type_object))
		return "a region is not an object";
	if (!get(o, "base_host_virt_addr", &ret->start) || !get(o, "size", &ret->size) ||
	    !get(o, "offset", &ret->offset))
		return "a region lacks base_host_virt_addr, size or offset, or they are not numbers";
	if (!get(o, "page_size", &ret->page_size) && !get(o, "page_size_kib", &ret->page_size))
		ret->page_size = page;
	if (ret->page_size < page || ret->page_size & (ret->page_size - 1))
		return "a region has a page size that is not one";
	if (!ret->size || (ret->start | ret->size) % ret->page_size || ret->offset % page)
		return "a region is empty, or does not begin and end with a page";
	if (ret->start > INT64_MAX - ret->size || ret->offset > INT64_MAX - ret->size)
		return "a region ends beyond all memory";
	return NULL;
}

static int compare_starts(const void *a, const void *b)
{
	const struct uffdctl_handoff_region *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static const char *check_order(struct handoff_regions *r)
{
	qsort(r->list, r->nr, sizeof(*r->list), compare_starts);
	for (size_t i = 1; i < r->nr; i++)
		if (r->list[i - 1].start + r->list[i - 1].size > r->list[i].start)
			return "two regions overlap";
	return NULL;
}

static int parse_array(json_object *array, struct handoff_regions *ret, const char **why)
{
	size_t nr = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;

	*why = !nr ? "not an array of regions" : nr > HANDOFF_MAX_REGIONS ? "there are too many regions" : NULL;
	if (*why)
		return -EBADMSG;
	ret->list = calloc(nr, sizeof(*ret->list));
	if (!ret->list)
		return -ENOMEM;
	for (; ret->nr < nr && !*why; ret->nr++)
		*why = parse_region(json_object_array_get_idx(array, ret->nr), &ret->list[ret->nr]);
	*why = *why ?: check_order(ret);
	return *why ? -EBADMSG : 1;
}

static bool is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr(" \t\r\n", text[i]) || !text[i])
			return false;
	return true;
}

int handoff_parse_firecracker(const char *text, size_t len, struct handoff_regions *ret, const char **why)
{
	struct json_tokener *tok = json_tokener_new_ex(MAX_DEPTH);
	enum json_tokener_error err;
	json_object *o;
	size_t end;
	int r;

	*ret = (struct handoff_regions){};
	if (!tok)
		return -ENOMEM;
	o = json_tokener_parse_ex(tok, text, (int)len);
	err = json_tokener_get_error(tok);
	end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	*why = "not JSON";
	r = err == json_tokener_continue ? 0 : -EBADMSG;
	if (err == json_tokener_success && !is_blank(text + end, len - end))
		*why = "something follows the array";
	else if (err == json_tokener_success)
		r = parse_array(o, ret, why);
	json_object_put(o);
	if (r < 0) {
		free(ret->list);
		*ret = (struct handoff_regions){};
	}
	return r;
}
