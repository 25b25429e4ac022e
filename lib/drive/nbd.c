// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An image on a server of the protocol NBD. libnbd is loaded when it is needed: it brings a library for TLS, and every
 * start of a program would take twice as long.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/drive/nbd.h"
#include "lib/log.h"
#include "lib/util.h"

#if __has_include(<libnbd.h>)
#include <libnbd.h>

#define LIBRARY "libnbd.so.0"
#define REMEDY "Debian: apt-get install libnbd0"
/* As many as serve has threads by default, with those in the background. */
#define MAX_CONNECTIONS 16
/* Every server takes requests of this size. */
#define MAX_REQUEST (UINT64_C(1) << 20)
#define STEP_MS 100

/* ---- the library ---- */

struct library {
	void *handle;
	__typeof__(nbd_create) *create;
	__typeof__(nbd_close) *close;
	__typeof__(nbd_get_error) *get_error;
	__typeof__(nbd_get_errno) *get_errno;
	__typeof__(nbd_set_uri_allow_local_file) *set_uri_allow_local_file;
	__typeof__(nbd_aio_connect_uri) *aio_connect_uri;
	__typeof__(nbd_aio_pread) *aio_pread;
	__typeof__(nbd_add_meta_context) *add_meta_context;
	__typeof__(nbd_can_meta_context) *can_meta_context;
	__typeof__(nbd_aio_block_status) *aio_block_status;
	__typeof__(nbd_aio_command_completed) *aio_command_completed;
	__typeof__(nbd_aio_is_ready) *aio_is_ready;
	__typeof__(nbd_aio_is_dead) *aio_is_dead;
	__typeof__(nbd_aio_is_closed) *aio_is_closed;
	__typeof__(nbd_poll) *poll;
	__typeof__(nbd_get_size) *get_size;
	__typeof__(nbd_can_multi_conn) *can_multi_conn;
};

static const struct {
	const char *name;
	size_t at;
} functions[] = {
	{ "nbd_create", offsetof(struct library, create) },
	{ "nbd_close", offsetof(struct library, close) },
	{ "nbd_get_error", offsetof(struct library, get_error) },
	{ "nbd_get_errno", offsetof(struct library, get_errno) },
	{ "nbd_set_uri_allow_local_file", offsetof(struct library, set_uri_allow_local_file) },
	{ "nbd_aio_connect_uri", offsetof(struct library, aio_connect_uri) },
	{ "nbd_aio_pread", offsetof(struct library, aio_pread) },
	{ "nbd_add_meta_context", offsetof(struct library, add_meta_context) },
	{ "nbd_can_meta_context", offsetof(struct library, can_meta_context) },
	{ "nbd_aio_block_status", offsetof(struct library, aio_block_status) },
	{ "nbd_aio_command_completed", offsetof(struct library, aio_command_completed) },
	{ "nbd_aio_is_ready", offsetof(struct library, aio_is_ready) },
	{ "nbd_aio_is_dead", offsetof(struct library, aio_is_dead) },
	{ "nbd_aio_is_closed", offsetof(struct library, aio_is_closed) },
	{ "nbd_poll", offsetof(struct library, poll) },
	{ "nbd_get_size", offsetof(struct library, get_size) },
	{ "nbd_can_multi_conn", offsetof(struct library, can_multi_conn) },
};

static int load(struct uffdctl *u, struct library *ret)
{
	ret->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!ret->handle)
		return fail(u, -ENOTSUP, "contents of servers need " LIBRARY " (" REMEDY "): %s", dlerror() ?: "?");
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		void **f = (void **)((char *)ret + functions[i].at);

		*f = dlsym(ret->handle, functions[i].name);
		if (!*f)
			return fail(u, -ENOTSUP, LIBRARY " has no %s (" REMEDY ")", functions[i].name);
	}
	return 0;
}

/* ---- connections ---- */

struct stop {
	int (*fn)(void *data);
	void *data;
};

struct connection {
	struct nbd_handle *nbd; /* NULL: it must be made */
	bool is_used;
};

