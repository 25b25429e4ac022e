// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Instruction addresses of other processes to text.
 *
 * One thread looks up, since files are read for it, which takes its time; callers find in a table what it
 * found. Addresses are known by a process's serial number there, which changes when a PID gets another
 * program or another process: what was found before is then out of reach, and makes room as it ages.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "elf.h"
#include "log.h"
#include "perfmap.h"
#include "pidfd.h"
#include "proc.h"
#include "symbolize_elf.h"
#include "target.h"
#include "util.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

#define NR_WAYS 8
#define NR_SETS 2048
#define NR_REQUESTS 4096

/* A process may have got another program: ask so often. */
#define CHECK_NS NS_PER_MS
/* Libraries come and go, and compilers write over their code: look again so often what stands there. */
#define TEXT_NS (10 * NS_PER_S)
#define ERROR_NS NS_PER_S
#define MAPS_NS NS_PER_S
#define MAPS_MISS_NS (100 * NS_PER_MS)

#define SYMBOL_MAX 512
#define NAME_MAX_SHOWN 255
#define TEXT_MAX (SYMBOL_MAX + 2 * NAME_MAX_SHOWN + 64)
#define VDSO_MAX_BYTES (UINT64_C(1) << 18)
#define CODE_BUDGET_BYTES (UINT64_C(1) << 29)
#define PERFMAP_BUDGET_BYTES (UINT64_C(1) << 28)

/* An executable mapping. */
struct mapping {
	struct uffdctl_range range;
	uint64_t offset;
	const char *name;
	bool is_file;
	uint64_t module; /* its id, once it was looked for */
};

struct process {
	uint64_t serial;
	uint64_t used, checked_ns;

	/* Set by the worker with the lock held. */
	struct uffdctl_target *t;
	int memfd;
	uint64_t t_serial; /* whose t is */

	/* The worker's own. */
	int err; /* why it can't be opened */
	uint64_t err_ns, maps_ns;
	struct mapping *maps;
	size_t nr_maps, maps_alloc;
	struct strpool names;
	struct perfmap perfmap;
	uint32_t nspid;
};

/* An ELF file, whichever processes map it. */
struct module {
	uint64_t id, used;
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	struct code *code; /* NULL: is none */
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
	unsigned int flags;
	struct uffdctl quiet; /* the worker's: messages are for the caller's thread to hand out */
	char text[TEXT_MAX];  /* handed out last */

	pthread_mutex_t lock;
	pthread_cond_t asked, answered;
	pthread_t worker;
	bool started, stop, ended, orphaned;
	char said[256]; /* by the worker, not logged yet */
	struct process *processes;
	pid_t *pids; /* beside processes, since each call looks through them; 0: free */
	size_t nr_processes;
	uint64_t last_serial, tick;
	struct entry (*sets)[NR_WAYS];
	struct request requests[NR_REQUESTS];
	size_t head, nr_requests;

	/* The worker's own. */
	struct module *modules;
	size_t nr_modules;
	uint64_t last_module, module_tick;
};

/* ---- the table ---- */

static struct entry *set_of(struct uffdctl_symbols *s, uint64_t serial, uint64_t ip)
{
	uint64_t h = (ip ^ serial * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);

	return s->sets[(h >> 32) % NR_SETS];
}

/* The entry of an address; a new one where the longest unused was; NULL when all of them are asked for. */
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

/* What was found when the process was there holds on: an address that is gone by now comes from before. */
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
	/* Perhaps it has another program: look before the next answer. */
	if (err == -ESRCH)
		req->process->checked_ns = 0;
	free(text);
	pthread_cond_broadcast(&s->answered);
}

/* ---- whose addresses ---- */

/* pagemap_read() of fs/proc/task_mmu.c looks, without a lock, for memory first and at the odd offset then. */
static bool has_memory(const struct process *p)
{
	char c;

	return pread(p->memfd, &c, 1, 1) != 0;
}

/* Does the PID still stand for what was opened, be it ended? Nothing here waits for a lock of the process's. */
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

