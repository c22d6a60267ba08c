/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options, flags and ioctls of sockets: what becomes of each. Whoever decides
 * that looks here (sockopt.c, stream.c, receive.c, datagram.c). The options are
 * shown in /proc/net/vmcircuit/options, doc/socket-options.md is made of this
 * file, and tests/vm/test_option_table.py tries every row beside TCP. The words
 * are for people and are not compiled in.
 *
 * An option of a stream socket is for
 *
 *   BOTH     the socket and its shadow; read from the socket
 *   SHADOW   the shadow; read from there, too
 *   CIRCUIT  the shadow; read from the circuit, if there is one
 *   ABSENT   the shadow before connect(); ENOENT on a circuit
 *   REFUSED  nobody: setting it is EOPNOTSUPP, unless the socket has fallen
 *            back
 *   NEVER    nobody: EOPNOTSUPP after a fallback, too, because our socket would
 *            not stand it
 *
 * and what a program is told is
 *
 *   SAME     what TCP tells, errno and value
 *   VALUE    a value of its own, with TCP's errno
 *   STATE    on a circuit what TCP tells without a connection
 *
 * An option of these levels that is not here cannot be set: ENOPROTOOPT, as on
 * a kernel that does not know it.
 */
#ifndef VMC_OPTION_TABLE_H
#define VMC_OPTION_TABLE_H

