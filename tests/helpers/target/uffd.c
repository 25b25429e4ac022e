// SPDX-License-Identifier: GPL-2.0-or-later
/* Userfaultfds, and their ioctls. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/helpers/target/commands.h"
#include "tests/helpers/target/contents.h"
#include "tests/helpers/target/job.h"
#include "tests/helpers/target/request.h"
#include "tests/helpers/target/uapi.h"
#include "tests/helpers/target/uffd.h"

static const struct name_value features[] = {
	{ "pagefault_flag_wp", UFFD_FEATURE_PAGEFAULT_FLAG_WP },
	{ "event_fork", UFFD_FEATURE_EVENT_FORK },
	{ "event_remap", UFFD_FEATURE_EVENT_REMAP },
	{ "event_remove", UFFD_FEATURE_EVENT_REMOVE },
	{ "missing_hugetlbfs", UFFD_FEATURE_MISSING_HUGETLBFS },
	{ "missing_shmem", UFFD_FEATURE_MISSING_SHMEM },
	{ "event_unmap", UFFD_FEATURE_EVENT_UNMAP },
	{ "sigbus", UFFD_FEATURE_SIGBUS },
	{ "thread_id", UFFD_FEATURE_THREAD_ID },
	{ "minor_hugetlbfs", UFFD_FEATURE_MINOR_HUGETLBFS },
	{ "minor_shmem", UFFD_FEATURE_MINOR_SHMEM },
	{ "exact_address", UFFD_FEATURE_EXACT_ADDRESS },
	{ "wp_hugetlbfs_shmem", UFFD_FEATURE_WP_HUGETLBFS_SHMEM },
	{ "wp_unpopulated", UFFD_FEATURE_WP_UNPOPULATED },
	{ "poison", UFFD_FEATURE_POISON },
	{ "wp_async", UFFD_FEATURE_WP_ASYNC },
	{ "move", UFFD_FEATURE_MOVE },
	{ "rwp", UFFD_FEATURE_RWP },
	{ "rwp_async", UFFD_FEATURE_RWP_ASYNC },
};

static int handshake(struct json_object *req, struct json_object *res, int fd)
{
	struct json_object *list;
	struct uffdio_api api = { .api = UFFD_API };
	uint64_t want;
	int err = arg_flags(req, "features", features, ARRAY_SIZE(features), &want);

	if (err)
		return err;
	api.features = want;
	if (ioctl(fd, UFFDIO_API, &api))
		return fail_errno("UFFDIO_API");
	list = json_object_new_array();
	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		if (api.features & features[i].value)
			json_object_array_add(list, json_object_new_string(features[i].name));
	json_object_object_add(res, "supported", list);
	return 0;
}

static int uffd_open(int flags)
{
	int dev, fd = -1;

	if (!(flags & UFFD_USER_MODE_ONLY)) {
		dev = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
		if (dev >= 0) {
			fd = ioctl(dev, USERFAULTFD_IOC_NEW, flags);
			close(dev);
		}
	}
	return fd >= 0 ? fd : (int)syscall(SYS_userfaultfd, flags);
}

static int cmd_uffd(struct json_object *req, struct json_object *res)
{
	int flags = (arg_bool(req, "cloexec", true) ? O_CLOEXEC : 0) |
		    (arg_bool(req, "nonblock", true) ? O_NONBLOCK : 0) |
		    (arg_bool(req, "user_mode_only", false) ? UFFD_USER_MODE_ONLY : 0);
	int err = 0, fd = uffd_open(flags);

	if (fd < 0)
		return fail_errno("userfaultfd");
	if (arg_bool(req, "handshake", true))
		err = handshake(req, res, fd);
	if (err)
		close(fd);
	else
		put_int(res, "fd", fd);
	return err;
}

static int cmd_handshake(struct json_object *req, struct json_object *res)
{
	int fd, err = need_uffd(req, &fd);

	return err ? err : handshake(req, res, fd);
}

/* "uffd" and a range, for the commands that are one ioctl. */
static int arg_ioctl(struct json_object *req, int *fd, struct uffdio_range *range)
{
	struct job j = {};
	int err = need_uffd(req, fd);

	if (!err)
		err = arg_range(req, &j);
	*range = (struct uffdio_range){ .start = j.addr, .len = j.len };
	return err;
}

static int cmd_register(struct json_object *req, struct json_object *res)
{
	static const struct name_value modes[] = {
		{ "missing", UFFDIO_REGISTER_MODE_MISSING },
		{ "wp", UFFDIO_REGISTER_MODE_WP },
		{ "minor", UFFDIO_REGISTER_MODE_MINOR },
		{ "rwp", UFFDIO_REGISTER_MODE_RWP },
	};
	struct uffdio_register arg = {};
	uint64_t mode;
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	if (!err)
		err = arg_flags(req, "mode", modes, ARRAY_SIZE(modes), &mode);
	if (err)
		return err;
	arg.mode = mode;
	if (ioctl(fd, UFFDIO_REGISTER, &arg))
		return fail_errno("UFFDIO_REGISTER");
	put_hex(res, "ioctls", arg.ioctls);
	return 0;
}

