"""Running an NF's binary in a process of its own, with libVig's contracts as monitors.

`child` is that process's program. It gets a situation on its standard input and forks once for each variant of it
(other bytes in uninitialised memory, the packet against another guard page), so that a variant can crash or hang
without taking anything along; what happens is written to a pipe as it happens. Nothing here imports a solver, a
lifter or a parser: a run should start faster than one can notice.
"""
