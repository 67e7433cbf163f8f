/* Confines itself as its first argument says, makes the call that the second one says, and ends. See test_confine.py. */

#define _GNU_SOURCE

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/runtime.h"

_Noreturn void runtime_fail(const char *what, const char *detail, const char *remedy)
{
    (void) what;
    (void) detail;
    (void) remedy;
    _exit(2);
}

int main(int count, char **arguments)
{
    static const int allowed[] = {SYS_getppid, SYS_exit_group};
    static const int forbidden[] = {SYS_getpid, SYS_getuid};
    if (count != 3) {
        return 2;
    }
    if (strcmp(arguments[1], "allowed") == 0) {
        confine_system_calls(allowed, 2, true);
    } else {
        confine_system_calls(forbidden, 2, false);
    }
    syscall(strtol(arguments[2], NULL, 0));
    _exit(0);
}
