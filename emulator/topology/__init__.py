"""From a topology plug-in's graph to nodes, links and routes."""

from emulator.topology.build import Topology, TopologyLink, TopologyNode, build
from emulator.topology.params import ParameterError, bind
from emulator.topology.routes import find_routes

__all__ = ["ParameterError", "Topology", "TopologyLink", "TopologyNode", "bind", "build", "find_routes"]
