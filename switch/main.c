// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vmcircuitd: start and end in order. Owns the process: signals, limits and
 * what systemd is told.
 */
#include <errno.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "switch/control_server.h"
#include "switch/isolate.h"
#include "switch/options.h"
#include "switch/reload.h"

#define EXIT_USAGE	2
/* What is done at one wake-up is shorter. */
#define SLICE_NS	100000

struct process {
	struct vmc_loop *loop;
	struct vmc_broker *broker;
	struct vmc_watch signals;
	struct vmc_watch watchdog;
};

static void signal_ready(struct vmc_watch *watch, uint32_t events)
{
	struct process *process =
		vmc_container_of(watch, struct process, signals);
	char text[VMC_COMPLAINT_BYTES];
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP) {
		vmc_reload(process->broker, text);
		return;
	}
	vmc_log(VMC_LOG_INFO, "ending on signal %u", info.ssi_signo);
	vmc_loop_stop(process->loop);
}

static void watchdog_ready(struct vmc_watch *watch, uint32_t events)
{
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) == sizeof(count))
		sd_notify(0, "WATCHDOG=1");
}

/*
 * Before the configuration is read: a SIGHUP from then on is for a later
 * version of the file, and waits.
 */
static sigset_t block_signals(void)
{
	sigset_t signals;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signals;
}

/*
 * Virtual processors that compute would keep the processor for milliseconds
 * after a wake-up of ours. Who asks for less at a time gets it sooner, and not
 * more of it (sched(7); since Linux 6.12, without effect before).
 */
static void ask_for_short_slices(void)
{
	struct sched_attr attributes = { 0 };

	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) ||
	    attributes.sched_policy != SCHED_NORMAL)
		return;
	attributes.sched_runtime = SLICE_NS;
	if (syscall(SYS_sched_setattr, 0, &attributes, 0))
		vmc_log(VMC_LOG_WARNING, "no short slices of processor time: %s",
			strerror(errno));
}

static int open_process(struct process *process, const sigset_t *signals)
{
	uint64_t watchdog_us = 0;
	int error;

	process->signals = (struct vmc_watch){ -1, signal_ready };
	process->watchdog = (struct vmc_watch){ -1, watchdog_ready };
	error = vmc_loop_create(&process->loop);
	if (error)
		return error;
	error = vmc_loop_add_signals(process->loop, &process->signals,
				     signals);
	if (!error && sd_watchdog_enabled(0, &watchdog_us) > 0)
		error = vmc_loop_add_timer(process->loop, &process->watchdog,
					   (unsigned int)(watchdog_us / 2000));
	return error;
}

static void close_process(struct process *process)
{
	if (!process->loop)
		return;
	vmc_loop_close(process->loop, &process->signals);
	vmc_loop_close(process->loop, &process->watchdog);
	vmc_loop_destroy(process->loop);
}

static int serve(const struct vmc_config *config, const sigset_t *signals)
{
	struct process process = { 0 };
	struct vmc_control_server *server;
	struct vmc_broker *broker;
	int error;

	ask_for_short_slices();
	vmc_isolate_raise_limits();
	vmc_save_collect();
	error = vmc_guest_memory_guard();
	if (!error)
		error = open_process(&process, signals);
	if (error)
		goto close_process;
	error = vmc_broker_create(config, process.loop, &broker);
	if (error)
		goto close_process;
	process.broker = broker;
	vmc_save_discard_rest();
	error = vmc_control_server_create(broker, &server);
	if (error)
		goto destroy_broker;
	error = vmc_isolate(config);
	if (error)
		goto destroy_server;
	sd_notifyf(0, "READY=1\nSTATUS=Serving %u VMs.", config->nr_vms);
	vmc_log(VMC_LOG_INFO, "serving %u VMs and %u endpoints",
		config->nr_vms, config->nr_endpoints);
	error = vmc_loop_run(process.loop);
	sd_notify(0, "STOPPING=1");
	vmc_save_freeze();
	vmc_broker_shut_down(broker);
destroy_server:
	vmc_control_server_destroy(server);
destroy_broker:
	vmc_broker_destroy(broker);
close_process:
	close_process(&process);
	if (error)
		vmc_log(VMC_LOG_ERROR, "cannot serve: %s", strerror(-error));
	return error;
}

int main(int argc, char **argv)
{
	struct vmc_arguments options;
	char complaint[VMC_COMPLAINT_BYTES];
	struct vmc_config *config;
	sigset_t signals;
	int error;

	vmc_log_open();
	switch (vmc_options_parse(argc, argv, &options)) {
	case VMC_OPTIONS_RUN:
		break;
	case VMC_OPTIONS_DONE:
		return EXIT_SUCCESS;
	case VMC_OPTIONS_WRONG:
		return EXIT_USAGE;
	}
	signals = block_signals();
	if (vmc_config_read(options.config, VMC_CONFIG_START, &config,
			    complaint)) {
		fprintf(stderr, "%s\n", complaint);
		return EXIT_USAGE;
	}
	vmc_log_set_level(options.log_level ? options.log_level :
					      config->log_level);
	error = options.is_check ? 0 : serve(config, &signals);
	vmc_config_free(config);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
