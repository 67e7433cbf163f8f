/*
 * Frames from and to plain Linux interfaces: AF_PACKET (packet(7)).
 *
 * Received frames lie in a ring that the kernel fills, version TPACKET_V2. TPACKET_V3 fills blocks and hands one over
 * when it is full or a timer of at least 1 ms ends: right for capture, but each way through a network function would
 * take that long. Frames are sent from where they lie in that ring, with one system call for each burst and device; what
 * the kernel does not take at once is dropped and counted, so nothing is ever kept waiting.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/runtime.h"

/* A frame of 1518 bytes with the kernel's header before it, and the power of two that rings want. */
#define SLOT_BYTES 2048u
#define SLOTS 2048u
#define BLOCK_BYTES (64u * SLOT_BYTES)

#define VLAN_TAG_BYTES 4u

/* How long to sleep at most, so that a signal that comes just before is not missed for long. */
#define SLEEP_MS 100

/* A frame in a ring: what sendmmsg wants to know of it. */
struct frame {
    struct iovec bytes;
};

struct device {
    const char *name;
    int socket;
    uint8_t *ring;
    uint32_t next; /* the slot to look at next */
    struct frame frames[RUNTIME_BURST_MAX];
};

static struct device devices[COUNTERS_DEVICES_MAX];
static uint16_t device_count;

static inline void frame_release(void *frame)
{
    (void) frame; /* all slots of a burst go back to the kernel together */
}

static inline void frame_share(void *frame, uint32_t more)
{
    (void) frame;
    (void) more;
}

static inline void frames_send(struct runtime *runtime, uint16_t device, void **frames, uint16_t count);

#include "runtime/dispatch.h"

static struct tpacket2_hdr *slot_of(const struct device *device, uint32_t number)
{
    return (struct tpacket2_hdr *) (void *) (device->ring + (size_t) number * SLOT_BYTES);
}

static void open_device(struct device *device)
{
    const unsigned index = if_nametoindex(device->name);
    if (index == 0) {
        runtime_fail("the device", device->name, "name a network interface that exists; ip link lists them");
    }
    /* Protocol 0: nothing arrives before the ring is there. */
    device->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (device->socket < 0) {
        runtime_fail("a packet socket for", device->name, "start as root, or with the capability CAP_NET_RAW");
    }
    const int version = TPACKET_V2;
    const int on = 1;
    const int reserve = VLAN_TAG_BYTES; /* room to put back the tag that the kernel has taken out */
    const struct tpacket_req request = {.tp_block_size = BLOCK_BYTES,
                                        .tp_block_nr = SLOTS * SLOT_BYTES / BLOCK_BYTES,
                                        .tp_frame_size = SLOT_BYTES,
                                        .tp_frame_nr = SLOTS};
    const struct packet_mreq promiscuous = {.mr_ifindex = (int) index, .mr_type = PACKET_MR_PROMISC};
    const struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int) index};
    if (setsockopt(device->socket, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0 ||
        setsockopt(device->socket, SOL_PACKET, PACKET_RESERVE, &reserve, sizeof(reserve)) != 0 ||
        setsockopt(device->socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0 ||
        setsockopt(device->socket, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) != 0 ||
        setsockopt(device->socket, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) != 0 ||
        setsockopt(device->socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) != 0) {
        runtime_fail("the packet socket of", device->name, strerror(errno));
    }
    const size_t ring_bytes = (size_t) SLOTS * SLOT_BYTES;
    void *ring = mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, device->socket, 0);
    if (ring == MAP_FAILED || bind(device->socket, (const struct sockaddr *) &address, sizeof(address)) != 0) {
        runtime_fail("the packet socket of", device->name, strerror(errno));
    }
    device->ring = ring;
}

