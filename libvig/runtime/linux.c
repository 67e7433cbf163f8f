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

/* How long to sleep at most, so that a signal that comes just before is not missed for long. */
#define SLEEP_MS 100

static uint16_t device_count;

static void time_read(struct runtime *runtime)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    runtime->now = time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

#include "runtime/linux_frames.h"

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

const int *io_system_calls(size_t *out_count, bool *out_are_allowed)
{
    static const int calls[] = {
        SYS_poll,  SYS_sendmmsg,       SYS_getsockopt, SYS_ioctl,      SYS_clock_gettime, SYS_rt_sigreturn,
        SYS_close, SYS_munmap,         SYS_write,      SYS_exit_group, SYS_futex,         SYS_restart_syscall,
        SYS_ppoll, SYS_rt_sigprocmask,
    };
    *out_count = sizeof(calls) / sizeof(*calls);
    *out_are_allowed = true;
    return calls;
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
            received += dispatch_burst(runtime, i);
        }
        if (received == 0) {
            wait();
            time_read(runtime);
        }
        if (runtime->now - runtime->ticked_at >= RUNTIME_TICK_NS) {
            tick(runtime);
        }
    }
    runtime->counters->phase = COUNTERS_DRAINING;
    for (uint16_t i = 0; i < device_count; i++) {
        for (uint32_t left = SLOTS; left > 0;) {
            const uint16_t received = dispatch_burst(runtime, i);
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
