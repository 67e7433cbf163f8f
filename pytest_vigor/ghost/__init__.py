"""Abstract states of libVig's structures: immutable, layered values that are read by key.

A base is the state that a step starts from; each operation puts a layer on it. On symbols, a read of the base is an
uninterpreted function of the key, constrained by the structure's own invariant at just the keys that are read. On
plain values the same code runs on dictionaries.
"""
