// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gmem-vhost: a vhost device whose rings and buffer lie in a registered mapping of a guest_memfd; prints one TAP line.
 *
 * The second ring of vhost-vsock is what its guest sends. It has one descriptor, whose buffer is absent: a missing
 * fault. The pages of the ring are there and not mapped: minor faults. Each must come as a message, those of the
 * descriptor and of the buffer from vhost's own thread, which uses the buffer only once it is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdarg.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef KVM_CREATE_GUEST_MEMFD /* Linux 6.8; the flags 6.18 */
#define KVM_CREATE_GUEST_MEMFD _IOWR(KVMIO, 0xd4, struct kvm_create_guest_memfd)

struct kvm_create_guest_memfd {
	__u64 size;
	__u64 flags;
	__u64 reserved[6];
};
#endif

#define PAGE 4096UL
enum {
	DESC,
	AVAIL,
	USED,
	BUFFER,
	NR_PAGES
};
#define SIZE (NR_PAGES * PAGE)
#define NR_ENTRIES 4
#define SECONDS 60

static const char *const names[] = { "descriptor", "avail", "used", "buffer" };
static char *registered, *second;
static int uffd;
static atomic_uint minors[NR_PAGES], misses[NR_PAGES], faulted_by[NR_PAGES];
static atomic_bool held = true; /* the buffer's fault is not resolved yet */

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list ap;

	printf("1..1\nnot ok 1 - gmem-vhost: ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf(": %s\n", strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void skip(const char *why)
{
	printf("1..1\nok 1 - gmem-vhost # SKIP %s: %s\n", why, strerror(errno));
	exit(0);
}

static void must(int fd, unsigned long request, void *arg, const char *what)
{
	if (ioctl(fd, request, arg))
		fail("%s", what);
}

static void *handler(void *arg)
{
	static char zeros[PAGE] __attribute__((aligned(4096)));
	struct uffd_msg msg;

	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		uint64_t at = msg.arg.pagefault.address & -PAGE;
		unsigned int page = (unsigned int)((at - (uintptr_t)registered) / PAGE);
		struct uffdio_continue cont = { .range = { at, PAGE } };
		struct uffdio_copy copy = { .dst = at, .src = (uintptr_t)zeros, .len = PAGE };

		faulted_by[page] = msg.arg.pagefault.feat.ptid;
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR) {
			minors[page]++;
			must(uffd, UFFDIO_CONTINUE, &cont, "CONTINUE");
			continue;
		}
		misses[page]++;
		while (held)
			usleep(1000);
		must(uffd, UFFDIO_COPY, &copy, "COPY");
	}
	return arg;
}

static void set_up_memory(void)
{
	struct kvm_create_guest_memfd args = { .size = SIZE, .flags = 3 /* MMAP, INIT_SHARED */ };
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_THREAD_ID };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	int gmem = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_GUEST_MEMFD, &args);

	if (gmem < 0)
		skip("no guest_memfd that can be mapped");
	registered = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, gmem, 0);
	second = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, gmem, 0);
	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (registered == MAP_FAILED || second == MAP_FAILED || uffd < 0)
		fail("mapping");
	must(uffd, UFFDIO_API, &api, "UFFDIO_API");
	reg.range = (struct uffdio_range){ (uintptr_t)registered, SIZE };
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		skip("no userfaultfd for guest_memfd (kernel-patches/7.3 has it)");
}

static void set_up_ring(int vhost, unsigned int index, int kick)
{
	struct vhost_vring_state num = { index, NR_ENTRIES }, base = { index, 0 };
	struct vhost_vring_file file = { index, kick };
	struct vhost_vring_addr addr = { .index = index,
					 .desc_user_addr = (uintptr_t)registered + DESC * PAGE,
					 .avail_user_addr = (uintptr_t)registered + AVAIL * PAGE,
					 .used_user_addr = (uintptr_t)registered + USED * PAGE };

	must(vhost, VHOST_SET_VRING_NUM, &num, "SET_VRING_NUM");
	must(vhost, VHOST_SET_VRING_BASE, &base, "SET_VRING_BASE");
	must(vhost, VHOST_SET_VRING_ADDR, &addr, "SET_VRING_ADDR");
	must(vhost, VHOST_SET_VRING_KICK, &file, "SET_VRING_KICK");
}

/* Both rings are the same: nothing is ever sent to this guest, so the first is not used. */
static void start(int vhost, int kick)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region;
	} table = { .head.nregions = 1, .region = { 0, SIZE, (uintptr_t)registered, 0 } };
	uint64_t cid = 3, features = 1ULL << VIRTIO_F_VERSION_1;
	int running = 1;

	must(vhost, VHOST_SET_OWNER, NULL, "SET_OWNER");
	must(vhost, VHOST_VSOCK_SET_GUEST_CID, &cid, "SET_GUEST_CID");
	must(vhost, VHOST_SET_FEATURES, &features, "SET_FEATURES");
	must(vhost, VHOST_SET_MEM_TABLE, &table, "SET_MEM_TABLE");
	set_up_ring(vhost, 0, eventfd(0, EFD_CLOEXEC));
	set_up_ring(vhost, 1, kick);
	must(vhost, VHOST_VSOCK_SET_RUNNING, &running, "SET_RUNNING");
}

static void wait_until(bool (*is)(void), const char *what)
{
	for (int i = 0; !is(); i++) {
		if (i == SECONDS * 1000) {
			errno = ETIMEDOUT;
			fail("%s", what);
		}
		usleep(1000);
	}
}

static bool buffer_missed(void)
{
	return misses[BUFFER];
}

static bool is_used(void)
{
	return ((volatile struct vring_used *)(second + USED * PAGE))->idx == 1;
}

int main(void)
{
	int vhost = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC), kick = eventfd(0, EFD_CLOEXEC);
	struct vring_desc *desc;
	struct vring_avail *avail;
	pthread_t thread;

	if (vhost < 0)
		skip("no /dev/vhost-vsock (a kernel 7.3-patched+vhost has it)");
	set_up_memory();
	desc = (void *)(second + DESC * PAGE);
	avail = (void *)(second + AVAIL * PAGE);
	*desc = (struct vring_desc){ .addr = BUFFER * PAGE, .len = 44 /* struct virtio_vsock_hdr */ };
	second[USED * PAGE] = 0;
	avail->idx = 1;
	if (pthread_create(&thread, NULL, handler, NULL))
		fail("pthread_create");
	start(vhost, kick);
	if (write(kick, &(uint64_t){ 1 }, 8) != 8)
		fail("the kick");
	wait_until(buffer_missed, "no message of the buffer");
	if (is_used())
		fail("the buffer was used before it was there");
	held = false;
	wait_until(is_used, "the buffer is not used");
	errno = 0;
	for (int page = 0; page < NR_PAGES; page++)
		if (minors[page] != (page != BUFFER) || misses[page] != (page == BUFFER))
			fail("%s: %u minor and %u missing faults", names[page], minors[page], misses[page]);
	if (faulted_by[BUFFER] == (unsigned int)getpid() || faulted_by[DESC] != faulted_by[BUFFER])
		fail("faults of threads %u and %u", faulted_by[DESC], faulted_by[BUFFER]);
	printf("1..1\nok 1 - gmem-vhost: a missing fault of the buffer and a minor one of each of the ring's pages\n");
	return 0;
}
