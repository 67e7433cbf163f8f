/* A network function that does nothing: devices 0 and 1, 2 and 3, ... are joined in pairs like two ends of a wire. */

#ifndef NOP_H
#define NOP_H

#include "nf.h"

/* There is nothing to configure; C wants a member nevertheless. */
struct nf_config {
    uint8_t unused;
};

#endif
