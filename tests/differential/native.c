/* Runs machine code natively from a given state and reports the state after it.
 *
 * Reads from standard input: regions to map, then jobs. A job is an entry address, an address to stop at (0: where the
 * code returns to) and a number of states. Each state is run on the regions' original contents. Writes for each state
 * the signal that ended it (0: none), the state after it, and the 8-byte words of memory that changed.
 * Everything is little endian.
 *
 * Code under test may use any number below 4 GB as a pointer, and must not find anything of this program there: it is
 * linked to be loaded high (-pie), and with it its heap, which lies anywhere in the first GB otherwise. */

#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

struct state {
  uint64_t general[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8 ... r15 */
  uint64_t flags;
  uint8_t vectors[16][32];
};

struct region {
  uint64_t address;
  uint64_t size_bytes;
  uint64_t writable;
  uint8_t *original;
};

struct state state;
uint64_t entry;
uint64_t host_stack;

void enter(void);
extern char leave[];

/* All that is low besides the regions: a jump to leave, which is within reach of the jumps that stop the code. */
#define GATE ((uint8_t *)0x0fff0000)

#ifdef __AVX__
#define VECTOR_LOAD(i) "vmovdqu state+136+32*" #i "(%rip), %ymm" #i "\n"
#define VECTOR_SAVE(i) "vmovdqu %ymm" #i ", state+136+32*" #i "(%rip)\n"
#define VECTOR_DONE "vzeroupper\n"
#else
#define VECTOR_LOAD(i) "movdqu state+136+32*" #i "(%rip), %xmm" #i "\n"
#define VECTOR_SAVE(i) "movdqu %xmm" #i ", state+136+32*" #i "(%rip)\n"
#define VECTOR_DONE ""
#endif
#define ALL_VECTORS(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11) f(12) f(13) f(14) f(15)
#define LOAD(i, r) "movq state+8*" #i "(%rip), %" #r "\n"
#define SAVE(i, r) "movq %" #r ", state+8*" #i "(%rip)\n"
#define GENERAL(f)                                                                                                  \
  f(0, rax) f(1, rcx) f(2, rdx) f(3, rbx) f(5, rbp) f(6, rsi) f(7, rdi) f(8, r8) f(9, r9) f(10, r10) f(11, r11)      \
      f(12, r12) f(13, r13) f(14, r14) f(15, r15) f(4, rsp)

__asm__(".globl enter\n"
        "enter:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "movq %rsp, host_stack(%rip)\n" ALL_VECTORS(VECTOR_LOAD) "pushq state+128(%rip)\n popfq\n" GENERAL(LOAD)
        "jmp *entry(%rip)\n"
        ".globl leave\n"
        "leave:\n" GENERAL(SAVE)
        "movq host_stack(%rip), %rsp\n"
        "pushfq\n popq state+128(%rip)\n cld\n" ALL_VECTORS(VECTOR_SAVE) VECTOR_DONE
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "ret\n");

static sigjmp_buf back;

static void caught(int number) {
  siglongjmp(back, number);
}

static void get(void *to, size_t size_bytes) {
  if (fread(to, 1, size_bytes, stdin) != size_bytes) {
    fputs("the input is too short\n", stderr);
    exit(2);
  }
}

static uint64_t get_number(void) {
  uint64_t number;
  get(&number, sizeof(number));
  return number;
}

static void put(const void *from, size_t size_bytes) {
  fwrite(from, 1, size_bytes, stdout);
}

static void protect(const struct region *region, bool patching) {
  int access = region->writable || patching ? PROT_READ | PROT_WRITE | PROT_EXEC : PROT_READ | PROT_EXEC;
  if (mprotect((void *)region->address, region->size_bytes, access) != 0) {
    perror("mprotect");
    exit(2);
  }
}

/* Replaces the bytes at an address in one of the regions. */
static void patch(const struct region *regions, uint64_t count, uint64_t address, const uint8_t *bytes, size_t size) {
  for (uint64_t r = 0; r < count; r++) {
    if (address - regions[r].address < regions[r].size_bytes) {
      protect(&regions[r], true);
      memcpy((void *)address, bytes, size);
      protect(&regions[r], false);
    }
  }
}

static uint64_t run(uint64_t at) {
  const struct itimerval limit = {{0, 0}, {2, 0}}, none = {{0, 0}, {0, 0}};
  int ended = sigsetjmp(back, 1);
  if (ended == 0) {
    entry = at;
    setitimer(ITIMER_REAL, &limit, NULL);
    enter();
  }
  __asm__ volatile("cld");
  setitimer(ITIMER_REAL, &none, NULL);
  return (uint64_t)ended;
}

static void report_changes(const struct region *regions, uint64_t count) {
  static uint64_t changes[1 << 16][2];
  uint64_t found = 0;
  for (uint64_t r = 0; r < count; r++) {
    const uint64_t *now = (const uint64_t *)regions[r].address;
    const uint64_t *then = (const uint64_t *)(const void *)regions[r].original;
    for (uint64_t i = 0; regions[r].writable && i < regions[r].size_bytes / 8; i++) {
      if (now[i] != then[i] && found < sizeof(changes) / sizeof(changes[0])) {
        changes[found][0] = regions[r].address + 8 * i;
        changes[found++][1] = now[i];
      }
    }
  }
  put(&found, sizeof(found));
  put(changes, found * sizeof(changes[0]));
}

static void open_gate(void) {
  const uint8_t jump[6] = {0xff, 0x25}; /* jmp *0(%rip) */
  const uint64_t target = (uint64_t)(uintptr_t)leave;
  void *mapped = mmap(GATE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (mapped != GATE) {
    perror("mmap");
    exit(2);
  }
  memcpy(GATE, jump, sizeof(jump));
  memcpy(GATE + sizeof(jump), &target, sizeof(target));
  if (mprotect(GATE, 4096, PROT_READ | PROT_EXEC) != 0) {
    perror("mprotect");
    exit(2);
  }
}

int main(void) {
  const stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  sigaltstack(&stack, NULL);
  const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGALRM};
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    struct sigaction action = {.sa_handler = caught, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaction(numbers[i], &action, NULL);
  }

  open_gate();
  uint64_t region_count = get_number();
  struct region *regions = calloc(region_count, sizeof(*regions));
  for (uint64_t r = 0; r < region_count; r++) {
    struct region *region = &regions[r];
    region->address = get_number();
    region->size_bytes = get_number();
    region->writable = get_number();
    region->original = malloc(region->size_bytes);
    get(region->original, region->size_bytes);
    void *mapped = mmap((void *)region->address, region->size_bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapped != (void *)region->address) {
      perror("mmap");
      return 2;
    }
    memcpy(mapped, region->original, region->size_bytes);
    protect(region, false);
  }

  uint64_t job_count = get_number();
  for (uint64_t j = 0; j < job_count; j++) {
    uint64_t start = get_number(), stop = get_number(), states = get_number();
    uint8_t kept[5], jump[5] = {0xe9};
    if (stop != 0) {
      int32_t distance = (int32_t)((int64_t)(uintptr_t)GATE - (int64_t)(stop + sizeof(jump)));
      memcpy(&jump[1], &distance, sizeof(distance));
      memcpy(kept, (void *)stop, sizeof(kept));
      patch(regions, region_count, stop, jump, sizeof(jump));
    }
    for (uint64_t s = 0; s < states; s++) {
      get(&state, sizeof(state));
      for (uint64_t r = 0; r < region_count; r++) {
        if (regions[r].writable) {
          memcpy((void *)regions[r].address, regions[r].original, regions[r].size_bytes);
        }
      }
      if (stop == 0) { /* the return address: changed back below, so that it is not reported */
        *(uint64_t *)state.general[4] = (uint64_t)(uintptr_t)leave;
      }
      uint64_t slot = state.general[4];
      uint64_t ended = run(start);
      if (stop == 0) {
        for (uint64_t r = 0; r < region_count; r++) {
          if (slot - regions[r].address < regions[r].size_bytes) {
            memcpy((void *)slot, regions[r].original + (slot - regions[r].address), 8);
          }
        }
      }
      put(&ended, sizeof(ended));
      put(&state, sizeof(state));
      report_changes(regions, region_count);
    }
    if (stop != 0) {
      patch(regions, region_count, stop, kept, sizeof(kept));
    }
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
