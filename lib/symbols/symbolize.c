// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Instruction addresses of other processes to text.
 *
 * A thread lets a child do the look-ups (symbolize_text.h), which may take long; callers read the results from a
 * table. The key of an address there includes a serial number of its process, which changes when the PID gets another
 * program or belongs to another process. Older results are then not found any more, and are replaced as they age.
 */
#include <fcntl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "lib/kernel/pidfd.h"
#include "lib/kernel/proc.h"
#include "lib/kernel/target.h"
#include "lib/log.h"
#include "lib/symbols/child.h"
#include "lib/symbols/symbolize_text.h"
#include "lib/util.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

#define NR_WAYS 8
#define NR_SETS 2048
#define NR_REQUESTS 4096

/* How often to check whether a process has another program. */
#define CHECK_NS NS_PER_MS
/* How often to look up an address again: libraries come and go, and compilers overwrite their code. */
#define TEXT_NS (10 * NS_PER_S)
#define ERROR_NS NS_PER_S

struct process {
	uint64_t serial;
	uint64_t used, checked_ns;

	/* Set by the worker with the lock held. */
	struct uffdctl_target *t;
	int memfd;
	uint64_t t_serial; /* whose t is */

	/* The worker's own. */
	int err; /* why it can't be opened */
	uint64_t err_ns;
};

struct entry {
	uint64_t serial, ip, made_ns, used;
	char *text;
	int err; /* when text is NULL */
	bool known, queued;
};

struct request {
	struct process *process;
	uint64_t serial, ip;
	pid_t pid;
};

struct uffdctl_symbols {
	struct uffdctl *u;
	struct uffdctl quiet; /* the worker's own context: the caller's thread passes its messages on */
	char text[TEXT_MAX];  /* handed out last */

	pthread_mutex_t lock;
	pthread_cond_t asked, answered;
	pthread_t worker;
	bool started, stop, ended, orphaned;
	char said[256]; /* recorded by the worker, not logged yet */
	struct process *processes;
	pid_t *pids; /* in an array of its own, since each call searches it; 0: free */
	size_t nr_processes;
	uint64_t last_serial, tick;
	struct entry (*sets)[NR_WAYS];
	struct request requests[NR_REQUESTS];
	size_t head, nr_requests;

	/* The worker's own. */
	struct child child;
	struct texts_opts opts;
	size_t nr_bad;
};

/* ---- the table ---- */

static struct entry *set_of(struct uffdctl_symbols *s, uint64_t serial, uint64_t ip)
{
	uint64_t h = (ip ^ serial * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);

	return s->sets[(h >> 32) % NR_SETS];
}

/* The entry of an address; a new one replaces the one that was unused for longest; NULL if all are being looked up. */
static struct entry *find_entry(struct uffdctl_symbols *s, uint64_t serial, uint64_t ip)
{
	struct entry *set = set_of(s, serial, ip), *oldest = NULL;

	for (int i = 0; i < NR_WAYS; i++) {
		if (set[i].serial == serial && set[i].ip == ip)
			return &set[i];
		if (!set[i].queued && (!oldest || set[i].used < oldest->used))
			oldest = &set[i];
	}
	if (oldest) {
		free(oldest->text);
		*oldest = (struct entry){ .serial = serial, .ip = ip };
	}
	return oldest;
}

static void ask(struct uffdctl_symbols *s, struct process *p, struct entry *e)
{
	if (e->queued || s->nr_requests == NR_REQUESTS)
		return;
	e->queued = true;
	s->requests[(s->head + s->nr_requests++) % NR_REQUESTS] =
		(struct request){ .process = p, .serial = p->serial, .ip = e->ip, .pid = s->pids[p - s->processes] };
	pthread_cond_signal(&s->asked);
}

/* Keep what was found while the process existed: an address that is gone now was valid earlier. */
static void answer(struct uffdctl_symbols *s, const struct request *req, int err, char *text)
{
	struct entry *e = find_entry(s, req->serial, req->ip);

	if (e) {
		if (text || !e->text) {
			free(e->text);
			e->text = steal_ptr(text);
			e->err = err;
		}
		e->known = true;
		e->queued = false;
		e->made_ns = now_ns(CLOCK_MONOTONIC_COARSE);
	}
	/* It may have another program: check before the next answer. */
	if (err == -ESRCH)
		req->process->checked_ns = 0;
	free(text);
	pthread_cond_broadcast(&s->answered);
}

