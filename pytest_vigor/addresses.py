"""Addresses that mean nobody, set aside for documentation: RFC 5737 section 3 (IPv4), RFC 7042 section 2.1.2 (MAC)."""

from __future__ import annotations

NETWORKS = (0xC0000200, 0xC6336400, 0xCB007100)  #: 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24
STATIONS = 0x00005E005300  #: 00:00:5e:00:53:00 to 00:00:5e:00:53:ff
GROUPS = 0x01005E901000  #: 01:00:5e:90:10:00 to 01:00:5e:90:10:ff
_OF_EACH = 254


def ipv4(number: int) -> int:
    """The address with a number from 0 on: 192.0.2.1, 198.51.100.1, 203.0.113.1, 192.0.2.2 and so on."""
    return NETWORKS[number % len(NETWORKS)] | number // len(NETWORKS) % _OF_EACH + 1


def station(number: int) -> int:
    """A station's MAC address: 00:00:5e:00:53:01 and so on."""
    return STATIONS | number % _OF_EACH + 1


def group(number: int) -> int:
    """A group's MAC address: 01:00:5e:90:10:01 and so on."""
    return GROUPS | number % _OF_EACH + 1


def fresh(kind: str, number: int) -> tuple[int, ...]:
    """What may stand for an address of a kind, "ipv4" or "mac", the more usual first."""
    return (ipv4(number),) if kind == "ipv4" else (station(number), group(number))
