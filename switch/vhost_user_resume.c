// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking over the connection that the last run of the switch had: from what
 * save.c kept, the device as it was, without a word to the hypervisor. What
 * was saved passes the same checks as if the hypervisor said it now.
 *
 * The hypervisor and the guest notice nothing until the queues are served
 * again; then ATTACH tells the guest that it is another switch. Segments that
 * the last run mapped are adopted by the window, which has them unmapped when
 * the guest says HELLO.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "switch/vhost_user_resume.h"

/* The file of a region: its own, or that of another region of the file. */
static int take_file(int *files, const struct vmc_saved *saved,
		     unsigned int nr)
{
	const struct vmc_saved_region *region = &saved->regions[nr];
	unsigned int i;

	for (i = 0; i < VMC_SAVED_REGIONS; i++)
		if (files[i] >= 0 &&
		    saved->regions[i].inode == region->inode &&
		    saved->regions[i].device == region->device)
			return files[i];
	return -1;
}

static int resume_memory(struct vmc_vhost_user *connection, const char *vm)
{
	const struct vmc_saved *saved = connection->save.saved;
	const struct vmc_memory_place *place;
	int files[VMC_SAVED_REGIONS], error = 0, fd;
	unsigned int i;

	for (i = 0; i < VMC_SAVED_REGIONS; i++)
		files[i] = vmc_save_take(vm, "memory", i);
	for (i = 0; i < VMC_SAVED_REGIONS && !error; i++) {
		place = &saved->regions[i].place;
		if (!place->bytes)
			continue;
		fd = take_file(files, saved, i);
		if (fd < 0)
			error = -EBADF;
		else if (!vmc_window_announce(&connection->window,
					      place->guest, place->bytes, fd))
			error = vmc_guest_memory_add(&connection->memory,
						     place, fd);
	}
	for (i = 0; i < VMC_SAVED_REGIONS; i++)
		if (files[i] >= 0)
			close(files[i]);
	return error;
}

static int resume_queue(struct vmc_vhost_user *connection, const char *vm,
			unsigned int i)
{
	const struct vmc_saved_queue *saved = &connection->save.saved->queues[i];
	struct vmc_virtqueue *queue = &connection->queues[i];
	struct vmc_watch *kick = &connection->kicks[i].watch;
	int error;

	if (saved->nr_entries > VMC_MAX_QUEUE_SIZE ||
	    (saved->nr_entries & (saved->nr_entries - 1)))
		return -EPROTO;
	queue->nr_entries = saved->nr_entries;
	queue->place = saved->place;
	queue->has_place = saved->has_place;
	queue->is_enabled = saved->is_enabled;
	queue->call_fd = vmc_save_take(vm, "call", i);
	kick->fd = vmc_save_take(vm, "kick", i);
	if (kick->fd < 0)
		return 0;
	error = vmc_loop_add(connection->loop, kick, EPOLLIN);
	if (error) {
		close(kick->fd);
		kick->fd = -1;
	}
	return error;
}

/* Every entry was given back at once, so the used index tells where we are. */
static int serve_queue(struct vmc_vhost_user *connection, unsigned int i)
{
	struct vmc_virtqueue *queue = &connection->queues[i];
	int error = vmc_vring_update(connection, i);

	if (error || !queue->desc)
		return error;
	queue->avail_cons = queue->used_prod;
	/* A signal may have died with the last run. */
	queue->must_signal = true;
	vmc_virtqueue_signal(queue);
	return 0;
}

/**
 * vmc_vhost_user_resume - serve the hypervisor that the last run served
 * @connection: not open
 * @vm: the VM's name
 *
 * Return: 0; -ENOENT when there was none; otherwise the connection must be
 * closed: -EBUSY when the last run died over a message, whose answer the
 * hypervisor now waits for in vain; -EBADF when a descriptor is missing;
 * or the error of what failed.
 */
int vmc_vhost_user_resume(struct vmc_vhost_user *connection, const char *vm)
{
	int error, channel, socket = vmc_save_take(vm, "socket", 0);
	unsigned int i;

	if (socket < 0)
		return -ENOENT;
	error = vmc_save_resume(&connection->save, vm);
	if (!error)
		error = vmc_vhost_user_watch(connection, socket);
	if (error) {
		close(socket);
		return error;
	}
	if (connection->save.saved->is_busy)
		return -EBUSY;
	connection->features = connection->save.saved->features;
	connection->protocol_features =
		connection->save.saved->protocol_features;
	channel = vmc_save_take(vm, "channel", 0);
	if (channel >= 0) {
		error = vmc_window_open(&connection->window, channel);
		if (error) {
			close(channel);
			return error;
		}
		connection->window.saved_asked =
			&connection->save.saved->is_asked;
		connection->window.is_answer_stray =
			connection->save.saved->is_asked;
	}
	error = resume_memory(connection, vm);
	for (i = 0; i < VMC_NR_QUEUES && !error; i++)
		error = resume_queue(connection, vm, i);
	for (i = 0; i < VMC_NR_QUEUES && !error; i++)
		error = serve_queue(connection, i);
	return error;
}
