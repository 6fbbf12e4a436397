"""Builds a described network with Mininet: namespaces, TUN devices or bridges, addresses and routes.

It is built inside the run's own sandbox, so names are free and nothing of the machine's own network is seen or
touched. For the userspace shaper a wire is a pair of TUN devices that the relay joins; for netem it is a bridge
between two veth pairs, with the shaping on the bridge's ports.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from mininet.link import Link
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Node
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

from emulator.backends.live.network import MTU_BYTES, Host, LiveNetwork, Wire
from emulator.backends.live.shaping import Shaper, port_to_leaf, port_to_root
from emulator.errors import BackendUnavailable

SETTINGS: Mapping[str, str] = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.tcp_no_metrics_save": "1",
    "net.ipv4.tcp_slow_start_after_idle": "1",
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}
"""Kernel settings of every namespace of a run, whatever the machine's own are."""


class TunLink(Link):  # type: ignore[misc]  # Mininet has no types
    """A pair of TUN devices, made where they belong; a relay moves packets between them."""

    @classmethod
    def makeIntfPair(  # noqa: N802  # Mininet's name
        cls, intfname1: str, intfname2: str, addr1: Any = None, addr2: Any = None, node1: Any = None,
        node2: Any = None, deleteIntfs: bool = True,  # noqa: N803  # Mininet's name
    ) -> None:  # fmt: skip
        """Make both devices."""
        for node, name in ((node1, intfname1), (node2, intfname2)):
            _command(node, f"ip tuntap add dev {name} mode tun")


class PlanTopo(Topo):  # type: ignore[misc]  # Mininet has no types
    """Mininet's description of a live network."""

    def build(self, network: LiveNetwork, shaper: Shaper) -> None:
        """Add hosts and wires."""
        for host in network.hosts:
            self.addHost(host.name, ip=None)
        for wire in network.wires:
            if shaper == "userspace":
                self.addLink(wire.leaf, wire.root, intfName1=wire.leaf_interface, intfName2=wire.root_interface)
                continue
            self.addSwitch(wire.name)
            self.addLink(wire.leaf, wire.name, intfName1=wire.leaf_interface, intfName2=port_to_leaf(wire))
            self.addLink(wire.name, wire.root, intfName1=port_to_root(wire), intfName2=wire.root_interface)


def build_network(network: LiveNetwork, shaper: Shaper, congestion_control: str) -> Mininet:
    """Return the running network; the caller ends it by ending the sandbox.

    Raises:
        BackendUnavailable: The kernel refused a device, an address or a setting.
    """
    setLogLevel("warning")
    Mininet.inited = True  # its own init would change settings of the whole machine
    topo = PlanTopo(network, shaper)
    link = TunLink if shaper == "userspace" else Link
    built = Mininet(topo=topo, host=Node, switch=LinuxBridge, link=link, controller=None)
    built.start()
    for host in network.hosts:
        _command(built[host.name], host_script(host, network, congestion_control))
    if shaper == "netem":
        for wire in network.wires:
            for interface in (port_to_leaf(wire), port_to_root(wire)):
                _command(built[wire.name], f"ethtool -K {interface} tso off gso off gro off tx off >/dev/null")
            _introduce(wire, network, built)
    return built


def _introduce(wire: Wire, network: LiveNetwork, built: Mininet) -> None:
    """Let both ends of a wire know each other's Ethernet address: questions for it would be delayed and lost on the link."""
    address = {host.name: host.address for host in network.hosts}
    leaf, root = (wire.leaf, wire.leaf_interface), (wire.root, wire.root_interface)
    for (here, interface), (there, other) in ((leaf, root), (root, leaf)):
        hardware = built[there].intf(other).MAC()
        _command(built[here], f"ip neigh replace {address[there]} lladdr {hardware} dev {interface} nud permanent")


def host_script(host: Host, network: LiveNetwork, congestion_control: str) -> str:
    """Return the shell commands that give a host its settings, address and routes."""
    lines = [f"echo {value} > /proc/sys/{name.replace('.', '/')}" for name, value in SETTINGS.items()]
    lines.append("ip link set lo up")
    for interface in network.interfaces_of(host.name):
        lines.append(f"ip addr add {host.address}/32 dev {interface}")
        lines.append(f"if test -e /sys/class/net/{interface}/tun_flags; then :; else {_plain(interface)}; fi")
        lines.append(f"ip link set {interface} mtu {MTU_BYTES} up")
    here = {wire.name: _interface(wire, host) for wire in network.wires if host.name in (wire.leaf, wire.root)}
    neighbours = {(route.via, here[route.wire]) for route in host.routes}
    # the namespace's default may only be what the whole machine allows; a route's own may be any that is loaded
    control = f"congctl {congestion_control}"
    lines += [f"ip route replace {via}/32 dev {interface} {control}" for via, interface in sorted(neighbours)]
    lines += [
        f"ip route replace {route.destination}/32 via {route.via} dev {here[route.wire]} onlink {control}"
        for route in host.routes
        if route.destination != route.via
    ]
    return " && ".join(lines)


def _plain(interface: str) -> str:
    """Return the command that turns off what would merge or split packets on their way."""
    return f"ethtool -K {interface} tso off gso off gro off tx off > /dev/null"


def _interface(wire: Wire, host: Host) -> str:
    return wire.leaf_interface if wire.leaf == host.name else wire.root_interface


def _command(node: Any, script: str) -> None:
    output = node.cmd(f"( {script} ) 2>&1 || echo FAILED")
    if output.strip().endswith("FAILED"):
        raise BackendUnavailable(
            f"the kernel refused to set up {node.name}: {output.strip()[:-6].strip()}; 'emulate doctor' says what is missing "
            f"(the commands were: {shlex.quote(script[:300])} ...)"
        )
