/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMC_SWITCH_LOOP_H
#define VMC_SWITCH_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/queue.h>

/* The struct that embeds a member, from the member's address. */
#define vmc_container_of(pointer, type, member) \
	((type *)((char *)(pointer) - offsetof(type, member)))

struct vmc_loop;

/* A file descriptor to watch. Embedded in its owner; fd is -1 when unused. */
struct vmc_watch {
	int fd;
	/* @events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR */
	void (*ready)(struct vmc_watch *watch, uint32_t events);
};

/* Work to do after the current events are handled. Embedded in its owner. */
struct vmc_task {
	void (*run)(struct vmc_task *task);
	bool is_queued;
	unsigned int round;
	TAILQ_ENTRY(vmc_task) entry;
};

int vmc_loop_create(struct vmc_loop **ret_loop);
void vmc_loop_destroy(struct vmc_loop *loop);

int vmc_loop_add(struct vmc_loop *loop, struct vmc_watch *watch,
		 uint32_t events);
int vmc_loop_add_timer(struct vmc_loop *loop, struct vmc_watch *watch,
		       unsigned int period_ms);
int vmc_loop_add_signals(struct vmc_loop *loop, struct vmc_watch *watch,
			 const sigset_t *signals);
void vmc_loop_change(struct vmc_loop *loop, struct vmc_watch *watch,
		     uint32_t events);
void vmc_loop_remove(struct vmc_loop *loop, struct vmc_watch *watch);
void vmc_loop_close(struct vmc_loop *loop, struct vmc_watch *watch);

void vmc_loop_defer(struct vmc_loop *loop, struct vmc_task *task);
void vmc_loop_cancel(struct vmc_loop *loop, struct vmc_task *task);

int vmc_loop_run(struct vmc_loop *loop);
void vmc_loop_stop(struct vmc_loop *loop);
uint64_t vmc_loop_now_ms(void);

#endif /* VMC_SWITCH_LOOP_H */
