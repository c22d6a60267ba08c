/* SPDX-License-Identifier: MIT */
#ifndef VMC_LIB_END_H
#define VMC_LIB_END_H
#include <stdbool.h>
#include <stdint.h>
#include "proto/ring.h"
struct vmc_end { struct vmc_ctl *own; const struct vmc_ctl *peer; uint8_t *tx; const uint8_t *rx; uint32_t tx_bytes, rx_bytes; uint32_t prod, cons, flags, data_wait, space_wait, peer_data_wait, peer_space_wait; bool is_lying; };
void vmc_end_init(struct vmc_end *end, void *tx_segment, const void *rx_segment, uint32_t slot, uint64_t tx_offset, uint32_t tx_bytes, uint64_t rx_offset, uint32_t rx_bytes);
uint32_t vmc_end_readable(struct vmc_end *end);
uint32_t vmc_end_writable(struct vmc_end *end);
uint8_t *vmc_end_tx_span(struct vmc_end *end, uint32_t writable_bytes, uint32_t *ret_bytes);
const uint8_t *vmc_end_rx_span(struct vmc_end *end, uint32_t readable_bytes, uint32_t *ret_bytes);
bool vmc_end_produce(struct vmc_end *end, uint32_t bytes);
bool vmc_end_consume(struct vmc_end *end, uint32_t bytes);
void vmc_end_await_data(struct vmc_end *end);
void vmc_end_await_space(struct vmc_end *end);
bool vmc_end_set_flags(struct vmc_end *end, uint32_t flags);
uint32_t vmc_end_peer_flags(const struct vmc_end *end);
#endif
