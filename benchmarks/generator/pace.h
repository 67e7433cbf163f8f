/* When the generator sends, and what it measures. */

#ifndef GENERATOR_PACE_H
#define GENERATOR_PACE_H

#include <stdint.h>

#include "flows.h"

struct rte_mempool;

/* Reads from the environment what is to be measured; frames come from the pool. */
void pace_prepare(uint32_t flow_count, const struct rte_mempool *pool);

/* How many frames there are on a device at most, for a receiver that has room for so many, once tables are full. */
uint16_t pace_due(uint16_t port, uint16_t room);

/* So many were given, or sent to the device. */
void pace_given(uint16_t port, uint16_t count);
void pace_sent(uint16_t port, uint16_t count);

#endif
