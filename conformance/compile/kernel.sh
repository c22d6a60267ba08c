# SPDX-License-Identifier: GPL-2.0-or-later
# kernel.sh SOURCES TARGET: the kernel's selftests of sockets. See ../sources.py
programs="bind_bhash bind_timewait bind_wildcard epoll_busy_poll
	ip_local_port_range msg_zerocopy reuseaddr_conflict
	reuseaddr_ports_exhausted reuseport_addr_any reuseport_bpf
	reuseport_bpf_cpu reuseport_dualstack rxtimestamp sk_bind_sendto_listen
	sk_connect_zero_addr sk_so_peek_off so_incoming_cpu so_netns_cookie
	socket stress_reuseport_listen tcp_fastopen_backup_key tcp_inq tls
	txtimestamp udpgso"
sources=$1 target=$2 unxz=$(dirname "$(readlink -f "$0")")/unxz.py
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
dpkg-deb --extract "$sources"/libcap-dev_*.deb libcap
dpkg-deb --fsys-tarfile "$sources"/linux-source-6.12_*.deb |
	tar -xO ./usr/src/linux-source-6.12.tar.xz |
	python3 "$unxz" | tar -x --strip-components=1 --wildcards \
		'linux-source-6.12/tools/testing/selftests/kselftest*' \
		linux-source-6.12/tools/testing/selftests/net
cd tools/testing/selftests/net
# Calls of it have an argument too many, which does not compile.
sed -i -z -E 's/(tls_crypto_info_init\(([^,()]*,){2}[^,()]*),\s*[0-9]+\)/\1)/g' \
	tls.c
library=$(dirname "$(find "$scratch/libcap" -name libcap.so)")
for program in $programs; do
	libraries=-pthread
	[ "$program" != epoll_busy_poll ] || libraries=-lcap
	cc -O2 -w -D_GNU_SOURCE= -I.. -I"$scratch/libcap/usr/include" \
		-o "$target/$program" "$program.c" -L"$library" \
		-L/usr/lib/x86_64-linux-gnu $libraries
done
