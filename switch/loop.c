// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The event loop: epoll, timers, signals, and work put off until the events
 * at hand are handled. Owns the epoll descriptor and the timers and signal
 * descriptors it made; the owner of a watch owns every other descriptor.
 * One thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "switch/loop.h"

#define LOOP_BATCH	64

TAILQ_HEAD(vmc_task_list, vmc_task);

struct vmc_loop {
	int epoll_fd;
	bool is_stopped;
	/* The events at hand; a removed watch is taken out of them. */
	struct epoll_event events[LOOP_BATCH];
	int nr_events;
	struct vmc_task_list tasks;
	unsigned int round;	/* of running the tasks */
};

/**
 * vmc_loop_create - make a loop
 * @ret_loop: the loop; the caller destroys it
 *
 * Return: 0, -ENOMEM, or epoll_create1()'s error.
 */
int vmc_loop_create(struct vmc_loop **ret_loop)
{
	struct vmc_loop *loop = calloc(1, sizeof(*loop));
	int error;

	if (!loop)
		return -ENOMEM;
	TAILQ_INIT(&loop->tasks);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		error = -errno;
		goto free_loop;
	}
	*ret_loop = loop;
	return 0;

free_loop:
	free(loop);
	return error;
}

/**
 * vmc_loop_destroy - end a loop that has no watches
 * @loop: the loop, or NULL
 */
void vmc_loop_destroy(struct vmc_loop *loop)
{
	if (!loop)
		return;
	close(loop->epoll_fd);
	free(loop);
}

/**
 * vmc_loop_add - begin to watch a descriptor
 * @loop: the loop
 * @watch: fd and ready() are set; lives until it is removed
 * @events: EPOLLIN or EPOLLOUT, level-triggered
 *
 * Return: 0, or epoll_ctl()'s error.
 */
int vmc_loop_add(struct vmc_loop *loop, struct vmc_watch *watch,
		 uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event))
		return -errno;
	return 0;
}

/**
 * vmc_loop_add_timer - make a periodic timer
 * @loop: the loop
 * @watch: ready() is set, fd is filled in; ended with vmc_loop_close()
 * @period_ms: not 0
 *
 * ready() must read the descriptor: eight bytes, the count of expiries.
 *
 * Return: 0, or timerfd's or epoll_ctl()'s error.
 */
int vmc_loop_add_timer(struct vmc_loop *loop, struct vmc_watch *watch,
		       unsigned int period_ms)
{
	struct timespec period = {
		.tv_sec = period_ms / 1000,
		.tv_nsec = (long)(period_ms % 1000) * 1000000,
	};
	struct itimerspec spec = { .it_interval = period, .it_value = period };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	if (timerfd_settime(fd, 0, &spec, NULL)) {
		error = -errno;
		goto close_fd;
	}
	watch->fd = fd;
	error = vmc_loop_add(loop, watch, EPOLLIN);
	if (error)
		goto clear_watch;
	return 0;

clear_watch:
	watch->fd = -1;
close_fd:
	close(fd);
	return error;
}

/**
 * vmc_loop_add_signals - take signals as events
 * @loop: the loop
 * @watch: ready() is set, fd is filled in; ended with vmc_loop_close()
 * @signals: the caller has blocked them
 *
 * ready() must read a struct signalfd_siginfo.
 *
 * Return: 0, or signalfd()'s or epoll_ctl()'s error.
 */
int vmc_loop_add_signals(struct vmc_loop *loop, struct vmc_watch *watch,
			 const sigset_t *signals)
{
	int fd = signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
	int error;

	if (fd < 0)
		return -errno;
	watch->fd = fd;
	error = vmc_loop_add(loop, watch, EPOLLIN);
	if (error) {
		watch->fd = -1;
		close(fd);
	}
	return error;
}

/**
 * vmc_loop_change - watch for other events
 * @loop: the loop
 * @watch: being watched
 * @events: EPOLLIN, EPOLLOUT, or 0 for errors only
 */
void vmc_loop_change(struct vmc_loop *loop, struct vmc_watch *watch,
		     uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

/**
 * vmc_loop_remove - watch no more
 * @loop: the loop
 * @watch: being watched; ready() is not called again, not even for an event
 *	of the batch at hand
 *
 * The descriptor stays open and is the caller's to close.
 */
void vmc_loop_remove(struct vmc_loop *loop, struct vmc_watch *watch)
{
	int i;

	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	for (i = 0; i < loop->nr_events; i++) {
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	}
}

/**
 * vmc_loop_close - watch no more and close the descriptor
 * @loop: the loop
 * @watch: being watched, or with an fd of -1
 */
void vmc_loop_close(struct vmc_loop *loop, struct vmc_watch *watch)
{
	if (watch->fd < 0)
		return;
	vmc_loop_remove(loop, watch);
	close(watch->fd);
	watch->fd = -1;
}

/**
 * vmc_loop_defer - do something once the events at hand are handled
 * @loop: the loop
 * @task: run() is set; nothing happens when it is queued already
 *
 * A task that defers itself runs again after the next look at the events.
 */
void vmc_loop_defer(struct vmc_loop *loop, struct vmc_task *task)
{
	if (task->is_queued)
		return;
	task->is_queued = true;
	task->round = loop->round;
	TAILQ_INSERT_TAIL(&loop->tasks, task, entry);
}

/**
 * vmc_loop_cancel - forget a deferred task
 * @loop: the loop
 * @task: queued or not
 */
void vmc_loop_cancel(struct vmc_loop *loop, struct vmc_task *task)
{
	if (!task->is_queued)
		return;
	task->is_queued = false;
	TAILQ_REMOVE(&loop->tasks, task, entry);
}

/*
 * Only the tasks queued by now: one that defers itself must not keep the
 * events waiting.
 */
static void run_tasks(struct vmc_loop *loop)
{
	struct vmc_task *task;

	loop->round++;
	while ((task = TAILQ_FIRST(&loop->tasks)) &&
	       task->round != loop->round) {
		vmc_loop_cancel(loop, task);
		task->run(task);
	}
}

/**
 * vmc_loop_run - handle events until vmc_loop_stop()
 * @loop: the loop
 *
 * Return: 0, or epoll_wait()'s error.
 */
int vmc_loop_run(struct vmc_loop *loop)
{
	struct vmc_watch *watch;
	int i, nr;

	while (!loop->is_stopped) {
		nr = epoll_wait(loop->epoll_fd, loop->events, LOOP_BATCH,
				TAILQ_EMPTY(&loop->tasks) ? -1 : 0);
		if (nr < 0 && errno != EINTR)
			return -errno;
		loop->nr_events = nr > 0 ? nr : 0;
		for (i = 0; i < loop->nr_events; i++) {
			watch = loop->events[i].data.ptr;
			if (watch)
				watch->ready(watch, loop->events[i].events);
		}
		loop->nr_events = 0;
		run_tasks(loop);
	}
	return 0;
}

/**
 * vmc_loop_stop - make vmc_loop_run() return after the events at hand
 * @loop: the loop
 */
void vmc_loop_stop(struct vmc_loop *loop)
{
	loop->is_stopped = true;
}

/**
 * vmc_loop_now_ms - the monotonic clock
 *
 * Return: milliseconds since some moment in the past.
 */
uint64_t vmc_loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
