/*
 * Frames from and to any device that DPDK drives. One core polls all devices, one receive and one transmit queue each;
 * what a full transmit queue does not take is dropped and counted, so no frame is kept from the pool.
 */

#define _GNU_SOURCE

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

#include "runtime/runtime.h"

/* Beside what lies in the queues of the devices: what lies in the pool's own cache, and a burst on its way. */
#define POOL_CACHE_FRAMES 256u
#define QUEUE_FRAMES 1024u

/* Devices are asked for their link and their losses this often; some answer over PCI Express. */
#define TICKS_PER_LOOK 100u

static uint16_t device_count;
static uint64_t start_cycles;
static uint64_t ns_per_cycle; /* times 2^32 */

/* One core reads its own counter, which never goes backward; clock_gettime costs a NOP half as much again. */
static inline void time_read(struct runtime *runtime)
{
    const unsigned __int128 product = (unsigned __int128) (rte_rdtsc() - start_cycles) * ns_per_cycle;
    runtime->now = (vigor_time_t) (product >> 32);
}

#include "runtime/dpdk_frames.h"

/* A device is an address on the PCI bus, or the name and arguments of one that DPDK is to make. */
static bool is_on_pci(const char *device)
{
    return strspn(device, "0123456789abcdefABCDEF:.") == strcspn(device, ",") && strchr(device, ':') != NULL;
}

static void start_eal(const struct runtime_options *options)
{
    char core[16];
    char *arguments[RUNTIME_IO_ARGUMENTS_MAX + 2 * COUNTERS_DEVICES_MAX + 4];
    int count = 0;
    snprintf(core, sizeof(core), "%d", options->core >= 0 ? options->core : sched_getcpu());
    arguments[count++] = (char *) (uintptr_t) "runtime";
    arguments[count++] = (char *) (uintptr_t) "-l";
    arguments[count++] = core;
    for (int i = 0; i < options->io_argument_count; i++) {
        arguments[count++] = (char *) (uintptr_t) options->io_arguments[i];
    }
    for (int i = 0; i < options->device_count; i++) {
        arguments[count++] = (char *) (uintptr_t) (is_on_pci(options->devices[i]) ? "--allow" : "--vdev");
        arguments[count++] = options->devices[i];
    }
    arguments[count] = NULL;
    if (rte_eal_init(count, arguments) < 0) {
        runtime_fail("DPDK does not start", "", rte_strerror(rte_errno));
    }
}

static uint16_t port_of(const char *device)
{
    char name[RTE_ETH_NAME_MAX_LEN];
    uint16_t port;
    snprintf(name, sizeof(name), "%.*s", (int) strcspn(device, ","), device);
    if (rte_eth_dev_get_port_by_name(name, &port) != 0) {
        runtime_fail("the device", name, "is not one that DPDK drives; dpdk-devbind.py --status lists those");
    }
    return port;
}

/* Asking for 0 is asking for the default of the device. */
static void adjust(uint16_t port, uint16_t *receive_frames, uint16_t *transmit_frames)
{
    *receive_frames = QUEUE_FRAMES;
    *transmit_frames = QUEUE_FRAMES;
    rte_eth_dev_adjust_nb_rx_tx_desc(port, receive_frames, transmit_frames);
}

static void check(int result, const char *what, const char *device)
{
    if (result < 0) {
        fprintf(stderr, "%s: ", what);
        runtime_fail("the device", device, rte_strerror(-result));
    }
}

static void open_port(uint16_t port, const char *device, struct rte_mempool *pool)
{
    const struct rte_eth_conf configuration = {.rxmode = {.mq_mode = RTE_ETH_MQ_RX_NONE}};
    uint16_t receive_frames;
    uint16_t transmit_frames;
    const int socket = rte_eth_dev_socket_id(port);
    check(rte_eth_dev_configure(port, 1, 1, &configuration), "configuring", device);
    adjust(port, &receive_frames, &transmit_frames);
    check(rte_eth_rx_queue_setup(port, 0, receive_frames, (unsigned) socket, NULL, pool), "receive queue", device);
    check(rte_eth_tx_queue_setup(port, 0, transmit_frames, (unsigned) socket, NULL), "transmit queue", device);
    check(rte_eth_dev_start(port), "starting", device);
    /* Some devices have no such mode, as they receive everything anyway. */
    (void) rte_eth_promiscuous_enable(port);
}