/* ---- whose addresses ---- */

/*
 * pagemap_read() of fs/proc/task_mmu.c takes no lock before it checks for memory (none: 0), then the offset (odd:
 * EINVAL).
 */
static bool has_memory(const struct process *p)
{
	char c;

	return pread(p->memfd, &c, 1, 1) != 0;
}

/*
 * Does the PID still belong to the opened process, even if that has ended? Nothing here waits for a lock of the
 * process.
 */
static bool is_still(const struct process *p)
{
	struct proc_stat st;
	char buf[1024];

	if (has_memory(p) && !pidfd_exited(p->t->pidfd))
		return true;
	/* Exiting, or a zombie. */
	if (proc_read(p->t->procfd, "stat", buf, sizeof(buf)) >= 0 && stat_parse(buf, &st) >= 0)
		return st.flags & 0x4; /* PF_EXITING of include/linux/sched.h */
	return kill(p->t->pid, 0) < 0 && errno == ESRCH;
}

/* Its place, or the place of the process that was unused for longest. */
static size_t place_of(const struct uffdctl_symbols *s, pid_t pid)
{
	size_t oldest = 0;

	for (size_t i = 0; i < s->nr_processes; i++)
		if (s->pids[i] == pid)
			return i;
	for (size_t i = 1; i < s->nr_processes; i++)
		if (s->processes[i].used < s->processes[oldest].used)
			oldest = i;
	return oldest;
}

static struct process *process_of(struct uffdctl_symbols *s, pid_t pid, uint64_t now)
{
	size_t i = place_of(s, pid);
	struct process *p = &s->processes[i];
	bool same = s->pids[i] == pid;

	if (same && p->t && p->t_serial == p->serial && now - p->checked_ns >= CHECK_NS) {
		p->checked_ns = now;
		same = is_still(p);
	}
	if (!same) {
		s->pids[i] = pid;
		p->serial = ++s->last_serial;
	}
	p->used = ++s->tick;
	return p;
}

static void close_process(struct uffdctl_symbols *s, struct process *p)
{
	struct uffdctl_target *t;
	int memfd;

	pthread_mutex_lock(&s->lock);
	t = steal_ptr(p->t);
	memfd = steal_fd(p->memfd);
	pthread_mutex_unlock(&s->lock);
	cleanup_close(&memfd);
	uffdctl_target_close(t);
	p->err_ns = 0;
	p->err = 0;
}

