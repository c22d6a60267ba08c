/* SPDX-License-Identifier: MIT */
#include <endian.h>
#include <string.h>
#include "lib/end.h"
#define mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
static uint32_t ld(const __le32 *p){return le32toh(__atomic_load_n(p,__ATOMIC_ACQUIRE));}
static void st(__le32 *p, uint32_t v){__atomic_store_n(p,htole32(v),__ATOMIC_RELEASE);}
void vmc_end_init(struct vmc_end *e, void *tx, const void *rx, uint32_t slot, uint64_t to, uint32_t tb, uint64_t ro, uint32_t rb){memset(e,0,sizeof(*e));
 e->own=(void*)((uint8_t*)tx+VMC_CTL_OFFSET+(uint64_t)slot*sizeof(struct vmc_ctl));e->peer=(const void*)((const uint8_t*)rx+VMC_CTL_OFFSET+(uint64_t)slot*sizeof(struct vmc_ctl));
 e->tx=(uint8_t*)tx+to;e->rx=(const uint8_t*)rx+ro;e->tx_bytes=tb;e->rx_bytes=rb;}
uint32_t vmc_end_readable(struct vmc_end *e){uint32_t f=vmc_ring_fill(ld(&e->peer->prod),e->cons);if(f>e->rx_bytes){e->is_lying=true;return 0;}return f;}
uint32_t vmc_end_writable(struct vmc_end *e){uint32_t f=vmc_ring_fill(e->prod,ld(&e->peer->cons));if(f>e->tx_bytes){e->is_lying=true;return 0;}return e->tx_bytes-f;}
uint8_t *vmc_end_tx_span(struct vmc_end *e, uint32_t n, uint32_t *r){*r=vmc_ring_span(e->prod,e->tx_bytes,n);return e->tx+(e->prod&(e->tx_bytes-1));}
const uint8_t *vmc_end_rx_span(struct vmc_end *e, uint32_t n, uint32_t *r){*r=vmc_ring_span(e->cons,e->rx_bytes,n);return e->rx+(e->cons&(e->rx_bytes-1));}
bool vmc_end_produce(struct vmc_end *e, uint32_t n){uint32_t w;e->prod+=n;st(&e->own->prod,e->prod);mb();w=ld(&e->peer->data_wait);if(w==e->peer_data_wait)return false;e->peer_data_wait=w;return true;}
bool vmc_end_consume(struct vmc_end *e, uint32_t n){uint32_t w;e->cons+=n;st(&e->own->cons,e->cons);mb();w=ld(&e->peer->space_wait);if(w==e->peer_space_wait)return false;
 if(!vmc_ring_is_roomy(e->rx_bytes-vmc_end_readable(e),e->rx_bytes))return false;e->peer_space_wait=w;return true;}
void vmc_end_await_data(struct vmc_end *e){st(&e->own->data_wait,++e->data_wait);mb();}
void vmc_end_await_space(struct vmc_end *e){st(&e->own->space_wait,++e->space_wait);mb();}
bool vmc_end_set_flags(struct vmc_end *e, uint32_t f){if((e->flags|f)==e->flags)return false;e->flags|=f;st(&e->own->flags,e->flags);return true;}
uint32_t vmc_end_peer_flags(const struct vmc_end *e){return ld(&e->peer->flags);}