struct nbd_image {
	struct uffdctl *u;
	struct library lib;
	char *uri;
	const char *context; /* of metadata, which each connection is to have; NULL: none */
	uint64_t size;
	pthread_mutex_t lock; /* for all below */
	pthread_cond_t returned;
	struct connection connections[MAX_CONNECTIONS];
	unsigned int nr;	 /* how many the server takes */
	unsigned int nr_waiting; /* for one, not in the background */
};

static bool is_stopped(const struct stop *s)
{
	return s->fn && s->fn(s->data);
}

static bool is_broken(const struct nbd_image *n, struct nbd_handle *nbd)
{
	return n->lib.aio_is_dead(nbd) || n->lib.aio_is_closed(nbd);
}

/* libnbd has its errors by thread. */
static int nbd_error(const struct nbd_image *n, int otherwise)
{
	int err = n->lib.get_errno();

	return err > 0 ? -err : otherwise;
}

static void disconnect(struct nbd_image *n, struct connection *c)
{
	if (c->nbd)
		n->lib.close(c->nbd);
	c->nbd = NULL;
}

static int connect_it(struct nbd_image *n, struct connection *c, const struct stop *stop)
{
	c->nbd = n->lib.create();
	if (!c->nbd)
		return -ENOMEM;
	if ((n->context && n->lib.add_meta_context(c->nbd, n->context) < 0) ||
	    n->lib.set_uri_allow_local_file(c->nbd, true) < 0 || n->lib.aio_connect_uri(c->nbd, n->uri) < 0)
		return nbd_error(n, -ENOTCONN);
	while (!n->lib.aio_is_ready(c->nbd)) {
		if (is_stopped(stop))
			return -EINTR;
		if (n->lib.poll(c->nbd, STEP_MS) < 0 || is_broken(n, c->nbd))
			return nbd_error(n, -ENOTCONN);
	}
	return 0;
}

/* The server may have been started again with another image. */
static int connect_again(struct nbd_image *n, struct connection *c, const struct stop *stop)
{
	int r = connect_it(n, c, stop);

	return r < 0 || n->lib.get_size(c->nbd) == (int64_t)n->size ? r : -ESTALE;
}

/* One that is to be used: make it, if it has broken. */
static int prepare(struct nbd_image *n, struct connection *c, const struct stop *stop)
{
	int r = 0;

	if (c->nbd && is_broken(n, c->nbd))
		disconnect(n, c);
	if (!c->nbd)
		r = connect_again(n, c, stop);
	if (r < 0)
		disconnect(n, c);
	return r;
}

static struct connection *find_unused(struct nbd_image *n, bool background)
{
	if (background && n->nr_waiting)
		return NULL;
	for (unsigned int i = 0; i < n->nr; i++)
		if (!n->connections[i].is_used)
			return &n->connections[i];
	return NULL;
}

static void wait_for_return(struct nbd_image *n)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += STEP_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_clockwait(&n->returned, &n->lock, CLOCK_MONOTONIC, &until);
}

/* One that nobody uses; -EINTR. */
static int take_connection(struct nbd_image *n, bool background, const struct stop *stop, struct connection **ret)
{
	int r = 0;

	pthread_mutex_lock(&n->lock);
	n->nr_waiting += !background;
	*ret = find_unused(n, background);
	while (!*ret && r >= 0) {
		wait_for_return(n);
		*ret = find_unused(n, background);
		r = is_stopped(stop) ? -EINTR : 0;
	}
	n->nr_waiting -= !background;
	if (*ret)
		(*ret)->is_used = true;
	pthread_mutex_unlock(&n->lock);
	return *ret ? 0 : r;
}

static void return_connection(struct nbd_image *n, struct connection *c)
{
	pthread_mutex_lock(&n->lock);
	c->is_used = false;
	pthread_cond_broadcast(&n->returned);
	pthread_mutex_unlock(&n->lock);
}

/* ---- reading ---- */

