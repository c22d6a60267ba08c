// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The window of a VM: which stride holds which segment, and the back-end
 * channel on which the switch asks the hypervisor to map and unmap. Owns the
 * channel and the strides, not the segments. Called by vhost_user.c (channel,
 * announcements) and by whoever wants a segment mapped.
 *
 * One request is under way at a time. QEMU answers SHMEM_MAP before the guest
 * can see the mapping, and announces it with ADD_MEM_REG once the guest can;
 * so a mapping is usable when both have come. Likewise a stride is free when
 * SHMEM_UNMAP is answered and REM_MEM_REG withdrew it. A hypervisor that does
 * not announce is given VMC_ANNOUNCE_TIMEOUT_MS instead. A device reset unmaps
 * everything; the announcements tell what is left.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/ring.h"
#include "switch/window.h"

static void send_next(struct vmc_window *window);

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void set_state(struct vmc_window *window, struct vmc_mapping *mapping,
		      enum vmc_mapping_state state)
{
	if (mapping->state == VMC_MAPPING_FREE)
		window->nr_mapped++;
	if (state == VMC_MAPPING_FREE)
		window->nr_mapped--;
	mapping->state = state;
	mapping->since_ms = vmc_loop_now_ms();
}

static void free_mapping(struct vmc_window *window,
			 struct vmc_mapping *mapping)
{
	set_state(window, mapping, VMC_MAPPING_FREE);
	memset(mapping, 0, sizeof(*mapping));
	mapping->fd = -1;
}

static void queue_unmap(struct vmc_window *window,
			struct vmc_mapping *mapping)
{
	mapping->done = NULL;
	set_state(window, mapping, VMC_MAPPING_UNWANTED);
	TAILQ_INSERT_TAIL(&window->waiting, mapping, entry);
	send_next(window);
}

/* Both the answer and the announcement are here, or time is up. */
static void make_usable(struct vmc_window *window,
			struct vmc_mapping *mapping)
{
	set_state(window, mapping, VMC_MAPPING_USABLE);
	mapping->done(mapping, 0);
}

static void map_answered(struct vmc_window *window,
			 struct vmc_mapping *mapping, bool is_refused)
{
	void (*done)(struct vmc_mapping *mapping, int error) = mapping->done;

	if (is_refused) {
		if (done)
			done(mapping, -EIO);
		free_mapping(window, mapping);
		return;
	}
	if (mapping->is_given_up) {
		queue_unmap(window, mapping);
		return;
	}
	set_state(window, mapping, VMC_MAPPING_CONFIRMED);
	if (mapping->is_announced && done)
		make_usable(window, mapping);
}

static void take_reply(struct vmc_window *window)
{
	struct vmc_mapping *mapping = window->asked;
	struct vhost_user_header header;
	uint64_t result;

	memcpy(&header, window->reply, sizeof(header));
	memcpy(&result, window->reply + sizeof(header), sizeof(result));
	window->reply_bytes = 0;
	if (window->saved_asked)
		*window->saved_asked = false;
	if (window->is_answer_stray) {
		window->is_answer_stray = false;
		send_next(window);
		return;
	}
	if (!mapping || !(header.flags & VHOST_USER_REPLY) ||
	    header.bytes != sizeof(result)) {
		window->broken(window, true,
			       "malformed answer on its back-end channel");
		return;
	}
	window->asked = NULL;
	window->nr_requests++;
	window->request_us += now_us() - window->asked_us;
	if (mapping->state == VMC_MAPPING_ASKED)
		map_answered(window, mapping, result != 0);
	else if (mapping->is_announced)
		set_state(window, mapping, VMC_MAPPING_RETURNED);
	else
		free_mapping(window, mapping);
	send_next(window);
}

static void channel_ready(struct vmc_watch *watch, uint32_t events)
{
	struct vmc_window *window =
		vmc_container_of(watch, struct vmc_window, channel);
	ssize_t bytes;

	(void)events;
	bytes = recv(watch->fd, window->reply + window->reply_bytes,
		     sizeof(window->reply) - window->reply_bytes, MSG_DONTWAIT);
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes <= 0) {
		window->broken(window, false,
			       "the hypervisor closed its back-end channel");
		return;
	}
	window->reply_bytes += (size_t)bytes;
	if (window->reply_bytes == sizeof(window->reply))
		take_reply(window);
}

