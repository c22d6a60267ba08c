// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loads the redirect (redirect.bpf.c) and attaches it: pinned below /sys/fs/bpf
 * for "up", or for as long as a process holds it for "run". Prints nothing but
 * libbpf's own words, and those only when VMCIRCUIT_DEBUG is set.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "loader.h"
#include "redirect.skel.h"

#define BPFFS		"/sys/fs/bpf"
#define PIN_DIR		BPFFS "/vmcircuit"
#define PIN_LINK	PIN_DIR "/redirect"
#define PIN_CONFIG	PIN_DIR "/config"
#define NEW		"_new"	/* bpffs permits no dots in names */

static int print_if_debugging(enum libbpf_print_level level,
			      const char *format, va_list arguments)
{
	if (!getenv("VMCIRCUIT_DEBUG"))
		return 0;
	return vfprintf(stderr, format, arguments);
}

/**
 * vmc_redirect_is_possible - whether this kernel has the redirect's hook
 *
 * Return: false where update_socket_protocol() or the kernel's type
 * information is missing.
 */
bool vmc_redirect_is_possible(void)
{
	libbpf_set_print(print_if_debugging);
	return libbpf_find_vmlinux_btf_id("update_socket_protocol",
					  BPF_MODIFY_RETURN) > 0;
}

static int fill_cgroup(struct redirect *redirect, const char *cgroup)
{
	__u32 key = 0;
	int fd, error = 0;

	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(bpf_map__fd(redirect->maps.cgroup), &key, &fd,
				BPF_ANY))
		error = -errno;
	close(fd);
	return error;
}

/*
 * Loads and attaches; cgroup NULL: for every task. The caller destroys what it
 * got, which detaches unless the link was pinned or its descriptor dupped.
 */
static int load(const char *cgroup, struct redirect **ret_redirect)
{
	struct redirect *redirect;
	int error;

	libbpf_set_print(print_if_debugging);
	redirect = redirect__open();
	if (!redirect)
		return -errno;
	if (cgroup) {
		redirect->rodata->config.limited = 1;
		snprintf((char *)redirect->rodata->config.cgroup,
			 VMC_CGROUP_PATH_BYTES, "%s", cgroup);
	}
	error = redirect__load(redirect);
	if (!error && cgroup)
		error = fill_cgroup(redirect, cgroup);
	if (!error)
		error = redirect__attach(redirect);
	if (error) {
		redirect__destroy(redirect);
		return error;
	}
	*ret_redirect = redirect;
	return 0;
}

static int ensure_bpffs(void)
{
	struct statfs file_system;

	if (statfs(BPFFS, &file_system))
		return -errno;
	if (file_system.f_type != BPF_FS_MAGIC &&
	    mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0700"))
		return -errno;
	if (mkdir(PIN_DIR, 0700) && errno != EEXIST)
		return -errno;
	return 0;
}

/**
 * vmc_redirect_pin - put a redirect in force that outlives this process
 * @cgroup: directory of the cgroup whose tasks it covers, NULL: the guest
 *
 * Takes the place of one that is pinned already without a gap.
 *
 * Return: 0; -EPERM: not root; -ESRCH: the kernel has no hook; another errno.
 */
int vmc_redirect_pin(const char *cgroup)
{
	struct redirect *redirect;
	int error;

	error = ensure_bpffs();
	if (error)
		return error;
	error = load(cgroup, &redirect);
	if (error)
		return error;
	unlink(PIN_LINK NEW);
	unlink(PIN_CONFIG NEW);
	error = bpf_map__pin(redirect->maps.rodata, PIN_CONFIG NEW);
	if (!error)
		error = bpf_link__pin(redirect->links.redirect_inet,
				      PIN_LINK NEW);
	if (!error && (rename(PIN_CONFIG NEW, PIN_CONFIG) ||
		       rename(PIN_LINK NEW, PIN_LINK)))
		error = -errno;
	if (error) {
		unlink(PIN_LINK NEW);
		unlink(PIN_CONFIG NEW);
	}
	redirect__destroy(redirect);
	return error;
}

/**
 * vmc_redirect_unpin - end the pinned redirect
 *
 * Return: 0, also when none is pinned; an errno of unlink(2).
 */
int vmc_redirect_unpin(void)
{
	if (unlink(PIN_LINK) && errno != ENOENT)
		return -errno;
	unlink(PIN_CONFIG);
	rmdir(PIN_DIR);
	return 0;
}

/**
 * vmc_redirect_read - what redirect is pinned
 * @ret_on: whether one is
 * @ret_config: its configuration, if one is
 *
 * Return: 0; -EPERM or -EACCES: not root; another errno.
 */
int vmc_redirect_read(bool *ret_on, struct vmc_redirect_config *ret_config)
{
	__u32 key = 0;
	int fd, error = 0;

	libbpf_set_print(print_if_debugging);
	if (access(PIN_LINK, F_OK)) {
		if (errno != ENOENT)
			return -errno;
		*ret_on = false;
		return 0;
	}
	fd = bpf_obj_get(PIN_CONFIG);
	if (fd < 0)
		return -errno;
	if (bpf_map_lookup_elem(fd, &key, ret_config))
		error = -errno;
	close(fd);
	if (!error)
		*ret_on = true;
	return error;
}

/**
 * vmc_redirect_hold - put a redirect in force while a descriptor is open
 * @cgroup: directory of the cgroup whose tasks it covers
 * @ret_fd: close it, or die, to end the redirect
 *
 * Return: as vmc_redirect_pin(); -E2BIG: too many redirects at once.
 */
int vmc_redirect_hold(const char *cgroup, int *ret_fd)
{
	struct redirect *redirect;
	int error, fd;

	error = load(cgroup, &redirect);
	if (error)
		return error;
	fd = fcntl(bpf_link__fd(redirect->links.redirect_inet),
		   F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		error = -errno;
	redirect__destroy(redirect);
	if (!error)
		*ret_fd = fd;
	return error;
}
