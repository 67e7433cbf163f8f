/* The start and the end of every runtime. */

#define _GNU_SOURCE

#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/runtime.h"

volatile sig_atomic_t runtime_stopping;

static struct runtime runtime = {.burst = RUNTIME_BURST_MAX};

_Noreturn void runtime_fail(const char *what, const char *detail, const char *remedy)
{
    fprintf(stderr, "%s%s%s: %s\n", what, *detail == '\0' ? "" : " ", detail, remedy);
    exit(EXIT_FAILURE);
}

static void stop(int signal_number)
{
    (void) signal_number;
    runtime_stopping = 1;
}

/* An NF that is stopped ends with what it has received, whether by an administrator, a key or a closed terminal. */
static void handle_signals(void)
{
    const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = stop};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        sigaction(signals[i], &action, NULL);
    }
}

static long number(const char *option, const char *text, long least, long most)
{
    char *end;
    const long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > most) {
        char remedy[64];
        snprintf(remedy, sizeof(remedy), "give a number from %ld to %ld", least, most);
        runtime_fail(option, text, remedy);
    }
    return value;
}

static struct runtime_options options_of(int count, char **arguments)
{
    static const struct option known[] = {
        {"nf", required_argument, NULL, 'n'},      {"libvig", required_argument, NULL, 'l'},
        {"setup", required_argument, NULL, 's'},   {"counters", required_argument, NULL, 'c'},
        {"burst", required_argument, NULL, 'b'},   {"time", required_argument, NULL, 't'},
        {"table", required_argument, NULL, 'T'},   {"user", required_argument, NULL, 'u'},
        {"core", required_argument, NULL, 'C'},    {"io", required_argument, NULL, 'i'},
        {"with-parent", no_argument, NULL, 'p'},   {NULL, 0, NULL, 0},
    };
    struct runtime_options options = {.core = -1};
    int option;
    while ((option = getopt_long(count, arguments, "+", known, NULL)) != -1) {
        switch (option) {
        case 'n': options.nf_path = optarg; break;
        case 'l': options.libvig_path = optarg; break;
        case 's': options.setup_path = optarg; break;
        case 'c': options.counters_path = optarg; break;
        case 'u': options.user = optarg; break;
        case 'C': options.core = (int) number("--core", optarg, 0, CPU_SETSIZE - 1); break;
        case 'b': runtime.burst = (uint16_t) number("--burst", optarg, 1, RUNTIME_BURST_MAX); break;
        case 't':
            runtime.time_per_packet = strcmp(optarg, "packet") == 0;
            if (!runtime.time_per_packet && strcmp(optarg, "burst") != 0) {
                runtime_fail("--time", optarg, "give burst or packet");
            }
            break;
        case 'T':
            if (options.table_count == COUNTERS_TABLES_MAX) {
                runtime_fail("--table", optarg, "there are too many tables");
            }
            options.tables[options.table_count++] = optarg;
            break;
        case 'p': options.with_parent = true; break;
        case 'i':
            if (options.io_argument_count == RUNTIME_IO_ARGUMENTS_MAX) {
                runtime_fail("--io", optarg, "there are too many");
            }
            options.io_arguments[options.io_argument_count++] = optarg;
            break;
        default: exit(EXIT_FAILURE); /* getopt has said why */
        }
    }
    if (options.nf_path == NULL || options.libvig_path == NULL || options.setup_path == NULL) {
        runtime_fail("--nf, --libvig and --setup", "", "give all three, or leave it to pytest-vigor run");
    }
    options.device_count = count - optind;
    options.devices = arguments + optind;
    return options;
}

/* Counters for the one who started us, or for nobody. */
static struct counters *counters_at(const char *path)
{
    const int descriptor = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (path != NULL && (descriptor < 0 || ftruncate(descriptor, sizeof(struct counters)) != 0)) {
        runtime_fail("the counters in", path, "name a file that can be written");
    }
    const int sharing = path == NULL ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, sharing, descriptor, 0);
    if (memory == MAP_FAILED) {
        runtime_fail("memory for the counters", "", "free some");
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
    return memory;
}

static void stay_on(int core)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET((size_t) core, &cores);
    if (sched_setaffinity(0, sizeof(cores), &cores) != 0) {
        runtime_fail("--core", "", "name one that exists, and that this process may use");
    }
}

int main(int count, char **arguments)
{
    const struct runtime_options options = options_of(count, arguments);
    runtime.counters = counters_at(options.counters_path);
    handle_signals();
    runtime_load(&runtime, &options);
    runtime.device_count = io_open(&options, &runtime);
    if (runtime.device_count < 1 || runtime.device_count > COUNTERS_DEVICES_MAX) {
        runtime_fail("the number of devices", "", "give 1 to 32");
    }
    runtime_set_up(&runtime, options.setup_path);
    runtime_find_tables(&runtime, &options);
    if (options.core >= 0) {
        stay_on(options.core);
    }
    if (options.user != NULL) {
        confine_become(options.user);
    }
    /* After becoming another user, which takes this back. */
    if (options.with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
    }
    size_t call_count;
    bool are_allowed;
    const int *calls = io_system_calls(&call_count, &are_allowed);
    confine_system_calls(calls, call_count, are_allowed);
    runtime.counters->device_count = runtime.device_count;
    runtime.counters->phase = COUNTERS_RUNNING;
    io_run(&runtime);
    io_close();
    runtime.counters->phase = COUNTERS_ENDED;
    return EXIT_SUCCESS;
}