/* Its place, or that of the one longest unused. */
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
	free(p->maps);
	p->maps = NULL;
	p->nr_maps = p->maps_alloc = 0;
	p->maps_ns = p->err_ns = 0;
	p->err = 0;
	strpool_free(&p->names);
	perfmap_clear(&p->perfmap);
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

/* ---- mappings ---- */

static int add_mapping(struct process *p, const struct maps_line *l)
{
	struct mapping *m;
	const char *name;

	if (l->perms[2] != 'x')
		return 0;
	name = strpool_get(&p->names, l->name);
	m = name ? vec_add(p->maps, p->nr_maps, p->maps_alloc) : NULL;
	if (!m)
		return -ENOMEM;
	*m = (struct mapping){
		.range = l->range, .offset = l->offset, .name = name, .is_file = l->inode && *name == '/'
	};
	return 0;
}

static int read_maps(struct process *p)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	int fd = fcntl(p->t->mapsfd, F_DUPFD_CLOEXEC, 0), r = 0;
	struct maps_line l;
	size_t size = 0;

	strpool_free(&p->names);
	p->nr_maps = 0;
	p->maps_ns = now_ns(CLOCK_MONOTONIC_COARSE);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		r = -errno;
		cleanup_close(&fd);
		return r;
	}
	rewind(f);
	while (r == 0 && getline(&line, &size, f) > 0)
		r = maps_line_parse(line, &l) < 0 ? -EPROTO : add_mapping(p, &l);
	return r;
}

static struct mapping *mapping_in(struct process *p, uint64_t ip)
{
	size_t lo = 0, hi = p->nr_maps;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (p->maps[mid].range.end <= ip)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->nr_maps && p->maps[lo].range.start <= ip ? &p->maps[lo] : NULL;
}

static int find_mapping(struct process *p, uint64_t ip, struct mapping **ret)
{
	uint64_t age = now_ns(CLOCK_MONOTONIC_COARSE) - p->maps_ns;
	struct mapping *m = age < MAPS_NS ? mapping_in(p, ip) : NULL;
	int r;

	if (!m && age >= MAPS_MISS_NS) {
		r = read_maps(p);
		if (r < 0)
			return r;
		m = mapping_in(p, ip);
	}
	*ret = m;
	return m ? 0 : -ENOENT;
}

/* ---- ELF files ---- */

static bool is_same_file(const struct module *mod, const struct stat *st)
{
	return mod->id && mod->dev == st->st_dev && mod->ino == st->st_ino && mod->size == st->st_size &&
	       mod->mtime.tv_sec == st->st_mtim.tv_sec && mod->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

static void drop_module(struct module *mod)
{
	code_close(mod->code);
	*mod = (struct module){};
}

/* In place of the one longest unused. */
static struct module *new_module(struct uffdctl_symbols *s, const struct stat *st)
{
	struct module *mod = s->modules;

	for (size_t i = 1; i < s->nr_modules; i++)
		if (s->modules[i].used < mod->used)
			mod = &s->modules[i];
	drop_module(mod);
	*mod = (struct module){
		.id = ++s->last_module,
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mtime = st->st_mtim,
	};
	return mod;
}

static struct module *oldest_code(struct uffdctl_symbols *s, const struct module *but)
{
	struct module *oldest = NULL;

	for (size_t i = 0; i < s->nr_modules; i++) {
		struct module *mod = &s->modules[i];

		if (mod != but && mod->code && (!oldest || mod->used < oldest->used))
			oldest = mod;
	}
	return oldest;
}

static void keep_code_budget(struct uffdctl_symbols *s, const struct module *but)
{
	uint64_t total = 0;
	struct module *mod;

	for (size_t i = 0; i < s->nr_modules; i++)
		total += s->modules[i].code ? code_bytes(s->modules[i].code) : 0;
	while (total > CODE_BUDGET_BYTES && (mod = oldest_code(s, but))) {
		total -= code_bytes(mod->code);
		drop_module(mod);
	}
}

static struct module *known_module(struct uffdctl_symbols *s, const struct mapping *m, const struct stat *st)
{
	for (size_t i = 0; i < s->nr_modules; i++)
		if (st ? is_same_file(&s->modules[i], st) : m->module && s->modules[i].id == m->module)
			return &s->modules[i];
	return NULL;
}

static struct module *file_module(struct uffdctl_symbols *s, struct process *p, struct mapping *m)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = elf_open_mapped(p->t->procfd, p->t->pid, m->name, m->range, &path);
	struct module *mod;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return NULL;
	mod = known_module(s, m, &st);
	if (mod)
		return mod;
	mod = new_module(s, &st);
	code_open(steal_fd(fd), path, s->flags & UFFDCTL_SYMBOLS_LINES, &mod->code);
	return mod;
}