static int send_request(struct vmc_window *window, struct vmc_mapping *mapping,
			bool is_map)
{
	struct {
		struct vhost_user_header header;
		struct vhost_user_shmem_map body;
	} __attribute__((packed)) request = {
		.header.request = is_map ? VHOST_USER_BACKEND_SHMEM_MAP :
					   VHOST_USER_BACKEND_SHMEM_UNMAP,
		.header.flags = VHOST_USER_VERSION | VHOST_USER_NEED_REPLY,
		.header.bytes = sizeof(request.body),
		.body.shmid = VMC_WINDOW_SHMID,
		.body.shm_offset = vmc_window_offset(window, mapping),
		.body.bytes = mapping->bytes,
		.body.flags = mapping->is_writable && is_map ?
			      VHOST_USER_SHMEM_WRITABLE : 0,
	};
	union {
		struct cmsghdr header;
		char raw[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { &request, sizeof(request) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t done;

	if (is_map) {
		message.msg_control = control.raw;
		message.msg_controllen = sizeof(control.raw);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &mapping->fd, sizeof(int));
	}
	done = sendmsg(window->channel.fd, &message,
		       MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done < 0)
		return -errno;
	return done == sizeof(request) ? 0 : -EAGAIN;
}

/* One short request at a time: the channel has room, or nobody reads it. */
static void send_next(struct vmc_window *window)
{
	struct vmc_mapping *mapping = TAILQ_FIRST(&window->waiting);
	bool is_map;
	int error;

	if (window->asked || window->is_answer_stray || !mapping ||
	    window->channel.fd < 0)
		return;
	if (window->saved_asked)
		*window->saved_asked = true;
	is_map = mapping->state == VMC_MAPPING_WANTED;
	error = send_request(window, mapping, is_map);
	if (error) {
		window->broken(window, error == -EAGAIN,
			       "its back-end channel takes no request");
		return;
	}
	TAILQ_REMOVE(&window->waiting, mapping, entry);
	mapping->fd = -1;
	set_state(window, mapping,
		  is_map ? VMC_MAPPING_ASKED : VMC_MAPPING_RETURNING);
	window->asked = mapping;
	window->asked_us = now_us();
}

/**
 * vmc_window_init - make an empty window
 * @window: the window
 * @loop: watches the channel
 * @broken: called when the channel fails; must not free the window
 */
void vmc_window_init(struct vmc_window *window, struct vmc_loop *loop,
		     void (*broken)(struct vmc_window *window, bool is_fault,
			    const char *why))
{
	size_t i;

	memset(window, 0, sizeof(*window));
	window->loop = loop;
	window->broken = broken;
	window->channel.fd = -1;
	window->channel.ready = channel_ready;
	TAILQ_INIT(&window->waiting);
	for (i = 0; i < VMC_WINDOW_STRIDES; i++)
		window->mappings[i].fd = -1;
}

/**
 * vmc_window_open - use a back-end channel
 * @window: the window
 * @fd: taken on success; on failure the caller still owns it
 *
 * A channel that was there before is closed.
 *
 * Return: 0, -EBUSY when a request is under way, or epoll_ctl()'s error.
 */
int vmc_window_open(struct vmc_window *window, int fd)
{
	int error;

	if (window->asked)
		return -EBUSY;
	vmc_loop_close(window->loop, &window->channel);
	window->reply_bytes = 0;
	window->channel.fd = fd;
	error = vmc_loop_add(window->loop, &window->channel, EPOLLIN);
	if (error) {
		window->channel.fd = -1;
		return error;
	}
	send_next(window);
	return 0;
}

/**
 * vmc_window_close - the hypervisor is gone, and every mapping with it
 * @window: the window
 *
 * No done() is called.
 */
void vmc_window_close(struct vmc_window *window)
{
	struct vmc_loop *loop = window->loop;
	uint64_t nr_requests = window->nr_requests;
	uint64_t request_us = window->request_us;

	vmc_loop_close(loop, &window->channel);
	vmc_window_init(window, loop, window->broken);
	window->nr_requests = nr_requests;
	window->request_us = request_us;
}

/**
 * vmc_window_map - map a file at a free stride
 * @window: the window
 * @fd: the file; stays open until done() or vmc_window_unmap()
 * @bytes: how much of it, at most a stride
 * @is_writable: whether the guest may write (a wish, see window.h)
 * @done: called once, later
 * @owner: for done()
 * @ret_mapping: the mapping
 *
 * Return: 0; -ENOBUFS when VMC_MAX_SEGMENTS are mapped, -ENOTCONN without a
 * channel, or fstat()'s error.
 */
int vmc_window_map(struct vmc_window *window, int fd, uint64_t bytes,
		   bool is_writable,
		   void (*done)(struct vmc_mapping *mapping, int error),
		   void *owner, struct vmc_mapping **ret_mapping)
{
	struct vmc_mapping *mapping = NULL;
	struct stat status;
	size_t i;

	if (window->channel.fd < 0)
		return -ENOTCONN;
	if (window->nr_mapped >= VMC_MAX_SEGMENTS)
		return -ENOBUFS;
	if (fstat(fd, &status))
		return -errno;
	for (i = 0; i < VMC_WINDOW_STRIDES && !mapping; i++) {
		if (window->mappings[i].state == VMC_MAPPING_FREE)
			mapping = &window->mappings[i];
	}
	if (!mapping)
		return -ENOBUFS;
	mapping->fd = fd;
	mapping->device = status.st_dev;
	mapping->inode = status.st_ino;
	mapping->bytes = bytes;
	mapping->is_writable = is_writable;
	mapping->done = done;
	mapping->owner = owner;
	set_state(window, mapping, VMC_MAPPING_WANTED);
	TAILQ_INSERT_TAIL(&window->waiting, mapping, entry);
	*ret_mapping = mapping;
	send_next(window);
	return 0;
}

/**
 * vmc_window_unmap - want a mapping no more
 * @window: the window
 * @mapping: from vmc_window_map(); the caller forgets it
 *
 * The stride is used again when the hypervisor has confirmed.
 */
void vmc_window_unmap(struct vmc_window *window, struct vmc_mapping *mapping)
{
	mapping->done = NULL;
	mapping->owner = NULL;
	switch (mapping->state) {
	case VMC_MAPPING_WANTED:
		TAILQ_REMOVE(&window->waiting, mapping, entry);
		free_mapping(window, mapping);
		break;
	case VMC_MAPPING_ASKED:
		mapping->is_given_up = true;
		break;
	case VMC_MAPPING_CONFIRMED:
	case VMC_MAPPING_USABLE:
		queue_unmap(window, mapping);
		break;
	case VMC_MAPPING_FREE:
	case VMC_MAPPING_UNWANTED:
	case VMC_MAPPING_RETURNING:
	case VMC_MAPPING_RETURNED:
		break;
	}
}

/**
 * vmc_window_abandon - the guest uses no mapping any more
 * @window: the window
 *
 * For a device that stopped: nothing is unmapped yet, for a reset has done so
 * already and it is not known here. No done() is called any more.
 */
void vmc_window_abandon(struct vmc_window *window)
{
	struct vmc_mapping *mapping;
	size_t i;

	for (i = 0; i < VMC_WINDOW_STRIDES; i++) {
		mapping = &window->mappings[i];
		mapping->done = NULL;
		mapping->owner = NULL;
		if (mapping->state == VMC_MAPPING_WANTED) {
			TAILQ_REMOVE(&window->waiting, mapping, entry);
			free_mapping(window, mapping);
		} else if (mapping->state == VMC_MAPPING_UNWANTED) {
			TAILQ_REMOVE(&window->waiting, mapping, entry);
			set_state(window, mapping, VMC_MAPPING_CONFIRMED);
		}
	}
}

/**
 * vmc_window_restart - the guest starts afresh: want no mapping any more
 * @window: the window
 *
 * What a device reset unmapped already was withdrawn before, and is free at
 * once; asking to unmap it would make QEMU close the channel.
 */
void vmc_window_restart(struct vmc_window *window)
{
	struct vmc_mapping *mapping;
	size_t i;

	for (i = 0; i < VMC_WINDOW_STRIDES; i++) {
		mapping = &window->mappings[i];
		if (mapping->is_announced || mapping == window->asked) {
			vmc_window_unmap(window, mapping);
			continue;
		}
		if (mapping->state == VMC_MAPPING_WANTED ||
		    mapping->state == VMC_MAPPING_UNWANTED)
			TAILQ_REMOVE(&window->waiting, mapping, entry);
		if (mapping->state != VMC_MAPPING_FREE)
			free_mapping(window, mapping);
	}
}

/**
 * vmc_window_offset - where a mapping lies
 * @window: the window
 * @mapping: of this window
 *
 * Return: offset from the window's start, bytes.
 */
uint64_t vmc_window_offset(const struct vmc_window *window,
			   const struct vmc_mapping *mapping)
{
	return (uint64_t)(mapping - window->mappings) * VMC_SEGMENT_BYTES;
}

/* A segment that an earlier run of the switch left behind. */
static bool adopt(struct vmc_window *window, uint64_t raw_guest,
		  uint64_t raw_bytes, int fd)
{
	uint64_t offset = raw_guest & (VMC_WINDOW_BYTES - 1);
	struct vmc_mapping *mapping;
	uint64_t magic;

	if ((raw_bytes != VMC_SEGMENT_BYTES && raw_bytes != VMC_PAGE_BYTES) ||
	    offset % VMC_SEGMENT_BYTES ||
	    pread(fd, &magic, sizeof(magic), 0) != sizeof(magic) ||
	    (magic != VMC_SEGMENT_MAGIC && magic != VMC_SWITCH_MAGIC))
		return false;
	mapping = &window->mappings[offset / VMC_SEGMENT_BYTES];
	if (mapping->state != VMC_MAPPING_FREE)
		return false;
	mapping->bytes = raw_bytes;
	mapping->is_announced = true;
	mapping->announced_guest = raw_guest;
	set_state(window, mapping, VMC_MAPPING_CONFIRMED);
	return true;
}

/**
 * vmc_window_announce - the hypervisor tells of a region (ADD_MEM_REG)
 * @window: the window
 * @raw_guest: guest-physical address, unchecked
 * @raw_bytes: length, unchecked
 * @fd: the file behind it; the caller closes it
 *
 * A mapping that an earlier run of the switch left behind is adopted, so that
 * vmc_window_restart() clears it away.
 *
 * Return: whether it is a mapping of the window, not RAM.
 */
bool vmc_window_announce(struct vmc_window *window, uint64_t raw_guest,
			 uint64_t raw_bytes, int fd)
{
	struct vmc_mapping *mapping;
	struct stat status;
	size_t i;

	if (fstat(fd, &status))
		return false;
	for (i = 0; i < VMC_WINDOW_STRIDES; i++) {
		mapping = &window->mappings[i];
		if (mapping->state == VMC_MAPPING_FREE ||
		    mapping->inode != status.st_ino ||
		    mapping->device != status.st_dev ||
		    mapping->bytes != raw_bytes)
			continue;
		mapping->is_announced = true;
		mapping->announced_guest = raw_guest;
		if (mapping->state == VMC_MAPPING_CONFIRMED && mapping->done)
			make_usable(window, mapping);
		return true;
	}
	return adopt(window, raw_guest, raw_bytes, fd);
}

/**
 * vmc_window_withdraw - the hypervisor takes a region back (REM_MEM_REG)
 * @window: the window
 * @raw_guest: guest-physical address, unchecked
 * @raw_bytes: length, unchecked
 *
 * Return: whether it was a mapping of the window.
 */
bool vmc_window_withdraw(struct vmc_window *window, uint64_t raw_guest,
			 uint64_t raw_bytes)
{
	struct vmc_mapping *mapping;
	size_t i;

	for (i = 0; i < VMC_WINDOW_STRIDES; i++) {
		mapping = &window->mappings[i];
		if (!mapping->is_announced ||
		    mapping->announced_guest != raw_guest ||
		    mapping->bytes != raw_bytes)
			continue;
		mapping->is_announced = false;
		if (mapping->state == VMC_MAPPING_RETURNED)
			free_mapping(window, mapping);
		return true;
	}
	return false;
}

/**
 * vmc_window_withdraw_all - the hypervisor gives a new table of regions
 * @window: the window
 */
void vmc_window_withdraw_all(struct vmc_window *window)
{
	size_t i;

	for (i = 0; i < VMC_WINDOW_STRIDES; i++) {
		window->mappings[i].is_announced = false;
		if (window->mappings[i].state == VMC_MAPPING_RETURNED)
			free_mapping(window, &window->mappings[i]);
	}
}

/**
 * vmc_window_tick - let time pass
 * @window: the window
 * @now_ms: the loop's clock
 */
void vmc_window_tick(struct vmc_window *window, uint64_t now_ms)
{
	struct vmc_mapping *mapping;
	size_t i;

	for (i = 0; i < VMC_WINDOW_STRIDES; i++) {
		mapping = &window->mappings[i];
		if (now_ms - mapping->since_ms < VMC_ANNOUNCE_TIMEOUT_MS)
			continue;
		if (mapping->state == VMC_MAPPING_CONFIRMED && mapping->done)
			make_usable(window, mapping);
		else if (mapping->state == VMC_MAPPING_RETURNED)
			free_mapping(window, mapping);
	}
}
