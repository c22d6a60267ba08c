// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The unanswered CONNECTs of a VM, found by the guest's cookie. Owns them.
 * Called by broker.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "switch/dial.h"

/**
 * vmc_dial_add - note a CONNECT
 * @table: the VM's
 * @cookie: the guest's number for it
 * @ret_dial: the rest of it is zero
 *
 * Return: 0; -EEXIST when the cookie is in use, -ENOBUFS when there are
 * VMC_MAX_DIALS or no memory.
 */
int vmc_dial_add(struct vmc_dial_table *table, uint32_t cookie,
		 struct vmc_dial **ret_dial)
{
	struct vmc_dial *dial;

	if (vmc_dial_find(table, cookie))
		return -EEXIST;
	if (table->nr == VMC_MAX_DIALS)
		return -ENOBUFS;
	dial = calloc(1, sizeof(*dial));
	if (!dial)
		return -ENOBUFS;
	dial->cookie = cookie;
	LIST_INSERT_HEAD(&table->buckets[cookie % VMC_DIAL_BUCKETS], dial,
			 entry);
	table->nr++;
	*ret_dial = dial;
	return 0;
}

/**
 * vmc_dial_find - find a CONNECT
 * @table: the VM's
 * @cookie: the guest's number for it
 *
 * Return: the dial, or NULL.
 */
struct vmc_dial *vmc_dial_find(const struct vmc_dial_table *table,
			       uint32_t cookie)
{
	struct vmc_dial *dial;

	LIST_FOREACH(dial, &table->buckets[cookie % VMC_DIAL_BUCKETS], entry) {
		if (dial->cookie == cookie)
			return dial;
	}
	return NULL;
}

/**
 * vmc_dial_any - some CONNECT, for emptying the table
 * @table: the VM's
 *
 * Return: a dial, or NULL when there is none.
 */
struct vmc_dial *vmc_dial_any(const struct vmc_dial_table *table)
{
	unsigned int i;

	for (i = 0; table->nr && i < VMC_DIAL_BUCKETS; i++) {
		if (!LIST_EMPTY(&table->buckets[i]))
			return LIST_FIRST(&table->buckets[i]);
	}
	return NULL;
}

/**
 * vmc_dial_remove - a CONNECT is answered
 * @table: the VM's
 * @dial: freed; it waits for no link any more
 */
void vmc_dial_remove(struct vmc_dial_table *table, struct vmc_dial *dial)
{
	LIST_REMOVE(dial, entry);
	table->nr--;
	free(dial);
}
