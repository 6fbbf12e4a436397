"""A district of rural clinics: wearable patches, a gateway in each clinic, unlike backhauls, a cloud aggregator."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import networkx as nx

CLINIC_FIELDS = ("name", "gateway", "backhaul", "wearables")


def rural_district(
    *,
    sites: int,
    clinics: Sequence[Mapping[str, Any]] = (),
    gateway: str = "rpi_4b_4gb",
    backhaul: str = "hspa_plus_rural",
    wearables: int = 3,
    patch: str = "nrf5340",
    stream_rate: str = "8640 bit/s",
    body_link: str = "ble_4_2_dle_1m",
    core: str = "cloud_port",
    server: str = "cloud_x86_8vcpu",
    key_authority: str = "",
    authority_backhaul: str = "ftth",
) -> nx.Graph:
    """Return the district.

    Each clinic has ``NAME/gateway`` (the Flower client), ``NAME/patch-1`` ... (sensors, one body link each,
    ``NAME/ble-1`` ...) and ``NAME/backhaul`` to the router ``internet``, from which ``core`` leads to ``server``.
    The access profiles' round trips already reach a service, so the core only stands for the server's own port.

    Args:
        sites: Number of clinics.
        clinics: The first clinics one by one, each with any of ``name, gateway, backhaul, wearables``; those not
            listed are ``clinic-01`` ... by position, with the defaults below. Entries beyond ``sites`` are not built,
            so that a sweep over ``sites`` needs no second list.
        gateway: Device profile of a gateway.
        backhaul: Link profile of a backhaul.
        wearables: Patches of a clinic.
        patch: Device profile of a patch.
        stream_rate: Raw signal of one patch; 360 Hz x 2 leads x 12 bit = 8640 bit/s, the rate of MIT-BIH records.
        body_link: Link profile between patch and gateway.
        core: Link profile between ``internet`` and the server.
        server: Device profile of the server.
        key_authority: Device profile of ``authority/gateway``, a client of its own without data that deals keys
            (``role: key-authority``); empty for none.
        authority_backhaul: Link profile of its backhaul.

    Raises:
        ValueError: ``sites`` below 1, a clinic with an unknown field, or two clinics of one name.

    Leaves out shared cells (each patch has its own radio channel to the gateway) and links among clinics.
    """
    defaults = {"gateway": gateway, "backhaul": backhaul, "wearables": wearables}
    graph = nx.Graph()
    graph.add_node("server", kind="server", profile=server, key="server")
    graph.add_node("internet", kind="router")
    graph.add_edge("internet", "server", name="core", profile=core, leaf="internet", key="core")
    for clinic in _clinics(sites, clinics, defaults):
        _add_clinic(graph, clinic)
        for number in range(1, clinic["wearables"] + 1):
            name, node = clinic["name"], f"{clinic['name']}/patch-{number}"
            graph.add_node(node, kind="sensor", profile=patch, site=name, stream_rate=stream_rate, key="patch")
            graph.add_edge(
                node, f"{name}/gateway", name=f"{name}/ble-{number}", profile=body_link, leaf=node, key="body_link"
            )
    if key_authority:
        graph.add_node(
            "authority/gateway",
            kind="client",
            profile=key_authority,
            site="authority",
            role="key-authority",
            key="key_authority",
        )
        graph.add_edge(
            "authority/gateway",
            "internet",
            name="authority/backhaul",
            profile=authority_backhaul,
            leaf="authority/gateway",
            key="authority_backhaul",
        )
    return graph


def _add_clinic(graph: nx.Graph, clinic: Mapping[str, Any]) -> None:
    name, keys = clinic["name"], clinic["keys"]
    graph.add_node(f"{name}/gateway", kind="client", profile=clinic["gateway"], site=name, key=keys["gateway"])
    graph.add_edge(
        f"{name}/gateway",
        "internet",
        name=f"{name}/backhaul",
        profile=clinic["backhaul"],
        leaf=f"{name}/gateway",
        key=keys["backhaul"],
    )


def _clinics(sites: int, listed: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if sites < 1:
        raise ValueError(f"sites: got {sites}; want 1 or more")
    seen: set[str] = set()
    for index in range(sites):
        own = listed[index] if index < len(listed) else {}
        for field in own:
            if field not in CLINIC_FIELDS:
                close = difflib.get_close_matches(str(field), CLINIC_FIELDS, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                raise ValueError(
                    f"clinics[{index}]: unknown field {field!r}; allowed: {', '.join(CLINIC_FIELDS)}{hint}"
                )
        clinic = {"name": f"clinic-{index + 1:02d}", **defaults, **own}
        if not isinstance(clinic["wearables"], int) or clinic["wearables"] < 0:
            raise ValueError(f"clinics[{index}].wearables: got {clinic['wearables']!r}; want a whole number from 0")
        if clinic["name"] in seen:
            raise ValueError(f"clinics[{index}].name: two clinics are called {clinic['name']!r}")
        seen.add(clinic["name"])
        clinic["keys"] = {field: f"clinics[{index}].{field}" if field in own else field for field in defaults}
        yield clinic