static bool link_is_up(const struct device *device)
{
    struct ifreq request;
    memset(&request, 0, sizeof(request));
    strncpy(request.ifr_name, device->name, sizeof(request.ifr_name) - 1);
    return ioctl(device->socket, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0 &&
           (request.ifr_flags & IFF_RUNNING) != 0;
}

uint16_t io_open(const struct runtime_options *options, struct runtime *runtime)
{
    if (options->device_count > COUNTERS_DEVICES_MAX) {
        runtime_fail("the number of devices", "", "give at most 32");
    }
    for (int i = 0; i < options->device_count; i++) {
        devices[i].name = options->devices[i];
        open_device(&devices[i]);
        runtime->counters->devices[i].link_is_up = link_is_up(&devices[i]);
    }
    device_count = (uint16_t) options->device_count;
    return device_count;
}

const int *io_system_calls(size_t *out_count)
{
    static const int calls[] = {
        SYS_poll,  SYS_sendmmsg,       SYS_getsockopt, SYS_ioctl,      SYS_clock_gettime, SYS_rt_sigreturn,
        SYS_close, SYS_munmap,         SYS_write,      SYS_exit_group, SYS_futex,         SYS_restart_syscall,
        SYS_ppoll, SYS_rt_sigprocmask,
    };
    *out_count = sizeof(calls) / sizeof(*calls);
    return calls;
}

static void read_time(struct runtime *runtime)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    runtime->now = time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
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
    struct mmsghdr messages[RUNTIME_BURST_MAX];
    memset(messages, 0, count * sizeof(*messages));
    for (uint32_t i = 0; i < count; i++) {
        messages[i].msg_hdr.msg_iov = &((struct frame *) frames[i])->bytes;
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

/* Puts back the tag of IEEE 802.1Q that the kernel keeps beside the frame. */
static uint8_t *with_vlan_tag(struct tpacket2_hdr *slot, uint8_t *bytes)
{
    const uint16_t tag[2] = {
        htons((slot->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? slot->tp_vlan_tpid : ETH_P_8021Q),
        htons(slot->tp_vlan_tci)};
    memmove(bytes - VLAN_TAG_BYTES, bytes, 2 * ETH_ALEN);
    memcpy(bytes - VLAN_TAG_BYTES + 2 * ETH_ALEN, tag, sizeof(tag));
    return bytes - VLAN_TAG_BYTES;
}

static int answer(struct runtime *runtime, uint16_t device, struct tpacket2_hdr *slot, uint32_t status,
                  struct frame *frame)
{
    uint8_t *bytes = (uint8_t *) slot + slot->tp_mac;
    uint32_t length_bytes = slot->tp_len;
    if ((status & TP_STATUS_CSUMNOTREADY) != 0) {
        return DISPATCH_UNFINISHED;
    }
    if (slot->tp_snaplen < slot->tp_len) {
        return DISPATCH_TOO_LONG; /* for the slot, so in any case */
    }
    if ((status & TP_STATUS_VLAN_VALID) != 0) {
        bytes = with_vlan_tag(slot, bytes);
        length_bytes += VLAN_TAG_BYTES;
    }
    frame->bytes.iov_base = bytes;
    frame->bytes.iov_len = length_bytes;
    if (runtime->time_per_packet) {
        read_time(runtime);
    }
    return dispatch_ask(runtime, device, bytes, length_bytes);
}

/* One burst of one device; how many frames it had. */
static uint16_t receive(struct runtime *runtime, uint16_t number)
{
    struct device *device = &devices[number];
    const uint32_t first = device->next;
    void *frames[RUNTIME_BURST_MAX];
    int answers[RUNTIME_BURST_MAX];
    bool all_same = true;
    uint16_t count = 0;
    while (count < runtime->burst) {
        struct tpacket2_hdr *slot = slot_of(device, (first + count) % SLOTS);
        const uint32_t status = __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);
        if ((status & TP_STATUS_USER) == 0) {
            break;
        }
        if (count == 0) {
            read_time(runtime);
        }
        frames[count] = &device->frames[count];
        answers[count] = answer(runtime, number, slot, status, &device->frames[count]);
        all_same = all_same && answers[count] == answers[0];
        count++;
    }
    if (count > 0) {
        runtime->counters->devices[number].received += count;
        dispatch(runtime, number, frames, answers, count, all_same);
        for (uint32_t i = 0; i < count; i++) {
            struct tpacket2_hdr *slot = slot_of(device, (first + i) % SLOTS);
            __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        }
        device->next = (first + count) % SLOTS;
    }
    return count;
}

static void tick(struct runtime *runtime)
{
    for (uint16_t i = 0; i < device_count; i++) {
        struct counters_device *counters = &runtime->counters->devices[i];
        struct tpacket_stats statistics;
        socklen_t size_bytes = sizeof(statistics);
        if (getsockopt(devices[i].socket, SOL_PACKET, PACKET_STATISTICS, &statistics, &size_bytes) == 0) {
            counters->missed += statistics.tp_drops; /* asking sets it to 0 */
        }
        const bool is_up = link_is_up(&devices[i]);
        counters->link_losses += counters->link_is_up != 0 && !is_up;
        counters->link_is_up = is_up;
    }
    runtime_look_at_tables(runtime, runtime->now - runtime->ticked_at);
    runtime->ticked_at = runtime->now;
}

static void wait(void)
{
    struct pollfd sockets[COUNTERS_DEVICES_MAX];
    for (uint16_t i = 0; i < device_count; i++) {
        sockets[i] = (struct pollfd){.fd = devices[i].socket, .events = POLLIN};
    }
    if (poll(sockets, device_count, SLEEP_MS) <= 0) {
        return;
    }
    for (uint16_t i = 0; i < device_count; i++) {
        if ((sockets[i].revents & POLLERR) != 0) {
            pending_error(&devices[i]); /* until it is asked for, poll returns at once */
        }
    }
}

void io_run(struct runtime *runtime)
{
    while (!runtime_stopping) {
        uint32_t received = 0;
        for (uint16_t i = 0; i < device_count; i++) {
            received += receive(runtime, i);
        }
        if (received == 0) {
            wait();
            read_time(runtime);
        }
        if (runtime->now - runtime->ticked_at >= RUNTIME_TICK_NS) {
            tick(runtime);
        }
    }
    runtime->counters->phase = COUNTERS_DRAINING;
    for (uint16_t i = 0; i < device_count; i++) {
        for (uint32_t left = SLOTS; left > 0;) {
            const uint16_t received = receive(runtime, i);
            left = received == 0 || received >= left ? 0 : left - received;
        }
    }
    tick(runtime);
}

void io_close(void)
{
    for (uint16_t i = 0; i < device_count; i++) {
        munmap(devices[i].ring, (size_t) SLOTS * SLOT_BYTES);
        close(devices[i].socket);
    }
}
