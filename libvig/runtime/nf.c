/*
 * The NF in the runtime: the very shared object that is proved, loaded as it is. Linked in statically it would be
 * another binary than the one that the proof read.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow_table/flow_table.h"
#include "index_pool/index_pool.h"
#include "map/map.h"
#include "runtime/runtime.h"

/*
 * How many entries are looked at for each tick that has passed: a few microseconds, which the receive queues bridge. When
 * many ticks have passed at once there was nothing to do, and a bit more time.
 */
#define LOOKED_AT_PER_TICK 1024u
#define TICKS_AT_ONCE_MAX 64

/* One call of the set-up: this, and then its argument, padded to 16 bytes. */
struct set_up_call {
    char function[60];
    uint32_t argument_bytes; /* 0: it takes none */
};

static void *nf;
static void *libvig;
static void *key_copy; /* as large as the longest key of any flow table */

static void *symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (found == NULL) {
        runtime_fail("the function", name, "is not in the shared object: build it again");
    }
    return found;
}

/* C has no conversion from a pointer to data to one to a function; POSIX says that they have the same form. */
#define AS_FUNCTION(target, pointer) memcpy(&(target), &(void *){pointer}, sizeof(void *))

void runtime_load(struct runtime *runtime, const struct runtime_options *options)
{
    libvig = dlopen(options->libvig_path, RTLD_NOW | RTLD_GLOBAL);
    nf = libvig == NULL ? NULL : dlopen(options->nf_path, RTLD_NOW);
    if (nf == NULL) {
        const char *reason = dlerror();
        runtime_fail(reason == NULL ? "the network function" : reason, "", "build it with pytest-vigor build");
    }
    AS_FUNCTION(runtime->process, symbol(nf, "nf_process"));
}

static void call(const struct runtime *runtime, const char *name, void *argument, uint32_t number)
{
    bool accepted;
    if (strcmp(name, "nf_init") == 0) {
        bool (*init)(const void *config, uint16_t device_count);
        AS_FUNCTION(init, symbol(nf, name));
        accepted = init(argument, runtime->device_count);
    } else {
        bool (*entry)(const void *argument);
        AS_FUNCTION(entry, symbol(nf, name));
        accepted = entry(argument);
    }
    if (!accepted) {
        fprintf(stderr, "%s refuses what call %u of the set-up gives it: correct the configuration\n", name, number);
        exit(EXIT_FAILURE);
    }
}

void runtime_set_up(const struct runtime *runtime, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        runtime_fail("the set-up", path, "name a file that can be read");
    }
    struct set_up_call header;
    for (uint32_t number = 0; fread(&header, sizeof(header), 1, file) == 1; number++) {
        const size_t padded_bytes = ((size_t) header.argument_bytes + 15) / 16 * 16;
        void *argument = calloc(1, padded_bytes + 1);
        if (argument == NULL || header.function[sizeof(header.function) - 1] != '\0' ||
            fread(argument, 1, padded_bytes, file) != padded_bytes) {
            runtime_fail("the set-up", path, "is cut short: leave its making to pytest-vigor run");
        }
        call(runtime, header.function, header.argument_bytes == 0 ? NULL : argument, number);
        free(argument);
    }
    fclose(file);
}

static bool flow_uses(const void *table, uint32_t index)
{
    static bool (*key_at)(const struct flow_table *table, uint32_t index, void *out_key);
    if (key_at == NULL) {
        AS_FUNCTION(key_at, symbol(libvig, "flow_table_key_at"));
    }
    return key_at(table, index, key_copy);
}

void runtime_find_tables(struct runtime *runtime, const struct runtime_options *options)
{
    const char *state = options->table_count == 0 ? NULL : symbol(nf, "nf_state");
    size_t key_bytes_max = 1;
    for (int i = 0; i < options->table_count; i++) {
        char kind[32];
        size_t offset;
        size_t key_bytes;
        if (sscanf(options->tables[i], "%31[a-z_]:%zu:%zu", kind, &offset, &key_bytes) != 3) {
            runtime_fail("--table", options->tables[i], "give KIND:OFFSET:KEY_BYTES");
        }
        key_bytes_max = key_bytes > key_bytes_max ? key_bytes : key_bytes_max;
        struct runtime_table *table = &runtime->tables[runtime->table_count++];
        memcpy(&table->table, state + offset, sizeof(table->table));
        uint32_t (*capacity)(const void *table);
        if (strcmp(kind, "flow_table") == 0) {
            AS_FUNCTION(capacity, symbol(libvig, "flow_table_capacity"));
            table->capacity = capacity(table->table);
            table->is_used = flow_uses;
        } else if (strcmp(kind, "index_pool") == 0) {
            AS_FUNCTION(capacity, symbol(libvig, "index_pool_capacity"));
            table->capacity = capacity(table->table);
            AS_FUNCTION(table->is_used, symbol(libvig, "index_pool_is_used"));
        } else if (strcmp(kind, "map") == 0) {
            AS_FUNCTION(table->size, symbol(libvig, "map_size"));
        } else {
            runtime_fail("--table", kind, "is a kind whose entries cannot be counted");
        }
        runtime->counters->tables[i].capacity = table->capacity;
    }
    runtime->counters->table_count = runtime->table_count;
    key_copy = malloc(key_bytes_max);
    if (key_copy == NULL) {
        runtime_fail("memory for a key", "", "free some");
    }
}

void runtime_look_at_tables(struct runtime *runtime, vigor_time_t elapsed_ns)
{
    const vigor_time_t ticks = elapsed_ns / RUNTIME_TICK_NS;
    const uint32_t entries = LOOKED_AT_PER_TICK * (uint32_t) (ticks < TICKS_AT_ONCE_MAX ? ticks : TICKS_AT_ONCE_MAX);
    for (uint16_t i = 0; i < runtime->table_count; i++) {
        struct runtime_table *table = &runtime->tables[i];
        if (table->size != NULL) {
            runtime->counters->tables[i].used = table->size(table->table);
            continue;
        }
        for (uint32_t left = entries; left > 0 && table->next < table->capacity; left--, table->next++) {
            table->found += table->is_used(table->table, table->next);
        }
        if (table->next == table->capacity) {
            runtime->counters->tables[i].used = table->found;
            table->next = 0;
            table->found = 0;
        }
    }
}
