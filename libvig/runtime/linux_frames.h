/*
 * What dispatch.h wants to be told of frames in a ring of AF_PACKET (packet(7)). A frame is its slot of the ring. The file
 * that includes this defines time_read before.
 */

#ifndef VIGOR_LINUX_FRAMES_H
#define VIGOR_LINUX_FRAMES_H

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/runtime.h"

/* A frame of 1518 bytes with the kernel's header before it, and the power of two that rings want. */
#define SLOT_BYTES 2048u
#define SLOTS 2048u
#define BLOCK_BYTES (64u * SLOT_BYTES)

#define VLAN_TAG_BYTES 4u

struct device {
    const char *name;
    int socket;
    uint8_t *ring;
    uint32_t next; /* the slot to look at next */
};

static struct device devices[COUNTERS_DEVICES_MAX];

static struct tpacket2_hdr *slot_of(const struct device *device, uint32_t number)
{
    return (struct tpacket2_hdr *) (void *) (device->ring + (size_t) number * SLOT_BYTES);
}

static inline uint16_t frames_receive(const struct runtime *runtime, uint16_t device, void **out_frames)
{
    uint16_t count = 0;
    for (; count < runtime->burst; count++) {
        struct tpacket2_hdr *slot = slot_of(&devices[device], (devices[device].next + count) % SLOTS);
        if ((__atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
            break;
        }
        out_frames[count] = slot;
    }
    return count;
}

/* Puts back the tag of IEEE 802.1Q that the kernel keeps beside the frame. */
static void put_vlan_tag(struct tpacket2_hdr *slot)
{
    uint8_t *bytes = (uint8_t *) slot + slot->tp_mac - VLAN_TAG_BYTES;
    const uint16_t tag[2] = {
        htons((slot->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? slot->tp_vlan_tpid : ETH_P_8021Q),
        htons(slot->tp_vlan_tci)};
    memmove(bytes, bytes + VLAN_TAG_BYTES, 2 * ETH_ALEN);
    memcpy(bytes + 2 * ETH_ALEN, tag, sizeof(tag));
    slot->tp_mac = (uint16_t) (slot->tp_mac - VLAN_TAG_BYTES);
    slot->tp_len += VLAN_TAG_BYTES;
}

static inline int frame_open(void **frame, uint8_t **out_bytes, uint32_t *out_length_bytes)
{
    struct tpacket2_hdr *slot = *frame;
    if ((slot->tp_status & TP_STATUS_CSUMNOTREADY) != 0) {
        return DISPATCH_UNFINISHED;
    }
    if (slot->tp_snaplen < slot->tp_len) {
        return DISPATCH_TOO_LONG; /* for the slot, so in any case */
    }
    if ((slot->tp_status & TP_STATUS_VLAN_VALID) != 0) {
        put_vlan_tag(slot);
    }
    *out_bytes = (uint8_t *) slot + slot->tp_mac;
    *out_length_bytes = slot->tp_len;
    return 0;
}

/* Slots go back to the kernel together, in frames_forget. */
static inline void frame_release(void *frame)
{
    (void) frame;
}

static inline void frame_share(void *frame, uint32_t more)
{
    (void) frame;
    (void) more;
}

/* What the kernel holds against a device: a link that went down, for example. */
static int pending_error(const struct device *device)
{
    int error = 0;
    socklen_t size_bytes = sizeof(error);
    getsockopt(device->socket, SOL_SOCKET, SO_ERROR, &error, &size_bytes);
    return error;
}

static inline void frames_send(struct runtime *runtime, uint16_t device, void **frames, uint16_t count)
{
    struct counters_device *counters = &runtime->counters->devices[device];
    struct iovec bytes[RUNTIME_BURST_MAX];
    struct mmsghdr messages[RUNTIME_BURST_MAX];
    memset(messages, 0, count * sizeof(*messages));
    for (uint32_t i = 0; i < count; i++) {
        struct tpacket2_hdr *slot = frames[i];
        bytes[i] = (struct iovec){.iov_base = (uint8_t *) slot + slot->tp_mac, .iov_len = slot->tp_len};
        messages[i].msg_hdr.msg_iov = &bytes[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    bool asked_again = false;
    for (uint32_t done = 0; done < count;) {
        const int sent = sendmmsg(devices[device].socket, messages + done, count - done, MSG_DONTWAIT);
        if (sent > 0) {
            counters->sent += (uint32_t) sent;
            done += (uint32_t) sent;
            asked_again = false;
        } else if (errno == EINTR) {
            continue;
        } else if (errno == ENETDOWN || errno == ENXIO || errno == ENODEV) {
            /* An error noted earlier is reported once, whatever the link is like now. */
            if (!asked_again && pending_error(&devices[device]) == 0) {
                asked_again = true;
                continue;
            }
            counters->dropped_link_down++;
            done++;
            asked_again = false;
        } else if (errno == EMSGSIZE) {
            counters->dropped_too_long++;
            done++;
        } else {
            counters->dropped_queue_full++;
            done++;
        }
    }
}

static inline void frames_forget(uint16_t device, uint16_t count)
{
    struct device *from = &devices[device];
    for (uint32_t i = 0; i < count; i++) {
        __atomic_store_n(&slot_of(from, (from->next + i) % SLOTS)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    }
    from->next = (from->next + count) % SLOTS;
}

static inline void time_notice(struct runtime *runtime, uint16_t count)
{
    (void) count;
    time_read(runtime);
}

#include "runtime/dispatch.h"

#endif