/* Stream sockets: level, name, for whom, what is told. */
#define VMC_STREAM_OPTIONS(X) \
	X(SOL_SOCKET, SO_DEBUG, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_REUSEADDR, BOTH, SAME, "bind(), by the shadow") \
	X(SOL_SOCKET, SO_TYPE, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_ERROR, BOTH, SAME, \
	  "read only: the error of the circuit or, after a fallback, " \
	  "of TCP; once") \
	X(SOL_SOCKET, SO_DONTROUTE, BOTH, SAME, \
	  "the route decision in connect()") \
	X(SOL_SOCKET, SO_BROADCAST, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_SNDBUF, BOTH, VALUE, \
	  "size of the ring, when set before connect() or listen(); later " \
	  "how much of it is filled") \
	X(SOL_SOCKET, SO_RCVBUF, BOTH, VALUE, \
	  "size of the ring, when set before connect() or listen()") \
	X(SOL_SOCKET, SO_SNDBUFFORCE, BOTH, SAME, \
	  "as SO_SNDBUF, beyond wmem_max") \
	X(SOL_SOCKET, SO_RCVBUFFORCE, BOTH, SAME, \
	  "as SO_RCVBUF, beyond rmem_max") \
	X(SOL_SOCKET, SO_KEEPALIVE, BOTH, SAME, \
	  "given to the host's socket; kept between VMs") \
	X(SOL_SOCKET, SO_OOBINLINE, BOTH, SAME, \
	  "the urgent byte is read in its place") \
	X(SOL_SOCKET, SO_NO_CHECK, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_PRIORITY, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_LINGER, BOTH, SAME, \
	  "0 s: close() resets; otherwise close() does not wait") \
	X(SOL_SOCKET, SO_BSDCOMPAT, BOTH, SAME, "the kernel ignores it") \
	X(SOL_SOCKET, SO_REUSEPORT, BOTH, SAME, \
	  "bind(), by the shadow; the switch spreads circuits") \
	X(SOL_SOCKET, SO_PASSCRED, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_PEERCRED, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_RCVLOWAT, BOTH, SAME, "recv(), poll()") \
	X(SOL_SOCKET, SO_SNDLOWAT, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_RCVTIMEO_OLD, BOTH, SAME, "recv(), accept()") \
	X(SOL_SOCKET, SO_SNDTIMEO_OLD, BOTH, SAME, "send(), connect()") \
	X(SOL_SOCKET, SO_BINDTODEVICE, BOTH, SAME, \
	  "the route decision in connect(); a listener bound to " \
	  "another device than circuit0 has TCP only") \
	X(SOL_SOCKET, SO_ATTACH_FILTER, REFUSED, SAME, \
	  "there are no packets") \
	X(SOL_SOCKET, SO_DETACH_FILTER, BOTH, SAME, "there is no filter") \
	X(SOL_SOCKET, SO_PEERNAME, BOTH, VALUE, "read only: the peer's name") \
	X(SOL_SOCKET, SO_ACCEPTCONN, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_PEERSEC, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_PASSSEC, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_MARK, BOTH, SAME, "the route decision in connect()") \
	X(SOL_SOCKET, SO_PROTOCOL, BOTH, SAME, "read only: IPPROTO_TCP") \
	X(SOL_SOCKET, SO_DOMAIN, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_RXQ_OVFL, BOTH, SAME, \
	  "kept: a stream loses nothing") \
	X(SOL_SOCKET, SO_WIFI_STATUS, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_PEEK_OFF, BOTH, SAME, "recv() with MSG_PEEK") \
	X(SOL_SOCKET, SO_NOFCS, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_LOCK_FILTER, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_SELECT_ERR_QUEUE, BOTH, SAME, \
	  "kept, as by TCP") \
	X(SOL_SOCKET, SO_BUSY_POLL, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_MAX_PACING_RATE, REFUSED, SAME, \
	  "nobody paces a ring") \
	X(SOL_SOCKET, SO_BPF_EXTENSIONS, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_INCOMING_CPU, BOTH, VALUE, "kept") \
	X(SOL_SOCKET, SO_ATTACH_BPF, REFUSED, SAME, "there are no packets") \
	X(SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, SHADOW, SAME, \
	  "chooses among listeners for TCP; the switch spreads " \
	  "circuits by a hash of the names") \
	X(SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, SHADOW, SAME, \
	  "as SO_ATTACH_REUSEPORT_CBPF") \
	X(SOL_SOCKET, SO_CNX_ADVICE, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_MEMINFO, BOTH, VALUE, \
	  "read only; rings are not in it") \
	X(SOL_SOCKET, SO_INCOMING_NAPI_ID, BOTH, VALUE, "read only: 0") \
	X(SOL_SOCKET, SO_COOKIE, BOTH, VALUE, "read only") \
	X(SOL_SOCKET, SO_PEERGROUPS, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_ZEROCOPY, BOTH, SAME, "MSG_ZEROCOPY is told about") \
	X(SOL_SOCKET, SO_TXTIME, REFUSED, SAME, "nothing is sent at a time") \
	X(SOL_SOCKET, SO_BINDTOIFINDEX, BOTH, SAME, "as SO_BINDTODEVICE") \
	X(SOL_SOCKET, SO_TIMESTAMP_OLD, BOTH, SAME, \
	  "recvmsg(): when the kernel took the data out of the ring") \
	X(SOL_SOCKET, SO_TIMESTAMPNS_OLD, BOTH, SAME, \
	  "as SO_TIMESTAMP_OLD") \
	X(SOL_SOCKET, SO_TIMESTAMPING_OLD, BOTH, SAME, \
	  "as SO_TIMESTAMP_OLD; EOPNOTSUPP for times of what is sent") \
	X(SOL_SOCKET, SO_TIMESTAMP_NEW, BOTH, SAME, "as SO_TIMESTAMP_OLD") \
	X(SOL_SOCKET, SO_TIMESTAMPNS_NEW, BOTH, SAME, \
	  "as SO_TIMESTAMP_OLD") \
	X(SOL_SOCKET, SO_TIMESTAMPING_NEW, BOTH, SAME, \
	  "as SO_TIMESTAMPING_OLD") \
	X(SOL_SOCKET, SO_RCVTIMEO_NEW, BOTH, SAME, "as SO_RCVTIMEO_OLD") \
	X(SOL_SOCKET, SO_SNDTIMEO_NEW, BOTH, SAME, "as SO_SNDTIMEO_OLD") \
	X(SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, SHADOW, SAME, \
	  "as SO_ATTACH_REUSEPORT_CBPF") \
	X(SOL_SOCKET, SO_PREFER_BUSY_POLL, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_BUSY_POLL_BUDGET, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_NETNS_COOKIE, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_BUF_LOCK, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_RESERVE_MEM, NEVER, SAME, \
	  "rings are not memory that the guest accounts") \
	X(SOL_SOCKET, SO_TXREHASH, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_RCVMARK, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_PASSPIDFD, BOTH, SAME, "kept") \
	X(SOL_SOCKET, SO_PEERPIDFD, BOTH, SAME, "read only") \
	X(SOL_SOCKET, SO_DEVMEM_LINEAR, NEVER, SAME, \
	  "no device writes into a ring") \
	X(SOL_SOCKET, SO_DEVMEM_DMABUF, NEVER, SAME, "as SO_DEVMEM_LINEAR") \
	X(SOL_SOCKET, SO_DEVMEM_DONTNEED, NEVER, SAME, \
	  "as SO_DEVMEM_LINEAR") \
	X(SOL_TCP, TCP_NODELAY, SHADOW, SAME, \
	  "given to the host's socket; lets go what MSG_MORE holds back") \
	X(SOL_TCP, TCP_MAXSEG, CIRCUIT, VALUE, \
	  "read from circuit0's MTU, whatever was set") \
	X(SOL_TCP, TCP_CORK, SHADOW, SAME, "holds back, as MSG_MORE") \
	X(SOL_TCP, TCP_KEEPIDLE, SHADOW, SAME, \
	  "given to the host's socket; kept between VMs") \
	X(SOL_TCP, TCP_KEEPINTVL, SHADOW, SAME, \
	  "given to the host's socket; kept between VMs") \
	X(SOL_TCP, TCP_KEEPCNT, SHADOW, SAME, \
	  "given to the host's socket; kept between VMs") \
	X(SOL_TCP, TCP_SYNCNT, SHADOW, SAME, "how long connect() waits") \
	X(SOL_TCP, TCP_LINGER2, SHADOW, SAME, "kept: there is no TIME_WAIT") \
	X(SOL_TCP, TCP_DEFER_ACCEPT, SHADOW, SAME, \
	  "for what a listener accepts over TCP") \
	X(SOL_TCP, TCP_WINDOW_CLAMP, SHADOW, STATE, "kept") \
	X(SOL_TCP, TCP_INFO, CIRCUIT, VALUE, \
	  "read from the circuit and, over the uplink, from the host's " \
	  "socket") \
	X(SOL_TCP, TCP_QUICKACK, SHADOW, VALUE, "kept") \
	X(SOL_TCP, TCP_CONGESTION, SHADOW, SAME, "kept") \
	X(SOL_TCP, TCP_MD5SIG, REFUSED, SAME, "nobody would authenticate") \
	X(SOL_TCP, TCP_THIN_LINEAR_TIMEOUTS, SHADOW, SAME, "kept") \
	X(SOL_TCP, TCP_THIN_DUPACK, SHADOW, SAME, "the kernel ignores it") \
	X(SOL_TCP, TCP_USER_TIMEOUT, SHADOW, SAME, \
	  "how long connect() waits; given to the host's socket") \
	X(SOL_TCP, TCP_REPAIR, REFUSED, SAME, "there is no TCP to repair") \
	X(SOL_TCP, TCP_REPAIR_QUEUE, SHADOW, SAME, \
	  "EPERM without TCP_REPAIR") \
	X(SOL_TCP, TCP_QUEUE_SEQ, SHADOW, STATE, \
	  "an error without TCP_REPAIR") \
	X(SOL_TCP, TCP_REPAIR_OPTIONS, SHADOW, SAME, \
	  "EINVAL without TCP_REPAIR") \
	X(SOL_TCP, TCP_FASTOPEN, SHADOW, STATE, \
	  "for what a listener accepts over TCP") \
	X(SOL_TCP, TCP_TIMESTAMP, SHADOW, VALUE, "EPERM without TCP_REPAIR") \
	X(SOL_TCP, TCP_NOTSENT_LOWAT, SHADOW, SAME, "kept") \
	X(SOL_TCP, TCP_CC_INFO, SHADOW, VALUE, \
	  "of the shadow's congestion control, which does nothing") \
	X(SOL_TCP, TCP_SAVE_SYN, SHADOW, STATE, \
	  "for what a listener accepts over TCP") \
	X(SOL_TCP, TCP_SAVED_SYN, SHADOW, SAME, "read only: there was none") \
	X(SOL_TCP, TCP_REPAIR_WINDOW, SHADOW, SAME, \
	  "EPERM without TCP_REPAIR") \
	X(SOL_TCP, TCP_FASTOPEN_CONNECT, SHADOW, STATE, \
	  "kept: connect() is never put off") \
	X(SOL_TCP, TCP_ULP, ABSENT, SAME, \
	  "kernel TLS; without it libraries do TLS themselves") \
	X(SOL_TCP, TCP_MD5SIG_EXT, REFUSED, SAME, \
	  "nobody would authenticate") \
	X(SOL_TCP, TCP_FASTOPEN_KEY, SHADOW, SAME, \
	  "for what a listener accepts over TCP") \
	X(SOL_TCP, TCP_FASTOPEN_NO_COOKIE, SHADOW, STATE, "kept") \
	X(SOL_TCP, TCP_ZEROCOPY_RECEIVE, SHADOW, STATE, \
	  "mmap() of a circuit is another, see proto/mapping.h") \
	X(SOL_TCP, TCP_INQ, SHADOW, SAME, "told by recvmsg()") \
	X(SOL_TCP, TCP_TX_DELAY, SHADOW, SAME, "kept") \
	X(SOL_TCP, TCP_AO_ADD_KEY, REFUSED, SAME, \
	  "nobody would authenticate") \
	X(SOL_TCP, TCP_AO_DEL_KEY, REFUSED, SAME, \
	  "nobody would authenticate") \
	X(SOL_TCP, TCP_AO_INFO, REFUSED, SAME, "nobody would authenticate") \
	X(SOL_TCP, TCP_AO_GET_KEYS, SHADOW, SAME, \
	  "read only: there are none") \
	X(SOL_TCP, TCP_AO_REPAIR, SHADOW, SAME, "EPERM without TCP_REPAIR") \
	X(SOL_TCP, TCP_IS_MPTCP, SHADOW, SAME, "read only: 0") \
	X(SOL_IP, IP_TOS, SHADOW, SAME, "the route decision in connect()") \
	X(SOL_IP, IP_TTL, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_HDRINCL, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_OPTIONS, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_ROUTER_ALERT, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_RECVOPTS, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_RETOPTS, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_PKTINFO, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_PKTOPTIONS, SHADOW, STATE, "read only: nothing came") \
	X(SOL_IP, IP_MTU_DISCOVER, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_RECVERR, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_RECVTTL, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_RECVTOS, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_MTU, SHADOW, STATE, "read only: ENOTCONN") \
	X(SOL_IP, IP_FREEBIND, SHADOW, SAME, "bind(), by the shadow") \
	X(SOL_IP, IP_IPSEC_POLICY, SHADOW, SAME, \
	  "for TCP: circuits are not authenticated by it") \
	X(SOL_IP, IP_XFRM_POLICY, SHADOW, SAME, \
	  "for TCP: circuits are not authenticated by it") \
	X(SOL_IP, IP_PASSSEC, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_TRANSPARENT, SHADOW, SAME, "bind(), by the shadow") \
	X(SOL_IP, IP_RECVORIGDSTADDR, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_MINTTL, REFUSED, SAME, "nobody counts hops") \
	X(SOL_IP, IP_NODEFRAG, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_CHECKSUM, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_BIND_ADDRESS_NO_PORT, SHADOW, SAME, \
	  "bind(), by the shadow") \
	X(SOL_IP, IP_RECVFRAGSIZE, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_RECVERR_RFC4884, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_MULTICAST_IF, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_MULTICAST_TTL, SHADOW, VALUE, "kept") \
	X(SOL_IP, IP_MULTICAST_LOOP, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_ADD_MEMBERSHIP, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_DROP_MEMBERSHIP, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_UNBLOCK_SOURCE, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_BLOCK_SOURCE, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_ADD_SOURCE_MEMBERSHIP, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_DROP_SOURCE_MEMBERSHIP, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_MSFILTER, SHADOW, SAME, "kept") \
	X(SOL_IP, MCAST_JOIN_GROUP, SHADOW, SAME, "kept") \
	X(SOL_IP, MCAST_BLOCK_SOURCE, SHADOW, SAME, "kept") \
	X(SOL_IP, MCAST_UNBLOCK_SOURCE, SHADOW, SAME, "kept") \
	X(SOL_IP, MCAST_LEAVE_GROUP, SHADOW, SAME, "kept") \
	X(SOL_IP, MCAST_JOIN_SOURCE_GROUP, SHADOW, SAME, "kept") \
	X(SOL_IP, MCAST_LEAVE_SOURCE_GROUP, SHADOW, SAME, "kept") \
	X(SOL_IP, MCAST_MSFILTER, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_MULTICAST_ALL, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_UNICAST_IF, SHADOW, SAME, "kept") \
	X(SOL_IP, IP_LOCAL_PORT_RANGE, SHADOW, SAME, \
	  "the port that connect() takes") \
	X(SOL_IP, IP_PROTOCOL, SHADOW, VALUE, \
	  "read only: the port, where raw sockets have a protocol") \
	X(SOL_IP, IPT_SO_SET_REPLACE, SHADOW, SAME, \
	  "netfilter's tables, no option of the socket") \
	X(SOL_IP, IPT_SO_SET_ADD_COUNTERS, SHADOW, SAME, \
	  "netfilter's tables, no option of the socket") \
	X(SOL_IPV6, IPV6_ADDRFORM, NEVER, STATE, \
	  "a circuit keeps its family") \
	X(SOL_IPV6, IPV6_2292PKTINFO, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_2292HOPOPTS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_2292DSTOPTS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_2292RTHDR, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_2292PKTOPTIONS, SHADOW, STATE, \
	  "read only: nothing came") \
	X(SOL_IPV6, IPV6_CHECKSUM, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_2292HOPLIMIT, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_NEXTHOP, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_FLOWINFO, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_UNICAST_HOPS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_MULTICAST_IF, SHADOW, VALUE, "kept") \
	X(SOL_IPV6, IPV6_MULTICAST_HOPS, SHADOW, VALUE, "kept") \
	X(SOL_IPV6, IPV6_MULTICAST_LOOP, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_ADD_MEMBERSHIP, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_DROP_MEMBERSHIP, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_ROUTER_ALERT, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_MTU_DISCOVER, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_MTU, SHADOW, STATE, "read: ENOTCONN") \
	X(SOL_IPV6, IPV6_RECVERR, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_V6ONLY, SHADOW, SAME, \
	  "bind(), by the shadow; listeners") \
	X(SOL_IPV6, IPV6_JOIN_ANYCAST, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_LEAVE_ANYCAST, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_MULTICAST_ALL, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_ROUTER_ALERT_ISOLATE, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVERR_RFC4884, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_FLOWLABEL_MGR, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_FLOWINFO_SEND, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_IPSEC_POLICY, SHADOW, SAME, \
	  "for TCP: circuits are not authenticated by it") \
	X(SOL_IPV6, IPV6_XFRM_POLICY, SHADOW, SAME, \
	  "for TCP: circuits are not authenticated by it") \
	X(SOL_IPV6, IPV6_HDRINCL, SHADOW, SAME, "kept") \
	X(SOL_IPV6, MCAST_JOIN_GROUP, SHADOW, SAME, "kept") \
	X(SOL_IPV6, MCAST_BLOCK_SOURCE, SHADOW, SAME, "kept") \
	X(SOL_IPV6, MCAST_UNBLOCK_SOURCE, SHADOW, SAME, "kept") \
	X(SOL_IPV6, MCAST_LEAVE_GROUP, SHADOW, SAME, "kept") \
	X(SOL_IPV6, MCAST_JOIN_SOURCE_GROUP, SHADOW, SAME, "kept") \
	X(SOL_IPV6, MCAST_LEAVE_SOURCE_GROUP, SHADOW, SAME, "kept") \
	X(SOL_IPV6, MCAST_MSFILTER, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVPKTINFO, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_PKTINFO, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVHOPLIMIT, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_HOPLIMIT, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVHOPOPTS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_HOPOPTS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RTHDRDSTOPTS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVRTHDR, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RTHDR, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVDSTOPTS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_DSTOPTS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVPATHMTU, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_PATHMTU, SHADOW, STATE, "read only: ENOTCONN") \
	X(SOL_IPV6, IPV6_DONTFRAG, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVTCLASS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_TCLASS, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_AUTOFLOWLABEL, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_ADDR_PREFERENCES, SHADOW, SAME, \
	  "the source address in connect()") \
	X(SOL_IPV6, IPV6_MINHOPCOUNT, REFUSED, SAME, "nobody counts hops") \
	X(SOL_IPV6, IPV6_RECVORIGDSTADDR, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_TRANSPARENT, SHADOW, SAME, "bind(), by the shadow") \
	X(SOL_IPV6, IPV6_UNICAST_IF, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_RECVFRAGSIZE, SHADOW, SAME, "kept") \
	X(SOL_IPV6, IPV6_FREEBIND, SHADOW, SAME, "bind(), by the shadow") \
	X(SOL_IPV6, IP6T_SO_SET_REPLACE, SHADOW, SAME, \
	  "netfilter's tables, no option of the socket") \
	X(SOL_IPV6, IP6T_SO_SET_ADD_COUNTERS, SHADOW, SAME, \
	  "netfilter's tables, no option of the socket")

