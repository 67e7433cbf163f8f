/*
 * What is taken away once everything is open. An NF is proved, and what happens to its frames; libraries and drivers are
 * not: should they be wrong, they can do less harm.
 */

#define _GNU_SOURCE

#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/runtime.h"

#define CALLS_MAX 64u

/* What the numbers of system calls of the x32 ABI have set: other names for the same calls. */
#define X32_BIT 0x40000000u

void confine_become(const char *user)
{
    const struct passwd *entry = getpwnam(user);
    if (entry == NULL) {
        runtime_fail("the user", user, "name one that exists");
    }
    /* Leaving user 0 also drops all capabilities, and the system calls reach every thread. */
    if (setgroups(0, NULL) != 0 || setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0) {
        runtime_fail("becoming the user", user, "start as root, or leave --user away");
    }
}

void confine_system_calls(const int *calls, size_t count, bool are_allowed)
{
    struct sock_filter filter[CALLS_MAX + 8];
    const uint32_t listed = are_allowed ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS;
    const uint32_t other = are_allowed ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ALLOW;
    uint16_t length = 0;
    const uint32_t architecture_at = offsetof(struct seccomp_data, arch);
    const uint32_t call_at = offsetof(struct seccomp_data, nr);
    if (count > CALLS_MAX) {
        runtime_fail("the list of system calls", "", "is too long");
    }
    filter[length++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, architecture_at);
    filter[length++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    filter[length++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    filter[length++] = (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, call_at);
    filter[length++] = (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    filter[length++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    for (size_t i = 0; i < count; i++) {
        filter[length++] =
            (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) calls[i], (uint8_t) (count - i), 0);
    }
    filter[length++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, other);
    filter[length++] = (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, listed);
    const struct sock_fprog program = {length, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        runtime_fail("giving up new privileges", "", "use Linux 3.5 or newer");
    }
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
        runtime_fail("confining the process", "", "use a kernel with CONFIG_SECCOMP_FILTER");
    }
}
