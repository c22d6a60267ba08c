// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Echo requests (ping) of guests to the outside: each identifier and address
 * has a ping socket of the host, which needs no privilege but the system's
 * net.ipv4.ping_group_range. What comes back goes to the VM as a packet, and
 * so do the ICMP errors that the host hears. Owns the sockets. Called by hub.c
 * and the broker.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "switch/address.h"
#include "switch/echo.h"
#include "switch/host_socket.h"
#include "switch/hub.h"
#include "switch/quota.h"
#include "switch/uplink.h"

/* Of one VM; who begins another ends the one that was idle for the longest. */
#define MAX_ECHOES	128
/* After that a socket is closed; who answers later is not heard. */
#define IDLE_MS		10000
/* Messages of one socket before others have their turn. */
#define BATCH		64

#define MAX_ICMP_BYTES	65535U
#define IP6_BYTES	40U

/**
 * vmc_echo_init - no echo is under way
 * @table: a port's
 */
void vmc_echo_init(struct vmc_echo_table *table)
{
	TAILQ_INIT(&table->echoes);
	table->nr = 0;
}

static void end(struct vmc_echo *echo)
{
	struct vmc_echo_table *table = &echo->port->echoes;

	vmc_loop_close(echo->port->vm->loop, &echo->watch);
	TAILQ_REMOVE(&table->echoes, echo, entry);
	table->nr--;
	free(echo);
}

/* What a message of the kernel says beside its bytes. */
struct aside {
	int hop_limit;				/* 0: nothing */
	struct sock_extended_err *error;	/* NULL: none */
};

static ssize_t receive(const struct vmc_echo *echo, uint8_t *at,
		       uint32_t room_bytes, int flags, struct msghdr *msg,
		       struct aside *ret_aside)
{
	struct iovec part = { at, room_bytes };
	struct cmsghdr *said;
	ssize_t got;

	msg->msg_iov = &part;
	msg->msg_iovlen = 1;
	memset(ret_aside, 0, sizeof(*ret_aside));
	got = recvmsg(echo->watch.fd, msg, MSG_DONTWAIT | flags);
	if (got < 0)
		return got;
	for (said = CMSG_FIRSTHDR(msg); said; said = CMSG_NXTHDR(msg, said)) {
		if ((said->cmsg_level == IPPROTO_IP &&
		     said->cmsg_type == IP_TTL) ||
		    (said->cmsg_level == IPPROTO_IPV6 &&
		     said->cmsg_type == IPV6_HOPLIMIT))
			memcpy(&ret_aside->hop_limit, CMSG_DATA(said),
			       sizeof(int));
		else if ((said->cmsg_level == IPPROTO_IP &&
			  said->cmsg_type == IP_RECVERR) ||
			 (said->cmsg_level == IPPROTO_IPV6 &&
			  said->cmsg_type == IPV6_RECVERR))
			ret_aside->error = (void *)CMSG_DATA(said);
	}
	return got;
}

/* Give the message its identifier back; its type and number stay. */
static void set_identifier(uint8_t *message, const struct vmc_echo *echo)
{
	struct icmphdr icmp;

	memcpy(&icmp, message, sizeof(icmp));
	icmp.un.echo.id = htons(le16toh(echo->local.port));
	memcpy(message, &icmp, sizeof(icmp));
}