/*
 * Datagram sockets are UDP's own, so what is not here is UDP's without a word
 * from us, too. UDP: left to UDP; REFUSED: EOPNOTSUPP.
 */
#define VMC_DATAGRAM_OPTIONS(X) \
	X(SOL_UDP, UDP_CORK, UDP, "what is corked does not go the quick way") \
	X(SOL_UDP, UDP_ENCAP, UDP, \
	  "over ordinary networks only: circuit0 refuses its datagrams") \
	X(SOL_UDP, UDP_NO_CHECK6_TX, UDP, "kept: a circuit has no checksums") \
	X(SOL_UDP, UDP_NO_CHECK6_RX, UDP, "kept: a circuit has no checksums") \
	X(SOL_UDP, UDP_SEGMENT, UDP, \
	  "segments become datagrams of their own") \
	X(SOL_UDP, UDP_GRO, UDP, "kept: each datagram comes by itself") \
	X(SOL_IPV6, IPV6_ADDRFORM, REFUSED, \
	  "a datagram socket keeps its family")

/*
 * Flags: of send(), of recv() on a circuit. HONOURED and IGNORED are as with
 * TCP, unless the words say otherwise.
 */
#define VMC_STREAM_FLAGS(X) \
	X(MSG_OOB, HONOURED, HONOURED, \
	  "urgent data between VMs; send() to the uplink is EOPNOTSUPP") \
	X(MSG_PEEK, IGNORED, HONOURED, "leaves what it reads") \
	X(MSG_DONTROUTE, IGNORED, IGNORED, "connect() has chosen the route") \
	X(MSG_CTRUNC, IGNORED, IGNORED, "told by recvmsg(), for datagrams") \
	X(MSG_PROBE, IGNORED, IGNORED, "for datagrams") \
	X(MSG_TRUNC, IGNORED, HONOURED, "drops what it counts") \
	X(MSG_DONTWAIT, HONOURED, HONOURED, "EAGAIN instead of waiting") \
	X(MSG_EOR, IGNORED, IGNORED, "a stream has no records") \
	X(MSG_WAITALL, IGNORED, HONOURED, "waits for all") \
	X(MSG_CONFIRM, IGNORED, IGNORED, "a circuit has no neighbours") \
	X(MSG_ERRQUEUE, IGNORED, HONOURED, "notices of MSG_ZEROCOPY") \
	X(MSG_NOSIGNAL, HONOURED, IGNORED, "EPIPE without SIGPIPE") \
	X(MSG_MORE, HONOURED, IGNORED, \
	  "holds back until more comes, a segment is full, or 200 ms") \
	X(MSG_WAITFORONE, IGNORED, HONOURED, "by the kernel, for recvmmsg()") \
	X(MSG_BATCH, IGNORED, IGNORED, "by the kernel, for sendmmsg()") \
	X(MSG_SOCK_DEVMEM, IGNORED, IGNORED, "no device writes into a ring") \
	X(MSG_ZEROCOPY, HONOURED, IGNORED, \
	  "the data is copied, and with SO_ZEROCOPY that is told at once") \
	X(MSG_FASTOPEN, HONOURED, IGNORED, "connects, then sends") \
	X(MSG_CMSG_CLOEXEC, IGNORED, HONOURED, "by the kernel; told back")

/*
 * Ioctls that a circuit answers. The kernel itself has others for every socket
 * (FIONBIO, FIOASYNC, SIOCSPGRP, SIOCGPGRP, SIOCGSTAMP) and for interfaces and
 * routes; proto/mapping.h has ours.
 */
#define VMC_STREAM_IOCTLS(X) \
	X(SIOCINQ, READABLE, "FIONREAD: bytes to read") \
	X(SIOCOUTQ, UNTAKEN, "TIOCOUTQ: bytes that the peer has not read") \
	X(SIOCOUTQNSD, HELD, "bytes that MSG_MORE or TCP_CORK holds back") \
	X(SIOCATMARK, MARK, "whether the urgent byte is next")

#endif /* VMC_OPTION_TABLE_H */