/*
 * Wait for an answer. A request that is given up keeps the buffer: the connection is closed before the caller goes on.
 * @cookie: negative: it could not be sent
 */
static int finish(struct nbd_image *n, struct connection *c, int64_t cookie, const struct stop *stop)
{
	int r = cookie < 0 ? nbd_error(n, -EIO) : 0, done = 0;

	while (r >= 0 && !done) {
		done = n->lib.aio_command_completed(c->nbd, (uint64_t)cookie);
		if (done < 0)
			return is_broken(n, c->nbd) ? -ENOTCONN : nbd_error(n, -EIO);
		if (done)
			break;
		if (is_stopped(stop))
			r = -EINTR;
		else if (n->lib.poll(c->nbd, STEP_MS) < 0 && is_broken(n, c->nbd))
			r = -ENOTCONN;
	}
	if (r < 0)
		disconnect(n, c);
	return r;
}

static int request(struct nbd_image *n, struct connection *c, uint64_t at, void *buf, uint64_t len,
		   const struct stop *stop)
{
	return finish(n, c, n->lib.aio_pread(c->nbd, buf, len, at, NBD_NULL_COMPLETION, 0), stop);
}

int nbd_image_read(struct nbd_image *n, uint64_t at, void *buf, uint64_t len, unsigned int flags,
		   int (*stop)(void *data), void *data)
{
	const struct stop s = { stop, data };
	struct connection *c;
	int r;

	if (at > n->size || len > n->size - at)
		return -ENODATA;
	r = take_connection(n, flags & NBD_BACKGROUND, &s, &c);
	if (r < 0)
		return r;
	r = prepare(n, c, &s);
	for (uint64_t done = 0; r >= 0 && done < len; done += MIN(MAX_REQUEST, len - done))
		r = request(n, c, at + done, (char *)buf + done, MIN(MAX_REQUEST, len - done), &s);
	if (r < 0 && c->nbd && is_broken(n, c->nbd))
		disconnect(n, c);
	return_connection(n, c);
	return r;
}

/* ---- metadata ---- */

#define MAX_EXTENTS_REQUEST (UINT64_C(1) << 30)

struct extents {
	struct nbd_image *n;
	nbd_extent_fn fn;
	void *data;
	uint64_t end; /* what was told so far ends there */
};

/* Pairs of a length and flags. A server may have others than was asked for. */
static int on_extents(void *data, const char *context, uint64_t at, uint32_t *entries, size_t nr, int *error)
{
	struct extents *e = data;

	if (nr % 2) {
		*error = EIO;
		return -1;
	}
	for (size_t i = 0; i < nr && !strcmp(context, e->n->context); i += 2) {
		e->fn(e->data, at, entries[i], entries[i + 1]);
		at += entries[i];
		e->end = MAX(e->end, at);
	}
	return 0;
}

static int ask_extents(struct connection *c, struct extents *e, const struct stop *stop)
{
	struct nbd_image *n = e->n;
	const nbd_extent_callback callback = { .callback = on_extents, .user_data = e };
	int r = n->lib.can_meta_context(c->nbd, n->context) == 1 ? 0 : -ENOENT;

	while (r >= 0 && e->end < n->size) {
		uint64_t at = e->end, len = MIN(n->size - at, MAX_EXTENTS_REQUEST);

		r = finish(n, c, n->lib.aio_block_status(c->nbd, len, at, callback, NBD_NULL_COMPLETION, 0), stop);
		if (r >= 0 && e->end == at)
			r = -EIO;
	}
	return r;
}

int nbd_image_extents(struct nbd_image *n, nbd_extent_fn fn, void *fn_data, int (*stop)(void *data), void *data)
{
	const struct stop s = { stop, data };
	struct extents e = { .n = n, .fn = fn, .data = fn_data };
	struct connection *c;
	int r = take_connection(n, false, &s, &c);

	if (r < 0)
		return r;
	r = prepare(n, c, &s);
	if (r >= 0)
		r = ask_extents(c, &e, &s);
	return_connection(n, c);
	if (r == -ENOENT)
		return fail(n->u, r, "the contents: the server has no %s for them (qemu-nbd --bitmap=NAME offers one)",
			    n->context);
	return r >= 0 || r == -EINTR ? r : fail(n->u, r, "the contents: %s: %s", n->context, strerror(-r));
}

