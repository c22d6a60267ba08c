// SPDX-License-Identifier: GPL-2.0-only
/*
 * The redirect: gives TCP and UDP sockets that programs ask for the protocol
 * numbers of circuits. It runs inside socket(2), before the kernel looks for the
 * protocol. Sockets that the kernel makes for itself do not come by, nor do
 * those of IORING_OP_SOCKET (seen on 6.12: they stay TCP and UDP); a protocol that was
 * asked for by another number (MPTCP, SCTP) is left alone.
 *
 * A fmod_ret program that returns 0 changes nothing; any other value becomes
 * the result of update_socket_protocol().
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "proto/limits.h"
#include "guest/tool/redirect.h"

/* The kernel's numbers; its headers for them do not compile for BPF. */
#define AF_INET			2
#define AF_INET6		10
#define SOCK_TYPE_MASK		0xf
#define SOCK_STREAM		1
#define SOCK_DGRAM		2
#define IPPROTO_TCP		6
#define IPPROTO_UDP		17

char LICENSE[] SEC("license") = "GPL";

const volatile struct vmc_redirect_config config = {};

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} cgroup SEC(".maps");

SEC("fmod_ret/update_socket_protocol")
int BPF_PROG(redirect_inet, int family, int type, int protocol)
{
	int usual, ours;

	if (family != AF_INET && family != AF_INET6)
		return 0;
	switch (type & SOCK_TYPE_MASK) {
	case SOCK_STREAM:
		usual = IPPROTO_TCP;
		ours = VMC_IPPROTO_STREAM;
		break;
	case SOCK_DGRAM:
		usual = IPPROTO_UDP;
		ours = VMC_IPPROTO_DATAGRAM;
		break;
	default:
		return 0;
	}
	if (protocol != 0 && protocol != usual)
		return 0;
	/* 0: not below it; negative: the map has no cgroup. */
	if (config.limited && bpf_current_task_under_cgroup(&cgroup, 0) != 1)
		return 0;
	return ours;
}
