"""Running properties on the native binary, by Hypothesis: packets in sequence, from the state that nf_init leaves.

Finds bugs in seconds and proves nothing. Nothing here imports a solver or what lifts machine code, and only `plans` and
`examples` import Hypothesis.
"""
