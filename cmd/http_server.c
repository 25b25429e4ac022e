// SPDX-License-Identifier: GPL-2.0-or-later
/* A server of /metrics: numbers for Prometheus by HTTP, made anew for each request. */
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/http.h"
#include "cmd/http_server.h"
#include "cmd/values.h"
#include "lib/cleanup.h"

#define MAX_CONNECTIONS 16u
#define MAX_IDLE_S 10u

struct http_server {
	struct http_metrics metrics;
	struct http_library lib;
	struct MHD_Daemon *daemon; /* has the socket */
};

bool is_http_address(const char *arg)
{
	const char *colon = strrchr(arg, ':');
	int port;

	return colon != arg && parse_number(colon ? colon + 1 : arg, &port) == 0 && port <= UINT16_MAX;
}

/* ---- requests ---- */

/* Takes over text; NULL: out of memory. */
static enum MHD_Result answer(const struct http_server *s, struct MHD_Connection *c, unsigned int status, char *text,
			      size_t len, const char *type)
{
	struct MHD_Response *r = text ? s->lib.create_response(len, text, MHD_RESPMEM_MUST_FREE) : NULL;
	enum MHD_Result result = MHD_NO;

	if (r && s->lib.add_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES &&
	    (status != MHD_HTTP_METHOD_NOT_ALLOWED ||
	     s->lib.add_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") == MHD_YES))
		result = s->lib.queue_response(c, status, r);
	if (r)
		s->lib.destroy_response(r);
	else
		free(text);
	return result;
}

static enum MHD_Result answer_metrics(const struct http_server *s, struct MHD_Connection *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	int r = f ? s->metrics.put(f, s->metrics.data) : -ENOMEM;

	if ((f && fclose(f)) || r < 0) {
		free(text);
		text = NULL;
	}
	return answer(s, c, MHD_HTTP_OK, text, len, "text/plain; version=0.0.4; charset=utf-8");
}

static enum MHD_Result answer_text(const struct http_server *s, struct MHD_Connection *c, unsigned int status,
				   const char *text)
{
	return answer(s, c, status, strdup(text), strlen(text), "text/plain");
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *c, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **of_request)
{
	const struct http_server *s = data;

	(void)version, (void)upload;
	/* The first call has the headers alone; then come parts of a body, which is not read. */
	if (!*of_request) {
		*of_request = data;
		return MHD_YES;
	}
	if (*upload_size) {
		*upload_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_text(s, c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
	if (!strcmp(url, "/metrics"))
		return answer_metrics(s, c);
	return answer_text(s, c, strcmp(url, "/") ? MHD_HTTP_NOT_FOUND : MHD_HTTP_OK, s->metrics.other);
}

/* ---- the socket ---- */

/* "9000", "127.0.0.1:9000", "[::1]:9000", "*:9000" */
static int split_address(const char *text, char **ret_host, const char **ret_port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	*ret_port = colon ? colon + 1 : text;
	if (!colon)
		*ret_host = strdup("127.0.0.1");
	else if (len >= 2 && text[0] == '[' && text[len - 1] == ']')
		*ret_host = strndup(text + 1, len - 2);
	else
		*ret_host = strndup(text, len);
	return *ret_host ? 0 : -ENOMEM;
}

static int listen_on(const struct addrinfo *a)
{
	_cleanup_close_ int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, MAX_CONNECTIONS) < 0)
		return -errno;
	return steal_fd(fd);
}

static int open_socket(const char *address, struct messages *m)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
	_cleanup_free_ char *host = NULL;
	struct addrinfo *found = NULL;
	const char *port;
	int r = split_address(address, &host, &port), err;

	if (r < 0)
		return r;
	err = getaddrinfo(strcmp(host, "*") ? host : NULL, port, &hints, &found);
	if (err) {
		error(m, "--listen=%s: %s; write the address in numbers", address, gai_strerror(err));
		r = -EINVAL;
	} else {
		r = listen_on(found);
		if (r < 0)
			error_errno(m, r, "--listen=%s: %s", address, strerror(-r));
	}
	if (found)
		freeaddrinfo(found);
	return r;
}

/* Port 0 is any: say which one it is. */
static void say_where(int fd, struct messages *m)
{
	struct sockaddr_storage addr = {};
	socklen_t len = sizeof(addr);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	note(m,
	     addr.ss_family == AF_INET6 ? "listening on http://[%s]:%s/metrics" : "listening on http://%s:%s/metrics",
	     host, port);
}

/* ---- the server ---- */

/* Its thread gets no signal: these are for the command's own. */
static struct MHD_Daemon *start(struct http_server *s, int fd, bool has_thread)
{
	struct MHD_Daemon *d;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	d = s->lib.start(has_thread ? MHD_USE_EPOLL_INTERNAL_THREAD : MHD_USE_EPOLL, 0, NULL, NULL, on_request, s,
			 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS,
			 MHD_OPTION_CONNECTION_TIMEOUT, MAX_IDLE_S, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return d;
}

static int open_server(struct http_server *s, const char *address, bool has_thread, struct messages *m)
{
	char why[HTTP_WHY];
	int fd;

	if (http_load(&s->lib, why) < 0) {
		error(m, "--listen needs " HTTP_LIBRARY " (Debian: " HTTP_REMEDY "): %s", why);
		return -ENOENT;
	}
	fd = open_socket(address, m);
	if (fd < 0)
		return fd;
	s->daemon = start(s, fd, has_thread);
	if (!s->daemon) {
		close(fd);
		error(m, "--listen: " HTTP_LIBRARY " can't start a server");
		return -EIO;
	}
	say_where(fd, m);
	return 0;
}

int http_server_new(const char *address, const struct http_metrics *metrics, bool has_thread, struct messages *m,
		    struct http_server **ret)
{
	struct http_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		error(m, "out of memory");
		return -ENOMEM;
	}
	s->metrics = *metrics;
	r = open_server(s, address, has_thread, m);
	if (r < 0)
		http_server_free(s);
	else
		*ret = s;
	return r;
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	if (s->daemon)
		s->lib.stop(s->daemon);
	http_unload(&s->lib);
	free(s);
}

int http_server_wait(struct http_server *s, int timeout_ms)
{
	return s->lib.run_wait(s->daemon, timeout_ms) == MHD_YES || errno == EINTR ? 0 : -EIO;
}