/* It is in no file. A process can write to its own, so it serves no other. */
static struct module *vdso_module(struct uffdctl_symbols *s, struct process *p, struct mapping *m)
{
	_cleanup_close_ int fd = openat(p->t->procfd, "mem", O_RDONLY | O_CLOEXEC);
	struct stat st = { .st_ino = p->t_serial };
	size_t size = range_len(m->range);
	struct module *mod = known_module(s, m, &st);
	char *image;

	if (mod || fd < 0 || size > VDSO_MAX_BYTES)
		return mod;
	image = aligned_alloc(64, round_up(size, 64));
	if (!image)
		return NULL;
	mod = new_module(s, &st);
	if (pread(fd, image, size, (off_t)m->range.start) != (ssize_t)size ||
	    code_open_image(image, size, &mod->code) < 0)
		free(image);
	return mod;
}

/* NULL: none, or it can't be had. */
static struct code *code_of(struct uffdctl_symbols *s, struct process *p, struct mapping *m)
{
	struct module *mod = known_module(s, m, NULL);

	if (!mod && m->is_file)
		mod = file_module(s, p, m);
	else if (!mod && !strcmp(m->name, "[vdso]"))
		mod = vdso_module(s, p, m);
	if (!mod)
		return NULL;
	m->module = mod->id;
	mod->used = ++s->module_tick;
	keep_code_budget(s, mod);
	return mod->code;
}

/* ---- text ---- */

/* "libfoo.so.1" of "/usr/lib/libfoo.so.1 (deleted)". */
static void show_name(const struct mapping *m, char *buf, size_t size)
{
	static const char deleted[] = " (deleted)";
	const char *slash = m->is_file ? strrchr(m->name, '/') : NULL, *base = slash ? slash + 1 : m->name;
	size_t len = strlen(base);

	if (m->is_file && len > strlen(deleted) && !strcmp(base + len - strlen(deleted), deleted))
		len -= strlen(deleted);
	snprintf(buf, size, "%.*s", (int)MIN(len, (size_t)NAME_MAX_SHOWN), base);
}

/* Linkers append the version, "memcpy@@GLIBC_2.14". */
static int symbol_len(const char *name)
{
	const char *at = strchr(name, '@');
	size_t len = at && at > name ? (size_t)(at - name) : strlen(name);

	return (int)MIN(len, (size_t)SYMBOL_MAX);
}

static void show_code(const struct code_place *place, const char *name, char *buf)
{
	int len;

	if (place->function)
		len = snprintf(buf, TEXT_MAX, "%.*s+0x%" PRIx64 " (%s)", symbol_len(place->function), place->function,
			       place->offset, name);
	else
		len = snprintf(buf, TEXT_MAX, "0x%" PRIx64 " (%s)", place->vaddr, name);
	if (place->file)
		snprintf(buf + len, TEXT_MAX - len, " %.*s:%d", NAME_MAX_SHOWN, place->file, place->line);
}

/* Maps of processes that were not asked for of late go, when there are too many. */
static void keep_perfmap_budget(struct uffdctl_symbols *s, const struct process *but)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->nr_processes; i++)
		total += perfmap_bytes(&s->processes[i].perfmap);
	for (size_t i = 0; total > PERFMAP_BUDGET_BYTES && i < s->nr_processes; i++) {
		struct process *p = &s->processes[i];

		if (p == but)
			continue;
		total -= perfmap_bytes(&p->perfmap);
		perfmap_clear(&p->perfmap);
	}
}

