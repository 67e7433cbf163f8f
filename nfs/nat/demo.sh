#!/usr/bin/env bash
# A client inside fetches a page from a server outside, through the NAT on plain Linux interfaces. All three are network
# namespaces of this machine, which are gone in the end. Run by `make run-demo`; PYTHON names the one with pytest-vigor.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}

refuse() { echo "The demonstration cannot run: $1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || refuse 'network namespaces need root: sudo make run-demo'
for tool in ip ethtool curl; do
    command -v "$tool" >/dev/null || refuse "$tool is missing: apt-get install iproute2 ethtool curl"
done

inside=vigor-demo-inside-$$ nat=vigor-demo-nat-$$ outside=vigor-demo-outside-$$
folder=$(mktemp -d)
started=()
clean_up() {
    [ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true
    wait
    for namespace in "$inside" "$nat" "$outside"; do ip netns del "$namespace" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap clean_up EXIT

# ---- three machines and two cables
for namespace in "$inside" "$nat" "$outside"; do
    ip netns add "$namespace" || refuse 'the kernel does not make network namespaces'
    ip netns exec "$namespace" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 || true
    ip -n "$namespace" link set lo up
done
cable() { # NAMESPACE INTERFACE ADDRESS NAT_INTERFACE
    ip link add "$2" netns "$1" address "$3" type veth peer name "$4" netns "$nat"
    # No network card finishes checksums or cuts up segments here.
    ip netns exec "$1" ethtool -K "$2" tx off tso off gso off >/dev/null
    ip -n "$1" link set "$2" up
    ip -n "$nat" link set "$4" up
}
cable "$inside" client 02:00:00:00:01:01 nat0
cable "$outside" server 02:00:00:00:02:01 nat1

# The NAT answers no ARP, so its neighbours are told. These are the addresses of nfs/nat/nat.toml.
ip -n "$inside" addr add 10.0.0.2/24 dev client
ip -n "$inside" neigh add 10.0.0.1 lladdr 02:00:00:00:00:01 dev client
ip -n "$inside" route add default via 10.0.0.1
ip -n "$outside" addr add 192.0.2.9/24 dev server
ip -n "$outside" neigh add 192.0.2.1 lladdr 02:00:00:00:00:02 dev server

# ---- a server, the NAT, a client
echo 'This page came through a proved NAT.' >"$folder/index.html"
ip netns exec "$outside" "$PYTHON" -m http.server 80 --directory "$folder" >"$folder/log" 2>&1 &
started+=($!)
ip netns exec "$nat" "$PYTHON" -m pytest_vigor run nat --config nfs/nat/nat.toml --device nat0 --device nat1 \
    2>"$folder/nat" >"$folder/counters" &
started+=($!)
for _ in $(seq 300); do
    if grep -q ' runs on ' "$folder/nat" && ip netns exec "$outside" ss -Hltn | grep -q ':80 '; then break; fi
    sleep 0.1
done
cat "$folder/nat"

echo '--- curl http://192.0.2.9/ on the inside'
ip netns exec "$inside" curl -sS --noproxy '*' --max-time 10 http://192.0.2.9/
echo '--- what the server saw'
grep GET "$folder/log"
echo '--- a connection to the NAT from the outside'
if ip netns exec "$outside" curl -sS --noproxy '*' --max-time 2 http://192.0.2.1/ 2>&1; then
    echo 'was answered, which must not be' >&2
    exit 1
fi
echo '--- the counters of the NAT'
kill "${started[1]}"
wait "${started[1]}"
cat "$folder/counters"
