# SPDX-License-Identifier: GPL-2.0-or-later
# The front door. meson builds user space, Kbuild the module, lab/ the images;
# this file only calls them in the right order. 'make help' lists the targets.

# On Debian 12 these are all that the host's side and the tests need; the lab
# installs its own (see lab/deps.py), and compilers for guests are in its tree.
PACKAGES = gcc libc6-dev meson ninja-build pkg-config python3 python3-pytest \
	libconfuse-dev libjson-c-dev libsystemd-dev libcap-ng-dev \
	libseccomp-dev libcmocka-dev liburing-dev clang mmdebstrap
# What the benchmarks draw with.
BENCH_PACKAGES = gnuplot-nox iproute2
# The peers that the uplink's tests talk to. None is started by installing it.
TEST_PACKAGES = bind9-dnsutils dnsmasq-base iperf3 iproute2 microsocks \
	ngtcp2-client ngtcp2-server nginx-light openssh-server openssl

WERROR ?= false
LAB = lab/lab
# Two makes at once in one checkout take turns.
GUEST = flock build/guest.lock $(LAB) build-shell -- $(MAKE) --no-print-directory -C guest
GUEST_FLAGS = VMC_DEBUG=$(VMC_DEBUG) WERROR=$(WERROR)

all: host guest

help:
	@echo 'make          build everything (host, guest)'
	@echo 'make demo     boot two VMs, run real programs over circuits, compare'
	@echo 'make demo-uplink  the same for the uplink: a guest and its host'
	@echo 'make demo-zero-copy  programs that work in place in their rings'
	@echo 'make demo-endpoints  two processes of this host over a circuit'
	@echo 'make check    all tests; make check-long: the slow ones too'
	@echo 'make bench    all benchmarks, beside virtio-net, vsock and passt'
	@echo '              BENCH=NAME: one of them; BENCH=list: their names'
	@echo 'make bench-quick  fewer and shorter runs, for every change'
	@echo 'make conformance  socket tests of others, over TCP and over circuits'
	@echo '              SUITE=NAME: one suite; SUITE=list: their names'
	@echo 'make host     the switch and vmcircuitctl, in build/'
	@echo 'make guest    the module and vmcircuit, in build/guest-root/'
	@echo '              VMC_DEBUG=1: the module with its own checks'
	@echo 'make lab      the VM images and the hypervisor'
	@echo 'make deps     install the Debian packages that the host needs'
	@echo 'make install  the host side, under DESTDIR'
	@echo 'make clean    remove build/ (the images stay cached)'

deps:
	@have=$$(dpkg-query -W -f ' $${Package}:$${db:Status-Status}' \
		$(PACKAGES) 2>/dev/null); \
	missing=; \
	for package in $(PACKAGES); do \
		case "$$have" in \
		*" $$package:installed"*) ;; \
		*) missing="$$missing $$package" ;; \
		esac; \
	done; \
	if [ "$$missing" ]; then \
		echo "installing$$missing"; \
		export DEBIAN_FRONTEND=noninteractive; \
		log=$$(mktemp); \
		rc=/usr/sbin/policy-rc.d; \
		if [ ! -e $$rc ]; then \
			trap "rm -f $$rc" EXIT; \
			printf '#!/bin/sh\nexit 101\n' >$$rc; \
			chmod 755 $$rc; \
		fi; \
		{ apt-get -qq update && apt-get -qq -y \
			--no-install-recommends install $$missing; } \
			>$$log 2>&1 || { cat $$log; exit 1; }; \
	fi

# The stamp names the options, so that changing one configures anew.
MESON_FILES = meson.build meson_options.txt \
	$(wildcard */meson.build tests/*/meson.build)
build/configured-werror-$(WERROR): $(MESON_FILES) | deps
	@mkdir -p build
	@meson setup $(if $(wildcard build/build.ninja),--reconfigure) \
		-Dwerror=$(WERROR) build >build/setup.log 2>&1 || \
		{ cat build/setup.log; exit 1; }
	@rm -f build/configured-werror-*
	@touch $@

host: deps build/configured-werror-$(WERROR)
	@flock build/host.lock ninja -C build --quiet

lab: deps
	@$(LAB) build

guest: deps
	@mkdir -p build
	@$(GUEST) $(GUEST_FLAGS) install compile-check

demo: host guest lab
	@python3 demo/demo.py

demo-uplink: host guest lab
	@python3 demo/uplink.py

demo-zero-copy: host guest lab
	@python3 demo/zero_copy.py

demo-endpoints: host
	@python3 demo/endpoints.py

bench bench-quick: PACKAGES += $(BENCH_PACKAGES)

bench: host guest lab
	@exec bench/run $(if $(BENCH),"$(BENCH)",--record)

bench-quick: host guest lab
	@exec bench/run --quick

# The tests run with the module that checks itself.
check check-long conformance: VMC_DEBUG = 1
check check-long: PACKAGES += $(TEST_PACKAGES)

check: host guest lab
	@exec tests/run

check-long: host guest lab
	@exec tests/run --long

# Optional packages, and images of their own: half a gigabyte, once.
conformance: host guest lab
	@exec conformance/run $(if $(SUITE),"$(SUITE)",--record)

install: host
	@meson install -C build --quiet $(if $(DESTDIR),--destdir $(DESTDIR))

clean:
	rm -rf build

.PHONY: all help deps host lab guest demo demo-uplink demo-zero-copy demo-endpoints \
	bench bench-quick check check-long conformance install clean