static int cmd_unregister(struct json_object *req, struct json_object *res)
{
	struct uffdio_range arg;
	int fd, err = arg_ioctl(req, &fd, &arg);

	(void)res;
	if (!err && ioctl(fd, UFFDIO_UNREGISTER, &arg))
		err = fail_errno("UFFDIO_UNREGISTER");
	return err;
}

static int cmd_wake(struct json_object *req, struct json_object *res)
{
	struct uffdio_range arg;
	int fd, err = arg_ioctl(req, &fd, &arg);

	(void)res;
	if (!err && ioctl(fd, UFFDIO_WAKE, &arg))
		err = fail_errno("UFFDIO_WAKE");
	return err;
}

static int cmd_continue(struct json_object *req, struct json_object *res)
{
	struct uffdio_continue arg = {};
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	if (err)
		return err;
	arg.mode = (arg_bool(req, "wp", false) ? UFFDIO_CONTINUE_MODE_WP : 0) |
		   (arg_bool(req, "wake", true) ? 0 : UFFDIO_CONTINUE_MODE_DONTWAKE);
	if (ioctl(fd, UFFDIO_CONTINUE, &arg))
		err = fail_errno("UFFDIO_CONTINUE");
	put_int(res, "mapped", arg.mapped);
	return err;
}

static int cmd_writeprotect(struct json_object *req, struct json_object *res)
{
	struct uffdio_writeprotect arg = {};
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	(void)res;
	arg.mode = arg_bool(req, "protect", true) ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
	if (!err && ioctl(fd, UFFDIO_WRITEPROTECT, &arg))
		err = fail_errno("UFFDIO_WRITEPROTECT");
	return err;
}

static int cmd_rwprotect(struct json_object *req, struct json_object *res)
{
	struct uffdio_rwprotect arg = {};
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	(void)res;
	arg.mode = arg_bool(req, "protect", true) ? UFFDIO_RWPROTECT_MODE_RWP : 0;
	if (!err && ioctl(fd, UFFDIO_RWPROTECT, &arg))
		err = fail_errno("UFFDIO_RWPROTECT");
	return err;
}

static int cmd_poison(struct json_object *req, struct json_object *res)
{
	struct uffdio_poison arg = {};
	int fd, err = arg_ioctl(req, &fd, &arg.range);

	(void)res;
	if (!err && ioctl(fd, UFFDIO_POISON, &arg))
		err = fail_errno("UFFDIO_POISON");
	return err;
}

/* UFFDIO_COPY of pattern pages (seed 0: zeros) to start, which lies off bytes into its file. */
int copy_pattern(int fd, uint64_t start, uint64_t len, uint64_t off, uint64_t page, uint64_t seed, int64_t *ret)
{
	struct uffdio_copy arg = { .dst = start, .len = len };
	uint64_t *src = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err = 0;

	if (src == MAP_FAILED)
		return -errno;
	for (uint64_t i = 0; seed && i < len / 8; i++)
		src[i] = pattern_word(seed, (off + 8 * i) / page);
	arg.src = (uintptr_t)src;
	if (ioctl(fd, UFFDIO_COPY, &arg))
		err = -errno;
	munmap(src, len);
	*ret = arg.copy;
	return err;
}

static int cmd_copy(struct json_object *req, struct json_object *res)
{
	struct job j = {};
	int64_t copied = 0;
	int fd, err = need_uffd(req, &fd);

	if (!err)
		err = arg_range(req, &j);
	if (err)
		return err;
	err = copy_pattern(fd, j.addr, j.len, j.off, j.page, arg_u64(req, "seed", 1), &copied);
	put_int(res, "copy", copied);
	return err ? fail(-err, "UFFDIO_COPY: %s", strerror(-err)) : 0;
}

const struct command uffd_commands[] = {
	{ "uffd", cmd_uffd, "features user_mode_only nonblock handshake cloexec" },
	{ "handshake", cmd_handshake, "uffd features" },
	{ "register", cmd_register, RANGE "uffd mode" },
	{ "unregister", cmd_unregister, RANGE "uffd" },
	{ "continue", cmd_continue, RANGE "uffd wp wake" },
	{ "wake", cmd_wake, RANGE "uffd" },
	{ "writeprotect", cmd_writeprotect, RANGE "uffd protect" },
	{ "rwprotect", cmd_rwprotect, RANGE "uffd protect" },
	{ "copy", cmd_copy, RANGE "uffd seed" },
	{ "poison", cmd_poison, RANGE "uffd" },
	{},
};
