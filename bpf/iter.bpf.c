// SPDX-License-Identifier: GPL-2.0-only
/* Iterators: the holders of userfaultfds, the memory that each governs, and the mappings that it owns. */
#include "bpf/event.h"
#include "bpf/queues.h"
#include "bpf/task.h"

char _license[] SEC("license") = "GPL";

const volatile __u64 page_size;

/* Set by the loader before each run. */
__u64 userfaultfd_fops; /* 0: report every file */
__u64 registered_only;
__u64 scan_files;
__u64 find_addr; /* report the mapping at this address, instead of the task */
__u64 run;	 /* the number of this scan of files */
__u64 last_file; /* 0: no mapping has been described in this run */

/* What mappings of last_file have in common: neighbours often map the same one. */
__u64 last_inode, last_magic, last_block;
__u32 last_dev, last_mode;

/* The pid namespace of the process that last ran an iterator, and its depth. */
__u64 pid_ns;
__u64 level;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EV_MAX_FILES);
	__type(key, __u32);
	__type(value, struct ev_file);
} found SEC(".maps");

__u64 nr_found; /* may be more than fit */

struct table_key {
	__u64 files, process;
};

/* File tables other than that of the first thread, and the last run that scanned each: threads may share one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, EV_MAX_FILES);
	__type(key, struct table_key);
	__type(value, __u64);
} scanned SEC(".maps");

/* What a word of the bitmap of open descriptors covers. */
#define WORD_FILES 64
struct file *files[WORD_FILES];

struct scan {
	struct file **fds;
	unsigned long *open_fds;
	unsigned long open;
	__u32 first; /* the descriptor of its first bit */
	__u32 pid;
};

static void report_file(struct scan *scan, struct file *file, __u64 f_op, __u32 fd)
{
	__u32 nr = nr_found++;
	struct ev_file *ev = bpf_map_lookup_elem(&found, &nr);
	struct userfaultfd_ctx *ctx;

	if (!ev)
		return;
	ev->f_op = f_op;
	ev->pid = scan->pid;
	ev->fd = fd;
	if (!userfaultfd_fops)
		return;
	ctx = BPF_CORE_READ(file, private_data);
	ev->ctx = (__u64)ctx;
	ev->mm = mm_of(ctx);
	ev->has_reader = BPF_CORE_READ(ctx, fd_wqh.head.next) != queue_of(ctx, fd_wqh);
}

static long scan_fd(__u32 i, struct scan *scan)
{
	struct file *file;
	__u64 f_op;

	if (!(scan->open >> (i % WORD_FILES) & 1))
		return 0;
	file = files[i % WORD_FILES];
	if (!file)
		return 0;
	f_op = (__u64)BPF_CORE_READ(file, f_op);
	if (!userfaultfd_fops || f_op == userfaultfd_fops)
		report_file(scan, file, f_op, scan->first + i);
	return 0;
}

/* Most of a table is empty, and each read has its price: get the files of a word at once. */
static long scan_word(__u32 word, struct scan *scan)
{
	scan->first = word * WORD_FILES;
	scan->open = 0;
	bpf_probe_read_kernel(&scan->open, sizeof(scan->open), scan->open_fds + word);
	if (!scan->open || bpf_probe_read_kernel(files, sizeof(files), scan->fds + scan->first))
		return 0;
	bpf_loop(WORD_FILES, scan_fd, scan, 0);
	return 0;
}

/* A thread may have a file table of its own, and may outlive the first thread. */
static bool is_next_table(struct task_struct *task, struct task_struct *leader)
{
	struct table_key key = { (__u64)BPF_CORE_READ(task, files), (__u64)BPF_CORE_READ(task, signal) };
	__u64 *last;

	if (task == leader)
		return true;
	if (!key.files || key.files == (__u64)BPF_CORE_READ(leader, files))
		return false;
	last = bpf_map_lookup_elem(&scanned, &key);
	if (last && *last == run)
		return false;
	/* If there is no room to remember it, it is scanned each time. */
	bpf_map_update_elem(&scanned, &key, &run, BPF_ANY);
	return true;
}

/*
 * The table is read without its lock: a descriptor that is opened or closed meanwhile may be missed, or be reported
 * though it is closed. This takes two thirds of the time of iter/task_file, which takes a reference to each file.
 */
static void scan_table(struct task_struct *task, __u32 pid)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct scan scan = { .pid = pid };

	if (!fdt)
		return;
	scan.fds = BPF_CORE_READ(fdt, fd);
	scan.open_fds = BPF_CORE_READ(fdt, open_fds);
	bpf_loop(BPF_CORE_READ(fdt, max_fds) / WORD_FILES, scan_word, &scan, 0);
}

