"""Arguments that an NF's further functions accept, found by asking: of those made up freely, most are refused."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from pytest_vigor.fuzz.configurations import Configurations, assembled
from pytest_vigor.fuzz.play import Player
from pytest_vigor.fuzz.scene import Manner, Scene
from pytest_vigor.headers import Header
from pytest_vigor.layout import Struct, scalars
from pytest_vigor.notation import kind_of
from pytest_vigor.trace import RETURNED, Step

#: Of each function. Counted and not timed, so that a busy machine tries the same.
ASKED_MAX, KEPT_MAX = 600, 32
LARGE = (1 << 56) - 1
#: How many of an address's last bits are cleared: none, or what makes it that of a network, or of all.
_CLEARED = (0, 8, 16, 24, 32)


def find(
    player: Player, header: Header, configurations: Configurations, words: tuple[int, ...]
) -> Mapping[str, tuple[bytes, ...]]:
    """By function, what it accepts in the plainest configuration, the plainest first."""
    if not configurations.accepted:
        return {}
    config, device_count = configurations.chosen([0] * configurations.width)
    scene = Scene(header, configurations.leaves, config, device_count, words, Manner.of(0), {}, frozenset())
    play, random = player.play(config, device_count), Random(0)
    out = {}
    for entry in header.entries:
        kept: dict[bytes, None] = {}
        for _ in range(ASKED_MAX):
            if entry.argument is None:
                break
            argument = _made_up(entry.argument, scene, random)
            result = play.aside([Step(entry.name, argument=argument)])[-1]
            if result.ending == RETURNED and result.value:
                kept[argument] = None
            if len(kept) == KEPT_MAX:
                break
        out[entry.name] = tuple(sorted(kept, key=lambda each: (-each.count(0), each)))
    return out


def _made_up(of: Struct, scene: Scene, random: Random) -> bytes:
    leaves, values = scalars(of), []
    for leaf in leaves:
        kind = kind_of(leaf.type)
        value = scene.value(kind, random.randint(0, LARGE))
        cleared = random.choice(_CLEARED) if kind == "ipv4" else 0
        values.append(value >> cleared << cleared)
    return assembled(of, leaves, values)