/* ---- opening ---- */

UFFDCTL_EXPORT int uffdctl_uri_check(struct uffdctl *u)
{
	struct library lib;
	int r = load(u, &lib);

	if (lib.handle)
		dlclose(lib.handle);
	return r;
}

uint64_t nbd_image_size(const struct nbd_image *n)
{
	return n->size;
}

void nbd_image_close(struct nbd_image *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		disconnect(n, &n->connections[i]);
	if (n->lib.handle)
		dlclose(n->lib.handle);
	free(n->uri);
	free(n);
}

/* Several connections see the same only if the server says so. */
static int ask_server(struct nbd_image *n, const struct stop *stop)
{
	struct connection *first = &n->connections[0];
	int r = connect_it(n, first, stop);
	int64_t size = r < 0 ? 0 : n->lib.get_size(first->nbd);

	if (r == -EINTR)
		return r;
	if (r < 0 || size < 0)
		return fail(n->u, r < 0 ? r : nbd_error(n, -EIO), "the contents: %s",
			    n->lib.get_error() ?: strerror(-r));
	n->size = (uint64_t)size;
	n->nr = n->lib.can_multi_conn(first->nbd) == 1 ? MAX_CONNECTIONS : 1;
	return 0;
}

int nbd_image_open(struct uffdctl *u, const char *uri, const char *context, int (*stop)(void *data), void *data,
		   struct nbd_image **ret)
{
	const struct stop s = { stop, data };
	struct nbd_image *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return log_oom(u);
	n->u = u;
	n->context = context;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->returned, NULL);
	n->uri = strdup(uri);
	r = n->uri ? load(u, &n->lib) : log_oom(u);
	if (r >= 0)
		r = ask_server(n, &s);
	if (r < 0)
		nbd_image_close(n);
	else
		*ret = n;
	return r;
}

#else

static int fail_without(struct uffdctl *u)
{
	return fail(u, -ENOTSUP, "contents of servers need libnbd, without which this program was built");
}

UFFDCTL_EXPORT int uffdctl_uri_check(struct uffdctl *u)
{
	return fail_without(u);
}

int nbd_image_open(struct uffdctl *u, const char *uri, const char *context, int (*stop)(void *data), void *data,
		   struct nbd_image **ret)
{
	(void)uri, (void)context, (void)stop, (void)data, (void)ret;
	return fail_without(u);
}

uint64_t nbd_image_size(const struct nbd_image *n)
{
	(void)n;
	return 0;
}

int nbd_image_read(struct nbd_image *n, uint64_t at, void *buf, uint64_t len, unsigned int flags,
		   int (*stop)(void *data), void *data)
{
	(void)n, (void)at, (void)buf, (void)len, (void)flags, (void)stop, (void)data;
	return -ENOTSUP;
}

int nbd_image_extents(struct nbd_image *n, nbd_extent_fn fn, void *fn_data, int (*stop)(void *data), void *data)
{
	(void)n, (void)fn, (void)fn_data, (void)stop, (void)data;
	return -ENOTSUP;
}

void nbd_image_close(struct nbd_image *n)
{
	(void)n;
}

#endif

/* ---- URIs ---- */

bool nbd_is_uri(const char *text)
{
	static const char *const schemes[] = { "nbd:", "nbds:", "nbd+unix:", "nbds+unix:", "nbd+vsock:", "nbds+vsock:" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (!strncmp(text, schemes[i], strlen(schemes[i])) && !strncmp(text + strlen(schemes[i]), "//", 2))
			return true;
	return false;
}

UFFDCTL_EXPORT bool uffdctl_is_uri(const char *text)
{
	return nbd_is_uri(text);
}
