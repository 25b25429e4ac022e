# SPDX-License-Identifier: GPL-2.0-or-later
# uffdctl: "make demo" and "make check" do all the set-up on a fresh Debian machine.

VERSION := 0.1.0
SOVERSION := 0

O ?= build
V ?= 0
CC ?= cc
CLANG ?= clang
BPFTOOL ?= $(or $(wildcard /usr/sbin/bpftool),bpftool)
PKG_CONFIG ?= pkg-config
PYTHON ?= python3

prefix ?= /usr/local
bindir ?= $(prefix)/bin
# Where pkg-config looks beneath the prefix, and the loader too: lib/x86_64-linux-gnu, lib64 and so on.
pc_path = $(subst :, ,$(shell $(PKG_CONFIG) --variable pc_path pkg-config 2>/dev/null))
libdir ?= $(patsubst %/pkgconfig,%,$(firstword $(filter $(prefix)/lib%/pkgconfig,$(pc_path)) $(prefix)/lib/pkgconfig))
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
bashcompdir ?= $(prefix)/share/bash-completion/completions
zshcompdir ?= $(prefix)/share/zsh/site-functions

LIB_PKGS := libbpf libdw libelf json-c
CMD_PKGS := smartcols ncursesw
LIB_LIBS = $(shell $(PKG_CONFIG) --libs $(LIB_PKGS)) -pthread
CMD_LIBS = $(shell $(PKG_CONFIG) --libs $(CMD_PKGS)) -lm
CMD_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(LIB_PKGS) $(CMD_PKGS) 2>/dev/null)

# What it is built for. SYSROOT: where the headers of another machine are, if CC is a compiler for that.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
OBJCOPY ?= $(shell $(CC) -print-prog-name=objcopy)
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE $(WARNINGS) $(if $(WERROR),-Werror) -fPIC -fvisibility=hidden \
	     -I. -I$(O) $(CMD_CFLAGS) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
ALL_LDFLAGS = -Wl,--as-needed $(LDFLAGS) $(SANITIZE)

ifeq ($(V),0)
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif

LIB_SRCS := $(wildcard lib/*.c lib/*/*.c)
CMD_SRCS := $(wildcard cmd/*.c cmd/*/*.c cmd/*/*/*.c)
LIB_OBJS := $(LIB_SRCS:%.c=$(O)/%.o)
CMD_OBJS := $(CMD_SRCS:%.c=$(O)/%.o)
# Light skeletons load faster; these have programs of which a kernel lacks some.
LIBBPF_SKELS := $(O)/watch_fentry.skel.h $(O)/watch_kprobe.skel.h
BPF_SKELS := $(LIBBPF_SKELS) $(addprefix $(O)/,iter.lskel.h pending.lskel.h alarm.lskel.h watch_tracepoint.lskel.h watch_sched.lskel.h)
MAN := $(wildcard man/*.[13])

.DELETE_ON_ERROR:
.PHONY: all deps demo check check-asan check-vm arm64 vm-demo vm-kernels vm-table bench soak serve-large picture fuzz analyze install uninstall dist check-packages clean tests check-tsan serve-killed
.SECONDARY:

all: $(O)/uffdctl $(O)/libuffdctl.so.$(SOVERSION) $(O)/libuffdctl.pc

# ---- BPF ----

# asm/types.h of a multiarch system lies where the host's compiler finds it by itself.
BPF_SYS = $(shell $(CC) -print-multiarch 2>/dev/null)
BPF_ARCH := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(MACHINE)))

$(O)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$@)mkdir -p $(@D) && \
	$(CLANG) -O2 -g -ffile-prefix-map=$(CURDIR)=. -Wall -Wextra -Wno-unused-parameter $(if $(WERROR),-Werror) \
		-target bpf -mcpu=v3 \
		-D__TARGET_ARCH_$(BPF_ARCH) -I. \
		$(if $(BPF_SYS),-isystem $(SYSROOT)/usr/include/$(BPF_SYS)) -MMD -MP -c -o $@ $<

# What defines before what uses, as bpftool of Linux 6.1 needs it; and programs are attached in this order.
WATCH_SCHED := governed messages sched sched_sleep sched_wake sched_read
watch_parts = $(patsubst %,$(O)/bpf/watch/%.bpf.o,config totals slots tally failures search processes $(1))
$(O)/bpf/watch_tracepoint.bpf.o: $(call watch_parts,tracepoint)
$(O)/bpf/watch_fentry.bpf.o: $(call watch_parts,fentry)
$(O)/bpf/watch_kprobe.bpf.o: $(call watch_parts,kprobe)
$(O)/bpf/watch_sched.bpf.o: $(call watch_parts,$(WATCH_SCHED))
$(O)/bpf/watch_%.bpf.o:
	$(call say,BPFLD,$@)$(BPFTOOL) gen object $@ $^

$(O)/%.lskel.h: $(O)/bpf/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton -L $< name $*_bpf >$@

$(O)/%.skel.h: $(O)/bpf/%.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name $*_bpf >$@

# ---- library and command ----

# The names of system calls, by number.
$(O)/syscalls.h:
	$(call say,GEN,$@)mkdir -p $(@D) && echo '#include <asm/unistd.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define __NR_\([a-z][a-z0-9_]*\) .*/[__NR_\1] = "\1",/p' | \
		grep -v -e '"syscalls"' -e '"arch_specific_syscall"' | sort >$@

$(LIB_OBJS) $(CMD_OBJS): | $(BPF_SKELS) $(O)/syscalls.h

$(O)/%.o: %.c
	$(call say,CC,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# It takes in a file that is not C.
$(O)/cmd/report/html.o: cmd/report/page.html

$(O)/libuffdctl.a: $(LIB_OBJS)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(O)/libuffdctl.so.$(SOVERSION): $(LIB_OBJS) lib/libuffdctl.map
	$(call say,LD,$@)$(CC) $(ALL_LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,--version-script=lib/libuffdctl.map \
		-o $@ $(LIB_OBJS) $(LIB_LIBS)

# Made anew each time: an install may have another prefix than the build had.
.PHONY: $(O)/libuffdctl.pc
$(O)/libuffdctl.pc: lib/libuffdctl.pc.in
	$(call say,GEN,$@)mkdir -p $(@D) && sed -e 's|@prefix@|$(prefix)|; s|@libdir@|$(libdir)|; s|@includedir@|$(includedir)|' \
		-e 's|@version@|$(VERSION)|' $< >$@

# The command takes the library in: it starts faster, and needs no search path.
$(O)/uffdctl: $(CMD_OBJS) $(O)/libuffdctl.a
	$(call say,LD,$@)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(CMD_LIBS) $(LIB_LIBS)

# ---- tests ----

X86 := $(filter x86_64,$(MACHINE))
UNIT_TESTS := $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/lib/*.c))) $(O)/tests/cmd/view_model
TARGET_SRCS := $(wildcard tests/helpers/target/*.[ch])
TEST_PROGS := $(addprefix $(O)/tests/helpers/,target storm loop gmem-stress stall faults restored bss \
	$(if $(X86),target32) $(if $(filter x86_64 aarch64,$(MACHINE)),steady)) \
	$(UNIT_TESTS) $(if $(X86),$(O)/tests/real/guest)
CMD_TESTS := $(sort $(wildcard tests/cmd/*.py))
REAL_TESTS := $(sort $(wildcard tests/real/*.py))

tests: all $(TEST_PROGS) $(O)/tests/helpers/libarena.so.1 $(O)/tests/helpers/syscalls

# The processes to work on are never sanitized: they are looked at as users' own are.
HELPER_CFLAGS = $(filter-out -fvisibility=hidden $(SANITIZE),$(ALL_CFLAGS)) -rdynamic

$(O)/tests/helpers/%: tests/helpers/%.c
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(HELPER_CFLAGS) -MMD -MP -o $@ $< -pthread -ljson-c

$(O)/tests/helpers/target: $(TARGET_SRCS)
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(HELPER_CFLAGS) -o $@ $(filter %.c,$^) -pthread -ljson-c

# Needs no 32-bit C library.
$(O)/tests/helpers/target32: tests/helpers/target32.c
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) -std=gnu17 -m32 -O1 -Wall -Wextra -nostdlib -static -fno-stack-protector \
		-fno-pic -no-pie -o $@ $<

# What runs in QEMU, loaded as multiboot.
$(O)/tests/real/guest: tests/real/guest.S
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) -m32 -nostdlib -static -Wl,-Ttext=0x100000,--build-id=none -o $@ $<

# Names and numbers.
$(O)/tests/helpers/syscalls: $(O)/syscalls.h
	$(call say,GEN,$@)mkdir -p $(@D) && { echo '#include <asm/unistd.h>'; sed 's/\[\(__NR_\(.*\)\)\].*/\2 \1/' $<; } | \
		$(CC) -E -P - | grep -E '^[a-z_0-9]+ [0-9]+$$' >$@

# A versioned library, stripped, with its debug file beside it.
$(O)/tests/helpers/libarena.so.1: tests/helpers/libarena.c tests/helpers/libarena.map
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) -std=gnu17 -g -O2 -fPIC -shared -Wl,-soname,libarena.so.1 -Wl,--build-id \
		-Wl,--version-script=tests/helpers/libarena.map -o $@ $< && \
	$(OBJCOPY) --only-keep-debug $@ $@.debug && $(OBJCOPY) --strip-all $@ && \
	cd $(@D) && $(OBJCOPY) --add-gnu-debuglink=libarena.so.1.debug libarena.so.1

$(O)/tests/lib/%: tests/lib/%.c $(O)/libuffdctl.a
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(O)/libuffdctl.a $(LIB_LIBS)

# The command's parts, all but its main().
$(O)/tests/cmd/view_model: tests/cmd/view_model.c $(CMD_OBJS) $(O)/libuffdctl.a
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< \
		$(filter-out $(O)/cmd/main.o,$(CMD_OBJS)) $(O)/libuffdctl.a $(CMD_LIBS) $(LIB_LIBS)

export O

# Programs of others that tests/real/ is about, and strace, which counts for one of them.
REAL_DEBS := stress-ng qemu-system-x86 qemu-utils strace
check check-asan picture: DEBS += $(REAL_DEBS)
check: deps
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/harness $(UNIT_TESTS) $(CMD_TESTS) $(REAL_TESTS)

# What waits for the most part, or kills what it runs; tests/cmd/view_model draws what view.py looks at in a terminal.
NOT_ASAN := $(patsubst %,tests/cmd/%.py,stall notices completion zap view doctor)

check-asan: deps
	$(Q)$(MAKE) --no-print-directory O=$(O)/asan CFLAGS='-O1 -g -fno-omit-frame-pointer' \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=undefined' tests
	$(Q)O=$(O)/asan $(PYTHON) tests/harness $(UNIT_TESTS:$(O)/%=$(O)/asan/%) $(filter-out $(NOT_ASAN),$(CMD_TESTS)) \
		'tests/cmd/zap.py zap-* inject-unnoticed-* inject-s*' \
		'tests/cmd/view.py view-keys view-layout-60x15 view-hostile-names' 'tests/cmd/doctor.py doctor-proved-root doctor-memory-* doctor-ioctls'

# What has threads that work together. -R: the sanitizer knows only some layouts of memory.
TSAN_TESTS := serve serve_map serve_around serve_set serve_death serve_listen serve_trial handoff

check-tsan: DEBS += $(REAL_DEBS)
check-tsan: deps
	$(Q)$(MAKE) --no-print-directory O=$(O)/tsan CFLAGS='-O1 -g -fno-omit-frame-pointer' SANITIZE=-fsanitize=thread tests
	$(Q)O=$(O)/tsan TSAN_OPTIONS=exitcode=66 setarch -R $(PYTHON) tests/harness $(TSAN_TESTS:%=tests/cmd/%.py) tests/real/nbd_serve.py

# Other kernels, in QEMU: make check-vm KERNELS="6.1 7.3-patched"; tests/vm/vm.py --list.
# VM_TESTS: these programs only, instead of all that tests/vm/plan.py has for a kernel.
KERNELS ?= 6.12
VM_TESTS ?=

VM_DEBS := qemu-system-x86 busybox-static xz-utils strace bpftrace
# To build kernels.
KERNEL_DEBS := flex bison bc pahole patch libelf-dev libssl-dev
check-vm vm-demo vm-kernels: DEBS += $(VM_DEBS) $(KERNEL_DEBS)
check-vm: DEBS += $(REAL_DEBS)
# Not every release has it.
check-vm bench: MAY_DEBS := criu
check-vm vm-kernels: DEBS += $(if $(ARM64),$(ARM64_DEBS))
check-vm: deps
	$(Q)$(MAKE) --no-print-directory tests
	$(if $(ARM64),$(Q)$(MAKE) --no-print-directory arm64)
	$(Q)$(PYTHON) tests/vm/check.py '$(KERNELS)' $(VM_TESTS)

# For arm64, in $(O)/arm64, with Debian's libraries; kernels of that name run it.
ARM64 := $(filter %-arm64,$(KERNELS))
ARM64_DEBS := gcc-aarch64-linux-gnu qemu-system-arm
arm64: DEBS += $(ARM64_DEBS)
arm64: deps
	$(Q)root=$$($(PYTHON) tests/vm/vm.py 6.12-arm64 --root) && \
	PKG_CONFIG_SYSROOT_DIR=$$root PKG_CONFIG_LIBDIR=$$root/usr/lib/aarch64-linux-gnu/pkgconfig:$$root/usr/share/pkgconfig \
	$(MAKE) --no-print-directory O=$(O)/arm64 CC="aarch64-linux-gnu-gcc --sysroot=$$root" SYSROOT=$$root tests

# Fetches and builds what is not in the cache.
vm-kernels: deps
	$(Q)set -e; for k in $(KERNELS); do $(PYTHON) tests/vm/vm.py $$k --get; done

# README's table, from what check-vm saw.
vm-table:
	$(Q)$(PYTHON) tests/vm/table.py

# Boots the patched kernel (built first, where it is not in the cache).
vm-demo: deps
	$(Q)$(MAKE) --no-print-directory all $(O)/tests/helpers/target
	$(Q)$(PYTHON) tests/vm/vm.py 7.3-patched -- $(PYTHON) tests/vm/demo.py

demo: deps
	$(Q)$(MAKE) --no-print-directory all $(O)/tests/helpers/target
	$(Q)$(PYTHON) tests/demo.py

bench: DEBS += $(VM_DEBS)
bench: deps
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/bench/bench.py

# Not in the gate: it takes hours. SOAK_FAULTS, SOAK_SECONDS, SOAK_STARTS: how much of it.
soak: deps
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)failed=; for f in $(sort $(wildcard tests/soak/*.py)); do printf '  SOAK    %s\n' $$f; \
		$(PYTHON) $$f || failed="$$failed $$f"; done; \
		test -z "$$failed" || { echo "soak: failed:$$failed"; exit 1; }

# One of them: make soak-inject.
soak-%: deps
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/soak/$*.py

# Not in the gate: 2 GiB of each kind of memory through serve, 8 threads, compared by hash.
serve-large: deps
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)UFFDCTL_SERVE_BYTES=2147483648 $(PYTHON) tests/harness "tests/cmd/serve.py serve-hash-*"

# Not in the gate: serve, killed at 50 random moments for each kind of memory, and started again.
serve-killed: deps
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)UFFDCTL_SERVE_KILLS=50 $(PYTHON) tests/harness "tests/cmd/serve_death.py serve-death-at-random-*"

# The picture in README, from a real run.
picture: deps
	$(Q)$(MAKE) --no-print-directory tests
	$(Q)$(PYTHON) tests/picture.py man/watch.svg

# ---- fuzz ----

# The library once more, instrumented; a target may take in one of its files, to get at what is static there.
FUZZ_SECONDS ?= 60
FUZZ_O := $(O)/fuzz
FUZZERS := $(patsubst %.c,$(FUZZ_O)/%,$(wildcard tests/fuzz/*.c))

$(O)/tests/fuzz/%: tests/fuzz/%.c $(O)/libuffdctl.a
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -fsanitize=fuzzer $(ALL_LDFLAGS) -MMD -MP -o $@ $< \
		$(O)/libuffdctl.a $(LIB_LIBS)

fuzz: deps
	$(Q)$(MAKE) --no-print-directory O=$(FUZZ_O) CC=$(CLANG) CFLAGS='-O1 -g' \
		SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined' $(FUZZERS)
	$(Q)for f in $(FUZZERS); do name=$${f##*/}; mkdir -p $$f.corpus; \
		$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -max_len=4096 -print_final_stats=1 -artifact_prefix=$$f. \
			$$f.corpus $$(find tests/fuzz/seeds -name $$name) >$$f.log 2>&1 || { tail -n 50 $$f.log; exit 1; }; \
		printf '  FUZZ    %s: %s executions in %s s\n' $$name \
			$$(sed -n 's/^stat::number_of_executed_units: *//p' $$f.log) $(FUZZ_SECONDS); done

# ---- analysis ----

# -O0: what the optimizer merges, -fanalyzer of gcc 12 reports as uninitialized. One clang-tidy a file: within one
# process clang 14 remembers a va_list of one file in the next.
ANALYZE_O := $(O)/analyze

analyze: deps
	$(Q)$(MAKE) --no-print-directory O=$(ANALYZE_O) CC=gcc WERROR=1 CFLAGS='-O0 -g -fanalyzer' all
	$(call say,CPPCHECK,lib cmd)cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
		-I. --enable=warning,performance,portability -D_GNU_SOURCE -D__x86_64__ \
		'-DLIBBPF_OPTS(type,name,...)=struct type name = { __VA_ARGS__ }' lib cmd
	$(call say,TIDY,lib cmd)printf '%s\n' $(LIB_SRCS) $(CMD_SRCS) | xargs -n 1 -P 2 sh -c 'clang-tidy --quiet "$$1" -- \
		-std=gnu17 -D_GNU_SOURCE -I. -I$(ANALYZE_O) $(CMD_CFLAGS) 2>/dev/null' tidy

# ---- installing ----

install: all
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir) \
		$(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man3 $(DESTDIR)$(bashcompdir) $(DESTDIR)$(zshcompdir)
	install -m 755 $(O)/uffdctl $(DESTDIR)$(bindir)/
	install -m 644 $(O)/libuffdctl.a $(DESTDIR)$(libdir)/
	install -m 755 $(O)/libuffdctl.so.$(SOVERSION) $(DESTDIR)$(libdir)/
	ln -sf libuffdctl.so.$(SOVERSION) $(DESTDIR)$(libdir)/libuffdctl.so
	install -m 644 $(O)/libuffdctl.pc $(DESTDIR)$(libdir)/pkgconfig/
	install -m 644 lib/uffdctl.h $(DESTDIR)$(includedir)/
	install -m 644 $(filter %.1,$(MAN)) $(DESTDIR)$(mandir)/man1/
	install -m 644 $(filter %.3,$(MAN)) $(DESTDIR)$(mandir)/man3/
	install -m 644 dist/uffdctl.bash $(DESTDIR)$(bashcompdir)/uffdctl
	install -m 644 dist/_uffdctl $(DESTDIR)$(zshcompdir)/
	$(if $(DESTDIR),,-ldconfig 2>/dev/null)

uninstall:
	rm -f $(DESTDIR)$(bindir)/uffdctl $(DESTDIR)$(libdir)/libuffdctl.a $(DESTDIR)$(libdir)/libuffdctl.so \
		$(DESTDIR)$(libdir)/libuffdctl.so.$(SOVERSION) $(DESTDIR)$(libdir)/pkgconfig/libuffdctl.pc \
		$(DESTDIR)$(includedir)/uffdctl.h $(patsubst man/%.1,$(DESTDIR)$(mandir)/man1/%.1,$(filter %.1,$(MAN))) \
		$(patsubst man/%.3,$(DESTDIR)$(mandir)/man3/%.3,$(filter %.3,$(MAN))) \
		$(DESTDIR)$(bashcompdir)/uffdctl $(DESTDIR)$(zshcompdir)/_uffdctl

clean:
	rm -rf $(O)

# ---- packages ----

# The source of the last commit; the same commit gives the same bytes.
dist:
	$(call say,DIST,$(O)/uffdctl-$(VERSION).tar.gz)mkdir -p $(O) && \
	git -c tar.umask=0022 archive --format=tar --prefix=uffdctl-$(VERSION)/ HEAD >$(O)/uffdctl-$(VERSION).tar && \
	gzip -9nf $(O)/uffdctl-$(VERSION).tar

# Builds the packages of the last commit, and installs them in a root made for that.
check-packages: DEBS += $(PACKAGE_DEBS)
check-packages: deps
	$(Q)$(PYTHON) tests/harness tests/packages.py

PACKAGE_DEBS := git gzip dpkg-dev debhelper lintian debootstrap debian-archive-keyring rpm rpmlint

# ---- what is needed ----

DEBS := gcc make clang libclang-rt-dev bpftool pkg-config libbpf-dev libelf-dev libdw-dev libsmartcols-dev \
	libjson-c-dev libmicrohttpd-dev libnbd-dev nbdkit linux-libc-dev binutils python3 mandoc procps util-linux libncurses-dev tmux zsh strace cppcheck clang-tidy
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)

deps:
	@if ! command -v apt-get >/dev/null; then \
		echo 'Fedora: gcc make clang compiler-rt bpftool pkgconf libbpf-devel elfutils-devel libsmartcols-devel' \
		     'json-c-devel libmicrohttpd-devel libnbd-devel nbdkit ncurses-devel tmux zsh binutils python3 mandoc procps-ng cppcheck clang-tools-extra'; \
		echo 'Arch: gcc make clang compiler-rt bpf pkgconf libbpf libelf util-linux-libs json-c libmicrohttpd libnbd nbdkit ncurses tmux zsh binutils python mandoc' \
		     'procps-ng cppcheck'; \
		echo 'For check also, else some tests are skipped: stress-ng qemu-system-x86 qemu-utils (qemu-img on Fedora and Arch) strace; for check-vm and bench criu'; \
		echo 'For check-vm and bench also: qemu-system-x86 busybox xz; for bench bpftrace'; \
		echo 'Install these, then: make all tests'; exit 1; \
	fi; \
	debs='$(DEBS)'; \
	if ! apt-cache show bpftool 2>/dev/null | grep -q '^Version:'; then \
		debs="$$(echo $$debs | sed 's/bpftool/linux-tools-generic/')"; fi; \
	for p in $(MAY_DEBS); do \
		if apt-cache show $$p 2>/dev/null | grep -q '^Version:'; then debs="$$debs $$p"; fi; done; \
	missing=; for p in $$debs; do \
		dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null | grep -qx installed || missing="$$missing $$p"; done; \
	test -z "$$missing" || { echo "  APT    $$missing"; $(SUDO) apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }

# Named one by one: what an older tree left behind in the build folder would name sources that have moved.
-include $(LIB_OBJS:.o=.d) $(CMD_OBJS:.o=.d) $(patsubst %.c,$(O)/%.d,$(wildcard bpf/*.bpf.c bpf/*/*.bpf.c)) \
	$(addsuffix .d,$(filter-out $(O)/tests/helpers/target,$(TEST_PROGS)) $(FUZZERS))
