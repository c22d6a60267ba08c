// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The listeners of a VM and the choice of the one that a connect reaches.
 * Owns the listeners. Called by broker.c.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "switch/address.h"
#include "switch/listener.h"

/* How well a listener's name fits what was dialled; the higher the better. */
enum listener_rank {
	RANK_NONE,
	RANK_DUAL_STACK,	/* IPv6 wildcard that takes IPv4 */
	RANK_WILDCARD,
	RANK_EXACT,
};

static struct vmc_listener *find_id(const struct vmc_listener_table *table,
				    uint32_t id)
{
	struct vmc_listener *listener;

	LIST_FOREACH(listener, &table->by_id[id % VMC_LISTENER_BUCKETS],
		     by_id) {
		if (listener->id == id)
			return listener;
	}
	return NULL;
}

/**
 * vmc_listener_add - register a listener
 * @table: the VM's listeners
 * @listener: copied
 *
 * Return: 0; -EADDRINUSE when the id is taken, -ENOBUFS when there are
 * VMC_MAX_LISTENERS or no memory.
 */
int vmc_listener_add(struct vmc_listener_table *table,
		     const struct vmc_listener *listener)
{
	unsigned int port = le16toh(listener->local.port);
	struct vmc_listener *copy;

	if (find_id(table, listener->id))
		return -EADDRINUSE;
	if (table->nr == VMC_MAX_LISTENERS)
		return -ENOBUFS;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOBUFS;
	*copy = *listener;
	LIST_INSERT_HEAD(&table->by_port[port % VMC_LISTENER_BUCKETS], copy,
			 by_port);
	LIST_INSERT_HEAD(&table->by_id[copy->id % VMC_LISTENER_BUCKETS], copy,
			 by_id);
	table->nr++;
	return 0;
}

static void drop(struct vmc_listener_table *table,
		 struct vmc_listener *listener)
{
	LIST_REMOVE(listener, by_port);
	LIST_REMOVE(listener, by_id);
	free(listener);
	table->nr--;
}

/**
 * vmc_listener_remove - forget a listener
 * @table: the VM's listeners
 * @id: the guest's number
 * @ret_port: where it listened
 *
 * Return: 0, or -ENOENT.
 */
int vmc_listener_remove(struct vmc_listener_table *table, uint32_t id,
			uint16_t *ret_port)
{
	struct vmc_listener *listener = find_id(table, id);

	if (!listener)
		return -ENOENT;
	*ret_port = le16toh(listener->local.port);
	drop(table, listener);
	return 0;
}

/**
 * vmc_listener_clear - forget all
 * @table: the VM's listeners
 */
void vmc_listener_clear(struct vmc_listener_table *table)
{
	struct vmc_listener *listener;
	unsigned int i;

	for (i = 0; i < VMC_LISTENER_BUCKETS; i++) {
		while ((listener = LIST_FIRST(&table->by_id[i])))
			drop(table, listener);
	}
}

/**
 * vmc_listener_is_prompt - whether a dialler need not wait for ACCEPT
 * @listener: who is about to be offered a circuit
 * @is_own: its own VM dials
 *
 * It has room, and answered all that it was offered before: of a guest that
 * hangs one connect at most is answered in its name. A VM that hangs does not
 * dial itself.
 */
bool vmc_listener_is_prompt(const struct vmc_listener *listener, bool is_own)
{
	return listener->nr_unanswered < listener->room &&
	       (is_own || !listener->nr_unanswered);
}

/**
 * vmc_listener_offered - an OFFER goes out
 * @table: the VM's listeners
 * @id: whom it names; 0, or one that is gone: nothing happens
 */
void vmc_listener_offered(struct vmc_listener_table *table, uint32_t id)
{
	struct vmc_listener *listener = find_id(table, id);

	if (listener)
		listener->nr_unanswered++;
}

/**
 * vmc_listener_answered - an OFFER is under way no more
 * @table: the VM's listeners
 * @id: as in vmc_listener_offered()
 */
void vmc_listener_answered(struct vmc_listener_table *table, uint32_t id)
{
	struct vmc_listener *listener = find_id(table, id);

	/* Another one of the same number was offered nothing. */
	if (listener && listener->nr_unanswered)
		listener->nr_unanswered--;
}

/**
 * vmc_listener_set_room - ACCEPT tells how many more are welcome
 * @table: the VM's listeners
 * @id: as in vmc_listener_offered()
 * @room: OFFERs
 */
void vmc_listener_set_room(struct vmc_listener_table *table, uint32_t id,
			   uint32_t room)
{
	struct vmc_listener *listener = find_id(table, id);

	if (listener)
		listener->room = room;
}

/**
 * vmc_listener_is_taken - whether a name overlaps with a listener's
 * @table: the listeners
 * @local: the name, checked
 */
bool vmc_listener_is_taken(const struct vmc_listener_table *table,
			   const struct vmc_name *local)
{
	const struct vmc_listener *listener;

	LIST_FOREACH(listener, &table->by_port[le16toh(local->port) %
					       VMC_LISTENER_BUCKETS],
		     by_port) {
		if (listener->local.port == local->port &&
		    (vmc_name_is_wildcard(local) ||
		     vmc_name_is_wildcard(&listener->local) ||
		     vmc_name_has_same_address(&listener->local, local)))
			return true;
	}
	return false;
}

static enum listener_rank rank(const struct vmc_listener *listener,
			       const struct vmc_name *dialled)
{
	if (listener->local.port != dialled->port)
		return RANK_NONE;
	if (vmc_name_has_same_address(&listener->local, dialled))
		return RANK_EXACT;
	if (!vmc_name_is_wildcard(&listener->local))
		return RANK_NONE;
	if (listener->local.family == dialled->family)
		return RANK_WILDCARD;
	if (listener->local.family == VMC_FAMILY_INET6 && !listener->is_v6only)
		return RANK_DUAL_STACK;
	return RANK_NONE;
}

/**
 * vmc_listener_match - find who gets a connect
 * @table: the listeners of the VM that was dialled
 * @dialled: the name that was dialled, checked, not a wildcard
 * @hash: of the connection's two names; spreads over equal listeners
 *
 * Return: the listener, or NULL when nobody listens. An exact address wins
 * over a wildcard of its family, which wins over an IPv6 wildcard that takes
 * IPv4.
 */
const struct vmc_listener *
vmc_listener_match(const struct vmc_listener_table *table,
		   const struct vmc_name *dialled, uint64_t hash)
{
	const struct vmc_listener_list *list =
		&table->by_port[le16toh(dialled->port) % VMC_LISTENER_BUCKETS];
	enum listener_rank best = RANK_NONE, this;
	const struct vmc_listener *listener;
	unsigned int nr_best = 0;

	LIST_FOREACH(listener, list, by_port) {
		this = rank(listener, dialled);
		if (this > best) {
			best = this;
			nr_best = 0;
		}
		nr_best += this == best;
	}
	if (best == RANK_NONE)
		return NULL;
	hash %= nr_best;
	LIST_FOREACH(listener, list, by_port) {
		if (rank(listener, dialled) == best && !hash--)
			return listener;
	}
	return NULL;
}
