// SPDX-License-Identifier: MIT
/*
 * The doorbell of a link, as user space rings and hears it. Owns the private
 * copies of our half of the bitmaps; neither the mappings nor the way in which
 * a KICK travels. Called by whoever maps a link's segments: switch/trunk.c.
 *
 * The kernel's twin is guest/module/link.c. Barriers are lettered as in
 * proto/ring.h. What the peer writes are bits; whatever they are, they do no
 * more than make somebody look, or spare the peer a bell.
 */
#include <string.h>

#include "lib/bell.h"
#include "lib/shared.h"

static unsigned int word_of(uint32_t slot)
{
	return slot / 64;
}

static uint64_t bit_of(uint32_t slot)
{
	return 1ULL << (slot % 64);
}

static void acknowledge(struct vmc_bell *bell, unsigned int word, uint64_t bits)
{
	bell->ack[word] ^= bits;
	vmc_shared_store64(&bell->tx->ack[word], bell->ack[word]);
	vmc_shared_barrier(); /* E', pairs with E of the peer's ringing */
}

/**
 * vmc_bell_init - begin with a fresh link
 * @bell: overwritten
 * @tx_segment: the segment that we write, from its start; nobody has used it
 * @rx_segment: the segment that the peer writes, from its start
 *
 * Both mappings stay the caller's and outlive @bell. Never sleeps.
 */
void vmc_bell_init(struct vmc_bell *bell, void *tx_segment,
		   const void *rx_segment)
{
	memset(bell, 0, sizeof(*bell));
	bell->tx = tx_segment;
	bell->rx = rx_segment;
}

/**
 * vmc_bell_seat - hear the bells of a slot from now on
 * @bell: the link's; used by no other thread meanwhile
 * @slot: below VMC_SLOTS_PER_LINK; who sits there looks at its ring once
 *	itself
 *
 * A bell that rang while nobody sat here, as for the slot's last user, counts
 * as heard, or the peer would wait for that and ring no more. Never sleeps.
 */
void vmc_bell_seat(struct vmc_bell *bell, uint32_t slot)
{
	unsigned int word = word_of(slot);
	uint64_t raw_pending;

	if (bell->nr_words <= word)
		bell->nr_words = word + 1;
	raw_pending = vmc_shared_load64(&bell->rx->pending[word]);
	acknowledge(bell, word,
		    (raw_pending ^ bell->ack[word]) & bit_of(slot));
}

/**
 * vmc_bell_ring - tell the peer to look at a slot
 * @bell: the link's; used by no other thread meanwhile
 * @slot: below VMC_SLOTS_PER_LINK
 *
 * What the bell tells of has been stored before. Never sleeps.
 *
 * Return: true when the peer wants a KICK, which is the caller's to send.
 */
bool vmc_bell_ring(struct vmc_bell *bell, uint32_t slot)
{
	unsigned int word = word_of(slot);
	uint64_t raw_ack;
	uint32_t raw_wanted;

	/*
	 * E, pairs with E': if the peer has not acknowledged the last bell yet,
	 * it looks at the slot after this, and sees what was stored before.
	 */
	vmc_shared_barrier();
	raw_ack = vmc_shared_load64(&bell->rx->ack[word]);
	if ((bell->pending[word] ^ raw_ack) & bit_of(slot))
		return false;
	bell->pending[word] ^= bit_of(slot);
	vmc_shared_store64(&bell->tx->pending[word], bell->pending[word]);
	/* F, pairs with F': the peer sees the bit, or we see its wish. */
	vmc_shared_barrier();
	raw_wanted = vmc_shared_load32(&bell->rx->kick_wanted);
	if (raw_wanted == bell->kick_seen)
		return false;
	bell->kick_seen = raw_wanted;
	return true;
}

/* One pass over the bitmaps. */
static void scan(struct vmc_bell *bell,
		 void (*rung)(void *owner, uint32_t slot), void *owner)
{
	unsigned int word, bit;
	uint64_t bits;

	for (word = 0; word < bell->nr_words; word++) {
		bits = vmc_shared_load64(&bell->rx->pending[word]) ^
		       bell->ack[word];
		if (!bits)
			continue;
		acknowledge(bell, word, bits);
		for (; bits; bits &= bits - 1) {
			bit = (unsigned int)__builtin_ctzll(bits);
			rung(owner, word * 64 + bit);
		}
	}
}

/**
 * vmc_bell_hear - a KICK came: find out who is to look
 * @bell: the link's; used by no other thread meanwhile
 * @rung: called for each slot whose bell rang, in this thread; may seat and
 *	ring, but not end @bell. A hostile peer rings for slots where nobody
 *	sits, and again and again: @rung is called at most twice for each of
 *	the slots up to the highest ever seated, rounded up to 64.
 * @owner: given to @rung
 *
 * Asks for the next KICK; without that none comes, so this is called once
 * when the link is up. Sleeps only if @rung does.
 */
void vmc_bell_hear(struct vmc_bell *bell,
		   void (*rung)(void *owner, uint32_t slot), void *owner)
{
	scan(bell, rung, owner);
	vmc_shared_store32(&bell->tx->kick_wanted, ++bell->kick_wanted);
	/* F', pairs with F: who rang before it saw this sent no KICK. */
	vmc_shared_barrier();
	scan(bell, rung, owner);
}