static int open_process(struct uffdctl_symbols *s, const struct request *req)
{
	struct process *p = req->process;
	struct uffdctl_target *t = NULL;
	int memfd = -1, r;

	if (p->t_serial == req->serial && p->t)
		return 0;
	if (p->t_serial == req->serial && p->err && now_ns(CLOCK_MONOTONIC_COARSE) - p->err_ns < ERROR_NS)
		return p->err;
	close_process(s, p);
	r = uffdctl_target_open(&s->quiet, req->pid, &t);
	if (r >= 0)
		r = target_open_file(t, "pagemap", O_RDONLY, &memfd);
	if (r < 0) {
		uffdctl_target_close(t);
		t = NULL;
		p->err = r;
		p->err_ns = now_ns(CLOCK_MONOTONIC_COARSE);
	}
	pthread_mutex_lock(&s->lock);
	p->t = t;
	p->memfd = memfd;
	p->t_serial = req->serial;
	p->checked_ns = now_ns(CLOCK_MONOTONIC_COARSE);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* ---- the worker ---- */

/* The next child skips what blocked or ended the last one. */
static void drop_child(struct uffdctl_symbols *s)
{
	uint64_t mark = child_at(&s->child);

	/* 0: the cause is not known. */
	s->opts.bad[s->nr_bad++ % TEXTS_MAX_BAD] = mark;
	child_stop(&s->child);
}

static int ask_child(struct uffdctl_symbols *s, const struct text_request *req, struct text_reply *ret)
{
	size_t len = 0;
	int r = 0;

	/* So many children have ended that another one would end, too. */
	if (!s->child.pid && s->nr_bad / 4 >= TEXTS_MAX_BAD)
		return -EPIPE;
	if (!s->child.pid)
		r = child_start(&s->child, NULL, 0, TEXTS_MAX_BYTES, texts_serve, &s->opts);
	if (r < 0)
		return r;
	r = child_send(&s->child, req, sizeof(*req));
	if (r >= 0)
		r = child_receive(&s->child, NULL, ret, sizeof(*ret), &len);
	if (r >= 0 && len != sizeof(*ret))
		r = -EPIPE;
	if (r < 0)
		drop_child(s);
	return r;
}

/* The file, its debug file and the perf map may lie on three file systems, none of which answers. */
#define TRIES 4

static int look_up(struct uffdctl_symbols *s, const struct request *req, char **ret)
{
	struct text_request asked = {
		.serial = req->serial, .ip = req->ip, .place = req->process - s->processes, .pid = req->pid
	};
	struct text_reply reply = {};
	int r = open_process(s, req);

	if (r >= 0) {
		r = -EAGAIN;
		for (int i = 0; i < TRIES && r < 0; i++)
			r = ask_child(s, &asked, &reply);
		if (r >= 0)
			r = reply.err;
	}
	/* The child opened the process by its PID; a process that has ended has no mappings. */
	if (req->process->t && !has_memory(req->process))
		r = -ESRCH;
	if (r < 0)
		return r;
	*ret = strndup(reply.text, sizeof(reply.text) - 1);
	return *ret ? 0 : -ENOMEM;
}

static void destroy(struct uffdctl_symbols *s)
{
	for (size_t i = 0; i < s->nr_processes; i++)
		close_process(s, &s->processes[i]);
	for (size_t i = 0; s->sets && i < NR_SETS; i++)
		for (size_t way = 0; way < NR_WAYS; way++)
			free(s->sets[i][way].text);
	pthread_cond_destroy(&s->answered);
	pthread_cond_destroy(&s->asked);
	pthread_mutex_destroy(&s->lock);
	free(s->sets);
	free(s->processes);
	free(s->pids);
	free(s->quiet.last_error);
	free(s);
}

static void *work(void *arg)
{
	struct uffdctl_symbols *s = arg;
	bool orphaned;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		struct request req;
		char *text = NULL;
		int r = -ESRCH;

		if (!s->nr_requests) {
			pthread_cond_wait(&s->asked, &s->lock);
			continue;
		}
		req = s->requests[s->head];
		s->head = (s->head + 1) % NR_REQUESTS;
		s->nr_requests--;
		if (req.process->serial == req.serial) {
			pthread_mutex_unlock(&s->lock);
			r = look_up(s, &req, &text);
			pthread_mutex_lock(&s->lock);
		}
		answer(s, &req, r, text);
	}
	s->ended = true;
	orphaned = s->orphaned;
	pthread_mutex_unlock(&s->lock);
	child_stop(&s->child);
	if (orphaned)
		destroy(s);
	return NULL;
}

static void keep_message(void *data, int level, const char *msg)
{
	struct uffdctl_symbols *s = data;

	(void)level;
	pthread_mutex_lock(&s->lock);
	snprintf(s->said, sizeof(s->said), "%s", msg);
	pthread_mutex_unlock(&s->lock);
}

/* The caller's threads handle signals. */
static int start(struct uffdctl_symbols *s)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&s->worker, NULL, work, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->started = r == 0;
	return -r;
}

/* ---- public ---- */