static bool show_compiled(struct uffdctl_symbols *s, struct process *p, uint64_t ip, char *buf)
{
	const struct perfmap_entry *e;

	if (perfmap_refresh(&p->perfmap, p->t->procfd, &p->nspid) < 0)
		return false;
	keep_perfmap_budget(s, p);
	e = perfmap_find(&p->perfmap, ip);
	if (!e)
		return false;
	snprintf(buf, TEXT_MAX, "%.*s+0x%" PRIx64 " (perf-%u.map)", (int)MIN(e->name_len, (uint32_t)SYMBOL_MAX),
		 p->perfmap.text + e->name, ip - e->start, p->nspid);
	return true;
}

static int show(struct uffdctl_symbols *s, struct process *p, uint64_t ip, char *buf)
{
	char name[NAME_MAX_SHOWN + 1];
	struct code_place place;
	struct mapping *m;
	struct code *code;
	int r = find_mapping(p, ip, &m);

	if (r < 0)
		return r;
	show_name(m, name, sizeof(name));
	code = code_of(s, p, m);
	if (code && code_find(code, ip - m->range.start + m->offset, &place) == 0) {
		show_code(&place, name, buf);
		return 0;
	}
	if (show_compiled(s, p, ip, buf))
		return 0;
	if (!*name)
		return -ENOENT;
	snprintf(buf, TEXT_MAX, "0x%" PRIx64 " (%s)", m->is_file ? ip - m->range.start + m->offset : ip, name);
	return 0;
}

/* ---- the worker ---- */

static int look_up(struct uffdctl_symbols *s, const struct request *req, char **ret)
{
	char buf[TEXT_MAX];
	int r = open_process(s, req);

	if (r >= 0)
		r = show(s, req->process, req->ip, buf);
	/* Files were opened by its PID, and mappings of one that ended are none. */
	if (req->process->t && !has_memory(req->process))
		r = -ESRCH;
	if (r < 0)
		return r;
	*ret = strdup(buf);
	return *ret ? 0 : -ENOMEM;
}

static void destroy(struct uffdctl_symbols *s)
{
	for (size_t i = 0; i < s->nr_processes; i++)
		close_process(s, &s->processes[i]);
	for (size_t i = 0; i < s->nr_modules; i++)
		drop_module(&s->modules[i]);
	for (size_t i = 0; s->sets && i < NR_SETS; i++)
		for (size_t way = 0; way < NR_WAYS; way++)
			free(s->sets[i][way].text);
	pthread_cond_destroy(&s->answered);
	pthread_cond_destroy(&s->asked);
	pthread_mutex_destroy(&s->lock);
	free(s->sets);
	free(s->modules);
	free(s->processes);
	free(s->pids);
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

/* Signals are the caller's threads' to handle. */
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
	s->flags = flags;
	s->quiet = (struct uffdctl){ .log_level = UFFDCTL_LOG_ERROR, .log_fn = keep_message, .log_data = s };
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->asked, NULL);
	pthread_cond_init(&s->answered, NULL);
	/* A process takes four descriptors, a file with its debug file two: less than half of all. */
	getrlimit(RLIMIT_NOFILE, &files);
	most = MIN(files.rlim_cur / 16, (rlim_t)512);
	s->nr_processes = s->nr_modules = MAX(most, (rlim_t)4);
	s->pids = calloc(s->nr_processes, sizeof(*s->pids));
	s->processes = calloc(s->nr_processes, sizeof(*s->processes));
	s->modules = calloc(s->nr_modules, sizeof(*s->modules));
	s->sets = calloc(NR_SETS, sizeof(*s->sets));
	if (!s->processes || !s->pids || !s->modules || !s->sets) {
		s->nr_processes = s->nr_modules = 0;
		destroy(s);
		return log_oom(u);
	}
	for (size_t i = 0; i < s->nr_processes; i++)
		s->processes[i].memfd = -1;
	*ret = s;
	return 0;
}

/* False: it hangs, in a file system that a target serves say, and cleans up itself when it ends. */
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

/* Copy out what is known, and have looked up what is not, or not for long. */
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
	log_debug(s->u, "%s", said);
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
		return fail(s->u, r, "a thread to look up symbols: %s", strerror(-r));
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
