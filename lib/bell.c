/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <string.h>
#include "lib/bell.h"
#define mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
static uint64_t ld(const __le64 *p){return le64toh(__atomic_load_n(p,__ATOMIC_ACQUIRE));}
static void st(__le64 *p, uint64_t v){__atomic_store_n(p,htole64(v),__ATOMIC_RELEASE);}
void vmc_bell_init(struct vmc_bell *b, void *tx, const void *rx){memset(b,0,sizeof(*b));b->tx=tx;b->rx=rx;}
void vmc_bell_seat(struct vmc_bell *b, uint32_t slot){unsigned w=slot/64;uint64_t bit=1ULL<<(slot%64);
 if(w+1>b->nr_words)b->nr_words=w+1;
 if((ld(&b->rx->pending[w])^b->ack[w])&bit){b->ack[w]^=bit;st(&b->tx->ack[w],b->ack[w]);}mb();}
bool vmc_bell_ring(struct vmc_bell *b, uint32_t slot){unsigned w=slot/64;uint64_t bit=1ULL<<(slot%64);uint32_t k;
 mb(); if((b->pending[w]^ld(&b->rx->ack[w]))&bit)return false;
 b->pending[w]^=bit;st(&b->tx->pending[w],b->pending[w]);mb();
 k=le32toh(__atomic_load_n(&b->rx->kick_wanted,__ATOMIC_ACQUIRE)); if(k==b->kick_seen)return false;b->kick_seen=k;return true;}
static void scan(struct vmc_bell*b,void (*rung)(void *owner, uint32_t slot), void *owner){unsigned w;
 for(w=0;w<b->nr_words;w++){uint64_t r=ld(&b->rx->pending[w]),x=r^b->ack[w];if(!x)continue;b->ack[w]=r;st(&b->tx->ack[w],r);mb();
  while(x){unsigned i=__builtin_ctzll(x);x&=x-1;rung(owner,w*64+i);}}}
void vmc_bell_hear(struct vmc_bell *b, void (*rung)(void *owner, uint32_t slot), void *owner){scan(b,rung,owner);
 __atomic_store_n(&b->tx->kick_wanted,htole32(++b->kick_wanted),__ATOMIC_RELEASE);mb();scan(b,rung,owner);}
