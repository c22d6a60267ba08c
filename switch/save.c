// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What must outlive this process, so that the next one can take the VMs over:
 * QEMU cannot connect a device to its back-end a second time. Descriptors go
 * to whoever started us (systemd's file descriptor store, or vmcircuit-keeper)
 * under the name VM/WHAT-NUMBER; everything else stands in a memfd that is
 * stored beside them. Called by vhost_user.c and its parts, at each change.
 *
 * Without a keeper nothing is saved, and nothing else is different.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "switch/log.h"
#include "switch/save.h"

#define SAVED_MAGIC	0x3153434d56ULL		/* "VMCS1" */
#define NAME_BYTES	128

/* What the last run left for us; taken descriptors are -1. */
static struct {
	int nr;
	int first_fd;
	char **names;
	bool is_frozen;
} inheritance;

static void notify(const char *verb, const char *name, int fd)
{
	char text[NAME_BYTES + 64];

	snprintf(text, sizeof(text), "%s=1\nFDNAME=%s\n%s", verb, name,
		 fd >= 0 ? "FDPOLL=0\n" : "");
	if (sd_pid_notify_with_fds(0, 0, text, &fd, fd >= 0) < 0)
		vmc_log(VMC_LOG_WARNING, "\"%s\" cannot be kept for the next run",
			name);
}

static void name_of(const char *vm, const char *what, unsigned int nr,
		    char *ret_name)
{
	snprintf(ret_name, NAME_BYTES, "%s/%s-%u", vm, what, nr);
}

/**
 * vmc_save_collect - see what the last run left
 *
 * Once, before any VM is made.
 */
void vmc_save_collect(void)
{
	int i;

	inheritance.first_fd = SD_LISTEN_FDS_START;
	inheritance.nr = sd_listen_fds_with_names(0, &inheritance.names);
	if (inheritance.nr < 0)
		inheritance.nr = 0;
	for (i = 0; i < inheritance.nr; i++)
		fcntl(inheritance.first_fd + i, F_SETFD, FD_CLOEXEC);
}

/**
 * vmc_save_is_any - whether there was a run before this one
 */
bool vmc_save_is_any(void)
{
	return inheritance.nr;
}

/**
 * vmc_save_take - a descriptor of the last run
 * @vm: whose
 * @what: "socket", "channel", "kick", "call", "memory", "state"
 * @nr: which of several, otherwise 0
 *
 * Return: the descriptor, now the caller's, or -1.
 */
int vmc_save_take(const char *vm, const char *what, unsigned int nr)
{
	char name[NAME_BYTES];
	int i;

	name_of(vm, what, nr, name);
	for (i = 0; i < inheritance.nr; i++) {
		if (!inheritance.names[i] || strcmp(inheritance.names[i], name))
			continue;
		free(inheritance.names[i]);
		inheritance.names[i] = NULL;
		return inheritance.first_fd + i;
	}
	return -1;
}

/**
 * vmc_save_discard_rest - close and forget what no VM took
 *
 * Once, after all VMs are made.
 */
void vmc_save_discard_rest(void)
{
	int i;

	for (i = 0; i < inheritance.nr; i++) {
		if (!inheritance.names[i])
			continue;
		notify("FDSTOREREMOVE", inheritance.names[i], -1);
		close(inheritance.first_fd + i);
		free(inheritance.names[i]);
	}
	free(inheritance.names);
	inheritance.names = NULL;
	inheritance.nr = 0;
}

/**
 * vmc_save_freeze - the process ends: what is saved stays
 */
void vmc_save_freeze(void)
{
	inheritance.is_frozen = true;
}

static int map_saved(struct vmc_save *save, int fd)
{
	void *map = mmap(NULL, sizeof(*save->saved), PROT_READ | PROT_WRITE,
			 MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	save->saved = map;
	return 0;
}

/**
 * vmc_save_begin - save a new connection's state from now on
 * @save: all zero
 * @vm: the VM's name
 *
 * Without a keeper, or without memory, nothing is saved.
 */
void vmc_save_begin(struct vmc_save *save, const char *vm)
{
	char name[NAME_BYTES];
	int fd;

	save->vm = vm;
	if (!getenv("NOTIFY_SOCKET"))
		return;
	fd = memfd_create("vmcircuit-state", MFD_CLOEXEC);
	if (fd < 0)
		return;
	if (!ftruncate(fd, sizeof(*save->saved)) && !map_saved(save, fd)) {
		save->saved->magic = SAVED_MAGIC;
		name_of(vm, "state", 0, name);
		notify("FDSTORE", name, fd);
	}
	close(fd);
}

/**
 * vmc_save_resume - find the state of the last run's connection
 * @save: all zero
 * @vm: the VM's name
 *
 * Return: 0, -ENOENT without a state, -EPROTO when it is not one, or mmap()'s
 * error.
 */
int vmc_save_resume(struct vmc_save *save, const char *vm)
{
	int error, fd = vmc_save_take(vm, "state", 0);
	struct stat status;

	save->vm = vm;
	if (fd < 0)
		return -ENOENT;
	if (fstat(fd, &status) ||
	    (size_t)status.st_size != sizeof(*save->saved))
		error = -EPROTO;
	else
		error = map_saved(save, fd);
	close(fd);
	if (!error && save->saved->magic != SAVED_MAGIC)
		error = -EPROTO;
	return error;
}

/**
 * vmc_save_put - keep a descriptor
 * @save: begun
 * @what: as in vmc_save_take()
 * @nr: likewise; an older one of the same name is forgotten
 * @fd: still the caller's
 */
void vmc_save_put(struct vmc_save *save, const char *what, unsigned int nr,
		  int fd)
{
	char name[NAME_BYTES];

	if (!save->saved)
		return;
	vmc_save_drop(save, what, nr);
	name_of(save->vm, what, nr, name);
	notify("FDSTORE", name, fd);
}

/**
 * vmc_save_drop - keep a descriptor no more
 * @save: begun
 * @what: as in vmc_save_put()
 * @nr: likewise
 */
void vmc_save_drop(struct vmc_save *save, const char *what, unsigned int nr)
{
	char name[NAME_BYTES];

	if (!save->saved || inheritance.is_frozen)
		return;
	name_of(save->vm, what, nr, name);
	notify("FDSTOREREMOVE", name, -1);
}

/**
 * vmc_save_add_region - keep a memory region's file
 * @save: begun
 * @place: where the region lies
 * @fd: its file; still the caller's
 *
 * Regions of one file share one descriptor: systemd stores a file once.
 */
void vmc_save_add_region(struct vmc_save *save,
			 const struct vmc_memory_place *place, int fd)
{
	struct vmc_saved_region *region, *empty = NULL;
	bool is_stored = false;
	struct stat status;
	unsigned int i;

	if (!save->saved || fstat(fd, &status))
		return;
	for (i = 0; i < VMC_SAVED_REGIONS; i++) {
		region = &save->saved->regions[i];
		if (!region->inode)
			empty = empty ? empty : region;
		else if (region->device == status.st_dev &&
			 region->inode == status.st_ino)
			is_stored = true;
	}
	if (!empty)
		return;
	empty->device = status.st_dev;
	empty->inode = status.st_ino;
	if (!is_stored)
		vmc_save_put(save, "memory",
			     (unsigned int)(empty - save->saved->regions), fd);
	empty->place = *place;
}

static bool is_same_file(const struct vmc_saved_region *a,
			 const struct vmc_saved_region *b)
{
	return a->inode == b->inode && a->device == b->device;
}

/* Forget a file once no region uses it; its entries were kept until then. */
static void forget_file(struct vmc_save *save, struct vmc_saved_region file)
{
	struct vmc_saved_region *regions = save->saved->regions;
	unsigned int i;

	for (i = 0; i < VMC_SAVED_REGIONS; i++)
		if (regions[i].place.bytes && is_same_file(&regions[i], &file))
			return;
	for (i = 0; i < VMC_SAVED_REGIONS; i++) {
		if (!is_same_file(&regions[i], &file))
			continue;
		memset(&regions[i], 0, sizeof(regions[i]));
		vmc_save_drop(save, "memory", i);
	}
}

/**
 * vmc_save_remove_region - keep a memory region no more
 * @save: begun
 * @place: as it was added
 */
void vmc_save_remove_region(struct vmc_save *save,
			    const struct vmc_memory_place *place)
{
	struct vmc_saved_region *region;
	unsigned int i;

	if (!save->saved)
		return;
	for (i = 0; i < VMC_SAVED_REGIONS; i++) {
		region = &save->saved->regions[i];
		if (!region->place.bytes ||
		    region->place.guest != place->guest ||
		    region->place.bytes != place->bytes)
			continue;
		memset(&region->place, 0, sizeof(region->place));
		forget_file(save, *region);
		return;
	}
}

/**
 * vmc_save_clear_regions - a new table of regions comes
 * @save: begun
 */
void vmc_save_clear_regions(struct vmc_save *save)
{
	unsigned int i;

	if (!save->saved)
		return;
	for (i = 0; i < VMC_SAVED_REGIONS; i++) {
		if (!save->saved->regions[i].inode)
			continue;
		vmc_save_drop(save, "memory", i);
		memset(&save->saved->regions[i], 0,
		       sizeof(save->saved->regions[i]));
	}
}

/**
 * vmc_save_end - the connection is over: nothing of it is kept
 * @save: begun or not; unless the process ends
 */
void vmc_save_end(struct vmc_save *save)
{
	unsigned int i;

	if (!save->saved)
		return;
	if (!inheritance.is_frozen) {
		vmc_save_clear_regions(save);
		vmc_save_drop(save, "socket", 0);
		vmc_save_drop(save, "channel", 0);
		vmc_save_drop(save, "state", 0);
		for (i = 0; i < VMC_NR_QUEUES; i++) {
			vmc_save_drop(save, "kick", i);
			vmc_save_drop(save, "call", i);
		}
	}
	munmap(save->saved, sizeof(*save->saved));
	save->saved = NULL;
}
