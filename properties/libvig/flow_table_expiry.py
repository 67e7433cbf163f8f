"""Whether expiring does what its contract says of a flow table of any capacity: as of an index pool, where erasing an
entry does what properties/libvig/probing.py shows of it."""

from properties.libvig.index_pool_expiry import Expiry
from pytest_vigor import term as t
from pytest_vigor.build import libvig_root
from pytest_vigor.explore.memory import Stop
from pytest_vigor.refine.abstraction import beside
from pytest_vigor.refine.called import returning
from pytest_vigor.refine.everywhere import Everywhere

ageing = beside(str(libvig_root() / "flow_table" / "ageing.py"), "ageing.py")
ERASE = "flow_table_erase"


class TableExpiry(Expiry):
    """The proof, with keys of one size."""

    def __init__(self, library, key_bytes):
        self.key_bytes = key_bytes
        super().__init__(library.modelling({ERASE: self._erased}), "flow_table_expire_before")

    def _any(self):
        apart = Everywhere()  # what slots lead to does not matter
        table = self.abstraction.unbounded(self.library.structs, apart, self.key_bytes, self.library.tag)
        table.facts = self.everywhere
        return ageing.Ageing(table)

    def _lay(self, path):
        path = super()._lay(path)
        self.key = self.any.key
        return path

    def _stays_valid(self, path):
        yield "nothing but erasing changes the table", path.memory.arrays[self.key] in self.any.rows

    def _erased(self, path):
        """Erasing releases an index that must be used, and leaves a valid table if it was given one. What becomes of
        keys of unused indices does not matter."""
        row = self.any.rows.get(path.memory.arrays[self.key])
        if row is None or path.registers.read("rdi") != self.laid[self.name].place.address:
            raise Stop(f"{ERASE} is called with what is not a valid table")
        index = t.extract(path.registers.read("rsi"), 64, 31, 0)
        used = t.land(t.ult(32, index, row.capacity), ageing.pool.ages.is_used(row.age(index)))
        self._holding(path, [], [(f"what {ERASE} is given is used", used)], in_pairs=False)
        path.memory.arrays = {self.key: self.any.array(row.released(index), 0)}
        returning(path, ERASE)
        return [path]
