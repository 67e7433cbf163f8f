#include "$name.h"

#include "net/net.h"

struct nf_state nf_state;

bool nf_init(const struct nf_config *config, uint16_t device_count)
{
    if (config->left_device >= device_count || config->right_device >= device_count ||
        config->left_device == config->right_device) {
        return false;
    }
    nf_state.left_device = config->left_device;
    nf_state.right_device = config->right_device;
    return true;
}

int nf_process(uint16_t device, uint8_t *packet, uint16_t length_bytes, vigor_time_t now)
{
    (void) now;
    if (net_ether(packet, length_bytes) == NULL) {
        return NF_DROP;
    }
    if (device == nf_state.left_device) {
        return nf_state.right_device;
    }
    if (device == nf_state.right_device) {
        return nf_state.left_device;
    }
    return NF_DROP;
}
