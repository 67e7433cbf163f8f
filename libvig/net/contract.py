"""What the functions of net.h do that are given numbers and return one. Numbers are as the machine loads them: those
in network byte order have the first byte on the wire lowest."""

from pytest_vigor.contract import U16, U32, Outcome, contract


def _swap16(value):
    return ((value & 0xFF) << 8) | (value >> 8)


def _swap32(value):
    return (_swap16(value & 0xFFFF) << 16) | _swap16(value >> 16)


def _not(word):
    """The one's complement negative of a 16-bit word."""
    return word ^ 0xFFFF


def _sum(*words):
    """One's complement addition of 16-bit words: carries are added in again, until there are none (RFC 1071 section 1;
    two times are enough for three words). The order of the bytes does not matter (section 2, B)."""
    total = sum(words)
    for _ in range(2):
        total = (total & 0xFFFF) + (total >> 16)
    return total & 0xFFFF


def _updated(checksum, old_value, new_value):
    """RFC 1624 section 3, equation 3: HC' = ~(~HC + ~m + m')."""
    return _not(_sum(_not(checksum), _not(old_value), new_value))


@contract(value=U16, returns=U16)
def net_to_host16(call, value):
    return Outcome(_swap16(value))


@contract(value=U32, returns=U32)
def net_to_host32(call, value):
    return Outcome(_swap32(value))


@contract(value=U16, returns=U16)
def net_from_host16(call, value):
    return Outcome(_swap16(value))


@contract(value=U32, returns=U32)
def net_from_host32(call, value):
    return Outcome(_swap32(value))


@contract(checksum=U16, old_value=U16, new_value=U16, returns=U16)
def net_checksum_update16(call, checksum, old_value, new_value):
    return Outcome(_updated(checksum, old_value, new_value))


@contract(checksum=U16, old_value=U32, new_value=U32, returns=U16)
def net_checksum_update32(call, checksum, old_value, new_value):
    low = _updated(checksum, old_value & 0xFFFF, new_value & 0xFFFF)
    return Outcome(_updated(low, old_value >> 16, new_value >> 16))