/* Without a file: as get_vma_name() of fs/proc/task_mmu.c decides. The heap may be more than one mapping. */
static bool has_kernel_name(struct vm_area_struct *vma, struct ev_vma *ev)
{
	struct mm_struct *mm = BPF_CORE_READ(vma, vm_mm);
	__u64 stack = BPF_CORE_READ(mm, start_stack);

	return ev->vm_ops || (ev->start <= stack && stack < ev->end) ||
	       (ev->start < BPF_CORE_READ(mm, brk) && ev->end > BPF_CORE_READ(mm, start_brk));
}

/* The file system is known here from the kernel's own structures, without asking the file's server. */
static void read_file(struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct super_block *sb = BPF_CORE_READ(inode, i_sb);

	last_inode = BPF_CORE_READ(inode, i_ino);
	last_mode = BPF_CORE_READ(inode, i_mode);
	last_magic = BPF_CORE_READ(sb, s_magic);
	last_dev = BPF_CORE_READ(sb, s_dev);
	last_block = BPF_CORE_READ(sb, s_blocksize);
	last_file = (__u64)file;
}

static void describe_file(struct vm_area_struct *vma, struct file *file, struct ev_vma *ev)
{
	if (last_file != (__u64)file)
		read_file(file);
	ev->file = (__u64)file;
	ev->offset = vma->vm_pgoff * page_size;
	ev->inode = last_inode;
	ev->mode = last_mode;
	ev->fs_magic = last_magic;
	ev->dev = last_dev;
	if (ev->vm_flags & VM_HUGETLB)
		ev->page_size = last_block;
}

static void describe_vma(struct vm_area_struct *vma, struct ev_vma *ev)
{
	struct file *file = BPF_CORE_READ(vma, vm_file);

	ev->start = vma->vm_start;
	ev->end = vma->vm_end;
	ev->vm_flags = vma->vm_flags;
	ev->ctx = (__u64)BPF_CORE_READ(vma, vm_userfaultfd_ctx.ctx);
	ev->vm_ops = (__u64)BPF_CORE_READ(vma, vm_ops);
	if (bpf_core_field_exists(vma->anon_name))
		ev->named = BPF_CORE_READ(vma, anon_name) != NULL;
	if (file)
		describe_file(vma, file, ev);
	else if (!ev->named)
		ev->named = has_kernel_name(vma, ev);
}

static long describe_found(struct task_struct *task, struct vm_area_struct *vma, struct ev_vma *ev)
{
	describe_vma(vma, ev);
	return 0;
}

static void find_vma(struct seq_file *seq, struct task_struct *task)
{
	struct ev_vma_at ev = {};

	/* One that has exited is not reported. */
	if (!BPF_CORE_READ(task, mm))
		return;
	ev.err = bpf_find_vma(task, find_addr, describe_found, &ev.vma, 0);
	if (ev.err && !BPF_CORE_READ(task, mm))
		return;
	bpf_seq_write(seq, &ev, sizeof(ev));
}

/*
 * Pointers in structures are read as numbers, not as typed pointers: for each of those, the verifier searches all of
 * the kernel's BTF by name, which took most of the loading time.
 */
SEC("iter/task")
int tasks(struct bpf_iter__task *it)
{
	struct task_struct *task = it->task, *leader;
	struct seq_file *seq = it->meta->seq;
	struct ev_task ev = {};
	bool is_leader;

	if (!task || task->flags & PF_KTHREAD)
		return 0;
	if (find_addr) {
		find_vma(seq, task);
		return 0;
	}
	level = own_level();
	pid_ns = own_ns();
	leader = BPF_CORE_READ(task, group_leader);
	is_leader = task == leader;
	ev.pid = pid_at(leader, level, pid_ns);
	if (scan_files && is_next_table(task, leader))
		scan_table(task, ev.pid);
	if (!is_leader && BPF_CORE_READ(leader, mm))
		return 0;
	ev.mm = (__u64)BPF_CORE_READ(task, mm);
	ev.process = (__u64)BPF_CORE_READ(task, signal);
	ev.start_ns = BPF_CORE_READ(leader, start_time);
	ev.parent = (__u64)BPF_CORE_READ(task, real_parent, signal);
	if (ev.mm)
		bpf_seq_write(seq, &ev, sizeof(ev));
	return 0;
}

SEC("iter/task_vma")
int vmas(struct bpf_iter__task_vma *it)
{
	struct vm_area_struct *vma = it->vma;
	struct ev_vma ev = {};

	if (!vma || !it->task)
		return 0;
	if (registered_only && !BPF_CORE_READ(vma, vm_userfaultfd_ctx.ctx))
		return 0;
	describe_vma(vma, &ev);
	bpf_seq_write(it->meta->seq, &ev, sizeof(ev));
	return 0;
}