uint16_t io_open(const struct runtime_options *options, struct runtime *runtime)
{
    if (options->device_count > COUNTERS_DEVICES_MAX) {
        runtime_fail("the number of devices", "", "give at most 32");
    }
    start_eal(options);
    device_count = (uint16_t) options->device_count;
    unsigned frames = POOL_CACHE_FRAMES + 2 * RUNTIME_BURST_MAX;
    for (uint16_t i = 0; i < device_count; i++) {
        ports[i] = port_of(options->devices[i]);
        frames += 2 * QUEUE_FRAMES;
    }
    struct rte_mempool *pool = rte_pktmbuf_pool_create("frames", frames, POOL_CACHE_FRAMES, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                                       (int) rte_socket_id());
    if (pool == NULL) {
        runtime_fail("memory for frames", "", "give DPDK more, with --eal=-m --eal=MEGABYTES, or hugepages");
    }
    for (uint16_t i = 0; i < device_count; i++) {
        open_port(ports[i], options->devices[i], pool);
        runtime->counters->devices[i].link_is_up = link_is_up(ports[i]);
    }
    start_cycles = rte_rdtsc();
    ns_per_cycle = (UINT64_C(1000000000) << 32) / rte_get_tsc_hz();
    return device_count;
}

/*
 * What a driver has to ask of the kernel is its own business. But none starts programs, looks into other processes, changes
 * who it is, or what the machine is.
 */
const int *io_system_calls(size_t *out_count, bool *out_are_allowed)
{
    static const int calls[] = {
        SYS_execve,     SYS_execveat,      SYS_fork,         SYS_vfork,           SYS_ptrace,      SYS_process_vm_readv,
        SYS_setuid,     SYS_setgid,        SYS_setgroups,    SYS_setresuid,       SYS_setresgid,   SYS_process_vm_writev,
        SYS_setreuid,   SYS_setregid,      SYS_setfsuid,     SYS_setfsgid,        SYS_capset,      SYS_personality,
        SYS_mount,      SYS_umount2,       SYS_pivot_root,   SYS_chroot,          SYS_unshare,     SYS_setns,
        SYS_chmod,      SYS_fchmod,        SYS_fchmodat,     SYS_chown,           SYS_fchown,      SYS_fchownat,
        SYS_lchown,     SYS_init_module,   SYS_finit_module, SYS_delete_module,   SYS_kexec_load,  SYS_kexec_file_load,
        SYS_reboot,     SYS_swapon,        SYS_swapoff,      SYS_settimeofday,    SYS_acct,        SYS_clock_settime,
        SYS_adjtimex,   SYS_clock_adjtime, SYS_sethostname,  SYS_setdomainname,   SYS_quotactl,    SYS_perf_event_open,
        SYS_add_key,    SYS_request_key,   SYS_keyctl,       SYS_userfaultfd,     SYS_syslog,      SYS_open_by_handle_at,
    };
    *out_count = sizeof(calls) / sizeof(*calls);
    *out_are_allowed = false;
    return calls;
}

static void look_at_devices(struct runtime *runtime)
{
    for (uint16_t i = 0; i < device_count; i++) {
        struct counters_device *counters = &runtime->counters->devices[i];
        struct rte_eth_stats statistics;
        if (rte_eth_stats_get(ports[i], &statistics) == 0) {
            counters->missed = statistics.imissed + statistics.rx_nombuf;
        }
        const bool is_up = link_is_up(ports[i]);
        counters->link_losses += counters->link_is_up != 0 && !is_up;
        counters->link_is_up = is_up;
    }
}

static void tick(struct runtime *runtime)
{
    static uint32_t ticks;
    if (ticks++ % TICKS_PER_LOOK == 0) {
        look_at_devices(runtime);
    }
    runtime_look_at_tables(runtime, runtime->now - runtime->ticked_at);
    runtime->ticked_at = runtime->now;
}

void io_run(struct runtime *runtime)
{
    while (!runtime_stopping) {
        uint32_t received = 0;
        for (uint16_t i = 0; i < device_count; i++) {
            received += dispatch_burst(runtime, i);
        }
        if (received == 0) {
            time_read(runtime);
            runtime->frames_since = RUNTIME_BURST_MAX;
        }
        if (unlikely(runtime->now - runtime->ticked_at >= RUNTIME_TICK_NS)) {
            tick(runtime);
        }
    }
    runtime->counters->phase = COUNTERS_DRAINING;
    for (uint16_t i = 0; i < device_count; i++) {
        for (uint32_t left = QUEUE_FRAMES; left > 0;) {
            const uint32_t received = dispatch_burst(runtime, i);
            left = received == 0 || received >= left ? 0 : left - received;
        }
    }
    look_at_devices(runtime);
}

void io_close(void)
{
    for (uint16_t i = 0; i < device_count; i++) {
        (void) rte_eth_dev_stop(ports[i]);
        (void) rte_eth_dev_close(ports[i]);
    }
    rte_eal_cleanup();
}
