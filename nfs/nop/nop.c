#include "nop.h"

#define DEVICE_COUNT_MIN 2
#define DEVICE_COUNT_MAX 32

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    (void) config;
    return device_count >= DEVICE_COUNT_MIN && device_count <= DEVICE_COUNT_MAX && device_count % 2 == 0;
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    (void) packet;
    (void) length_bytes;
    (void) now;
    return device ^ 1;
}