UFFDCTL_EXPORT int uffdctl_symbols_new(struct uffdctl *u, unsigned int flags, struct uffdctl_symbols **ret)
{
	struct uffdctl_symbols *s;
	struct rlimit files = { .rlim_cur = 1024 };
	rlim_t most;

	if (flags & ~(unsigned int)UFFDCTL_SYMBOLS_LINES)
		return fail(u, -EINVAL, "flags of symbols: 0x%x is not known", flags);
	s = calloc(1, sizeof(*s));
	if (!s)
		return log_oom(u);
	s->u = u;
	s->quiet = (struct uffdctl){ .log_level = UFFDCTL_LOG_ERROR, .log_fn = keep_message, .log_data = s };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->asked, NULL);
	pthread_cond_init(&s->answered, NULL);
	/*
	 * A process takes four descriptors here and three in the child, a file with its debug file two: less than
	 * half of RLIMIT_NOFILE.
	 */
	getrlimit(RLIMIT_NOFILE, &files);
	most = MIN(files.rlim_cur / 16, (rlim_t)512);
	s->nr_processes = MAX(most, (rlim_t)4);
	s->opts = (struct texts_opts){ .flags = flags, .nr_processes = s->nr_processes, .nr_modules = s->nr_processes };
	s->pids = calloc(s->nr_processes, sizeof(*s->pids));
	s->processes = calloc(s->nr_processes, sizeof(*s->processes));
	s->sets = calloc(NR_SETS, sizeof(*s->sets));
	if (!s->processes || !s->pids || !s->sets) {
		s->nr_processes = 0;
		destroy(s);
		return log_oom(u);
	}
	for (size_t i = 0; i < s->nr_processes; i++)
		s->processes[i].memfd = -1;
	*ret = s;
	return 0;
}

/* False: it is blocked, for example by a file system that a target serves, and cleans up itself when it ends. */
static bool end_worker(struct uffdctl_symbols *s)
{
	pthread_t worker = s->worker;
	struct timespec end;
	bool ended;

	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->asked);
	pthread_mutex_unlock(&s->lock);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec++;
	if (pthread_clockjoin_np(worker, NULL, CLOCK_MONOTONIC, &end) == 0)
		return true;
	pthread_mutex_lock(&s->lock);
	ended = s->ended;
	s->orphaned = !ended;
	pthread_mutex_unlock(&s->lock);
	if (ended)
		pthread_join(worker, NULL);
	else
		pthread_detach(worker);
	return ended;
}

UFFDCTL_EXPORT void uffdctl_symbols_free(struct uffdctl_symbols *s)
{
	if (s && (!s->started || end_worker(s)))
		destroy(s);
}

/* Return what is known; request a look-up of what is not known, or is outdated. */
static int take(struct uffdctl_symbols *s, pid_t pid, uint64_t ip)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC_COARSE);
	struct process *p = process_of(s, pid, now);
	struct entry *e = find_entry(s, p->serial, ip);

	if (!e)
		return -EAGAIN;
	e->used = s->tick;
	if (!e->known || now - e->made_ns >= (e->text ? TEXT_NS : ERROR_NS))
		ask(s, p, e);
	if (!e->known)
		return -EAGAIN;
	if (!e->text)
		return e->err;
	stpcpy(s->text, e->text);
	return 0;
}

static void log_said(struct uffdctl_symbols *s)
{
	char said[sizeof(s->said)];

	pthread_mutex_lock(&s->lock);
	memcpy(said, s->said, sizeof(said));
	s->said[0] = '\0';
	pthread_mutex_unlock(&s->lock);
	log_info(s->u, "%s", said);
}

UFFDCTL_EXPORT int uffdctl_symbols_get(struct uffdctl_symbols *s, pid_t pid, uint64_t ip, int timeout_ms,
				       const char **ret)
{
	struct timespec end;
	bool said;
	int r = 0, waited = 0;

	if (pid <= 0)
		return -ESRCH;
	if (!s->started)
		r = start(s);
	if (r < 0)
		return fail(s->u, r, "starting a thread that looks up symbols: %s", strerror(-r));
	if (timeout_ms > 0) {
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += timeout_ms / 1000;
		end.tv_nsec += timeout_ms % 1000 * 1000000L;
		end.tv_sec += end.tv_nsec / 1000000000L;
		end.tv_nsec %= 1000000000L;
	}
	pthread_mutex_lock(&s->lock);
	while ((r = take(s, pid, ip)) == -EAGAIN && timeout_ms && !waited)
		waited = timeout_ms < 0 ? pthread_cond_wait(&s->answered, &s->lock)
					: pthread_cond_clockwait(&s->answered, &s->lock, CLOCK_MONOTONIC, &end);
	said = s->said[0];
	pthread_mutex_unlock(&s->lock);
	if (said)
		log_said(s);
	if (r == 0)
		*ret = s->text;
	return r;
}
