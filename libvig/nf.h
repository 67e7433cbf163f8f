/* What a network function (NF) defines, and what a runtime may rely on. */

#ifndef VIGOR_NF_H
#define VIGOR_NF_H

#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "vigor_time.h"

/* Answers of nf_process that are not the number of a device. */
#define NF_DROP (-1)
#define NF_FLOOD (-2) /* to every device but the receiving one */

/* Defined by each NF's own header. */
struct nf_config;

/*
 * Called once, before anything else, for devices 0 to device_count - 1. Takes all the memory that the NF will ever
 * use.
 * False: the NF cannot serve this configuration, and must not be used.
 * The configuration is copied as far as it is needed; the pointer is not kept.
 */
VIGOR_API bool nf_init(const struct nf_config *config, uint16_t device_count);

/*
 * Processes one frame, without its frame check sequence, in place; its length does not change.
 * Requires that nf_init returned true, device < device_count, packet holds length_bytes bytes, and that now is not
 * before the time of an earlier call.
 * Returns the device to send the frame to, NF_DROP or NF_FLOOD.
 */
VIGOR_API int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now);

#endif
