"""The ages of a flow table by themselves: an index pool (../index_pool/abstraction.py) whose nodes have keys.

The slots cannot be looked at here. They lead to the used indices if they did so before, and whoever changes which
indices are used keeps that so.
"""

from dataclasses import replace

from pytest_vigor.ghost.flow_table import FlowTable
from pytest_vigor.refine.abstraction import beside

entries = beside(__file__, "entries.py")
pool = beside(__file__, "../index_pool/abstraction.py")


class Ageing(pool.Unbounded):
    """The nodes of ``table``, any flow table. ``rows`` are the rows that the arrays of nodes were made of."""

    NAME = "table"

    def __init__(self, table):
        self.table, self.facts, self.struct, self.node = table, table.facts, table.struct, table.node
        self.capacity, self.any, self.row, self.later, self.begin_bytes = table.capacity, table.any, table.row, {}, 0
        self.rows = {}

    def array(self, row, begin_bytes):
        array = replace(self.table.array(replace(self.table.entries, row=row)), known=self.here)
        self.rows[array] = row
        return array

    def member(self, element, name):
        return self.table.member(element, name)

    def lay(self, path):
        region = self.table.place(path)
        slots, self.key = self.table.keys
        path.memory.own(path.memory.regions[slots]).size_bytes = 0
        path.memory.arrays = {self.key: self.array(self.row, 0)}
        for condition in self.given():
            path.hold(condition)
        return region

    def state(self, path, key):
        return FlowTable(None, entries.Keyed(self.table, path.memory.arrays[key]))
