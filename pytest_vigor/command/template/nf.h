/* $name: passes frames between the two devices that its configuration names, and nothing else. */

#ifndef ${NAME}_H
#define ${NAME}_H

#include "nf.h"

struct nf_config {
    uint16_t left_device;
    uint16_t right_device;
};

struct nf_state {
    uint16_t left_device;
    uint16_t right_device;
};

extern VIGOR_API struct nf_state nf_state;

#endif