/* One reply. False: there is none. */
static bool take_reply(struct vmc_echo *echo)
{
	/* One thread: it is given on before the next is taken. */
	static uint8_t packet[IP6_BYTES + MAX_ICMP_BYTES];
	uint32_t head = vmc_packet_header_bytes(&echo->remote);
	_Alignas(struct cmsghdr) uint8_t control[128];
	struct msghdr msg = { .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct aside aside;
	uint32_t bytes;
	ssize_t got;

	got = receive(echo, packet + head, MAX_ICMP_BYTES - head, 0, &msg,
		      &aside);
	if (got < 0)
		return false;
	if ((size_t)got < sizeof(struct icmphdr) || msg.msg_flags & MSG_TRUNC)
		return true;
	set_identifier(packet + head, echo);
	bytes = vmc_packet_finish(packet, &echo->remote, &echo->local,
				  (uint8_t)aside.hop_limit, (uint32_t)got);
	vmc_hub_give(echo->port, packet, bytes);
	return true;
}

/* Who says that an echo went wrong, as the guest calls them. */
static struct vmc_name offender_of(const struct vmc_echo *echo,
				   const struct sock_extended_err *error)
{
	struct sockaddr_storage address = { 0 };
	struct vmc_name name;

	memcpy(&address, SO_EE_OFFENDER(error),
	       echo->remote.family == VMC_FAMILY_INET ?
	       sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	if (vmc_host_socket_name(&address, &name) ||
	    name.family != echo->remote.family ||
	    vmc_name_has_same_address(&name, &echo->target))
		return echo->remote;
	name.port = 0;
	return name;
}

/* One entry of the error queue. False: there is none. */
static bool take_error(struct vmc_echo *echo)
{
	uint8_t request[IP6_BYTES + 64];
	uint32_t head = vmc_packet_header_bytes(&echo->remote);
	_Alignas(struct cmsghdr) uint8_t control[256];
	struct msghdr msg = { .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct vmc_packet about;
	struct vmc_name from;
	struct aside aside;
	uint32_t bytes;
	ssize_t got;

	got = receive(echo, request + head, sizeof(request) - head,
		      MSG_ERRQUEUE, &msg, &aside);
	if (got < 0)
		return false;
	if (!aside.error || (size_t)got < sizeof(struct icmphdr) ||
	    (aside.error->ee_origin != SO_EE_ORIGIN_ICMP &&
	     aside.error->ee_origin != SO_EE_ORIGIN_ICMP6))
		return true;
	/* The request as the guest sent it, as far as it is known. */
	set_identifier(request + head, echo);
	bytes = vmc_packet_finish(request, &echo->local, &echo->remote, 1,
				  (uint32_t)got);
	if (vmc_packet_parse(request, bytes, &about))
		return true;
	from = offender_of(echo, aside.error);
	vmc_hub_tell_error(echo->port, &from, &about,
			   (struct vmc_packet_error){
				.type = aside.error->ee_type,
				.code = aside.error->ee_code,
				.info = aside.error->ee_info,
			   });
	return true;
}

static void take_errors(struct vmc_echo *echo)
{
	unsigned int i;

	for (i = 0; i < BATCH && take_error(echo); i++)
		;
	/* The next call would hear of it. */
	vmc_host_socket_error(echo->watch.fd);
}

static void ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_echo *echo = vmc_container_of(watch, struct vmc_echo,
						 watch);
	unsigned int i;

	if (events & EPOLLERR)
		take_errors(echo);
	for (i = 0; i < BATCH && take_reply(echo); i++)
		;
}

static struct vmc_echo *find(struct vmc_echo_table *table,
			     const struct vmc_packet *packet)
{
	struct vmc_echo *echo;

	/* Those that are in use are near the end. */
	TAILQ_FOREACH_REVERSE(echo, &table->echoes, vmc_echo_list, entry) {
		if (!memcmp(&echo->local, &packet->from,
			    sizeof(echo->local)) &&
		    !memcmp(&echo->remote, &packet->to, sizeof(echo->remote)))
			return echo;
	}
	return NULL;
}

static void complain(struct vmc_vm *vm)
{
	vmc_log_limited(&vm->log_limit, VMC_LOG_NOTICE,
			"vm \"%s\" cannot ping: this system gives the switch's group %u no ping socket; set the sysctl net.ipv4.ping_group_range",
			vm->config->name, (unsigned int)getegid());
}

/* The host's socket for an echo; or -errno. */
static int open_socket(struct vmc_echo *echo)
{
	struct vmc_vm *vm = echo->port->vm;
	bool is_inet = echo->target.family == VMC_FAMILY_INET;
	struct sockaddr_storage address;
	struct vmc_name source = echo->local;
	socklen_t bytes;
	int fd, error = 0;

	fd = vmc_host_socket_ping(echo->target.family);
	if (fd == -EACCES)
		complain(vm);
	if (fd < 0)
		return fd == -EMFILE || fd == -ENFILE ? -ENOBUFS : fd;
	source.port = 0;
	/* To the host itself the VM's address means nothing. */
	if (vm->config->source == VMC_SOURCE_ROUTED &&
	    !vmc_name_is_loopback(&echo->target))
		error = vmc_host_socket_bind_freely(fd, &source);
	bytes = vmc_host_socket_address(&echo->target, &address);
	if (is_inet)
		((struct sockaddr_in *)&address)->sin_port = 0;
	else
		((struct sockaddr_in6 *)&address)->sin6_port = 0;
	if (!error && connect(fd, (struct sockaddr *)&address, bytes))
		error = -errno;
	if (error) {
		close(fd);
		return error;
	}
	echo->watch.fd = fd;
	return 0;
}

/* Return: 0, or a positive errno. */
static int begin(struct vmc_hub_port *port, const struct vmc_packet *packet,
		 struct vmc_echo **ret_echo)
{
	struct vmc_echo_table *table = &port->echoes;
	const struct vmc_carriage *carriage;
	struct vmc_echo *echo;
	struct vmc_name target;
	int error;

	error = vmc_uplink_resolve(port->table->uplink, port->vm,
				   VMC_PROTOCOL_ICMP, &packet->to, &target,
				   &carriage);
	if (!error)
		error = vmc_quota_take_connect(port->vm);
	if (error)
		return error;
	echo = calloc(1, sizeof(*echo));
	if (!echo)
		return ENOBUFS;
	echo->port = port;
	echo->local = packet->from;
	echo->remote = packet->to;
	echo->target = target;
	echo->watch.ready = ready;
	error = -open_socket(echo);
	if (!error)
		error = -vmc_loop_add(port->vm->loop, &echo->watch, EPOLLIN);
	if (error) {
		if (echo->watch.fd > 0)
			close(echo->watch.fd);
		free(echo);
		return error;
	}
	if (table->nr == MAX_ECHOES)
		end(TAILQ_FIRST(&table->echoes));
	TAILQ_INSERT_TAIL(&table->echoes, echo, entry);
	table->nr++;
	*ret_echo = echo;
	return 0;
}

static int send_request(struct vmc_echo *echo, const struct vmc_packet *packet)
{
	if (packet->hop_limit != echo->hop_limit) {
		echo->hop_limit = packet->hop_limit;
		vmc_host_socket_set_hop_limit(echo->watch.fd,
					      echo->target.family,
					      echo->hop_limit);
	}
	if (send(echo->watch.fd, packet->payload, packet->payload_bytes,
		 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno;
}

/**
 * vmc_echo_send - send a VM's echo request to the outside
 * @port: the VM's
 * @packet: the request
 *
 * Return: 0, also when the host has no room for it; or a positive errno that
 * the VM is to be told: EACCES by policy or without ping sockets, EHOSTUNREACH
 * for an address of the VM's own networks, ENOBUFS over a quota, and what the
 * host's own routes say.
 */
int vmc_echo_send(struct vmc_hub_port *port, const struct vmc_packet *packet)
{
	struct vmc_echo *echo = find(&port->echoes, packet);
	int error;

	if (!echo) {
		error = begin(port, packet, &echo);
		if (error)
			return error;
	}
	echo->used_ms = vmc_loop_now_ms();
	TAILQ_REMOVE(&port->echoes.echoes, echo, entry);
	TAILQ_INSERT_TAIL(&port->echoes.echoes, echo, entry);
	error = send_request(echo, packet);
	if (error && error != EAGAIN && error != ENOBUFS &&
	    error != EMSGSIZE) {
		/* It may be the answer to an earlier one. */
		take_errors(echo);
		error = send_request(echo, packet);
	}
	return error == EAGAIN || error == ENOBUFS || error == EMSGSIZE ? 0 :
	       error;
}

/**
 * vmc_echo_tick - end what is idle
 * @port: a VM's
 * @now_ms: vmc_loop_now_ms()
 */
void vmc_echo_tick(struct vmc_hub_port *port, uint64_t now_ms)
{
	struct vmc_echo *echo;

	while ((echo = TAILQ_FIRST(&port->echoes.echoes)) &&
	       now_ms - echo->used_ms >= IDLE_MS)
		end(echo);
}

/**
 * vmc_echo_end_all - a VM has no port any more
 * @port: the VM's
 */
void vmc_echo_end_all(struct vmc_hub_port *port)
{
	struct vmc_echo *echo;

	while ((echo = TAILQ_FIRST(&port->echoes.echoes)))
		end(echo);
}
