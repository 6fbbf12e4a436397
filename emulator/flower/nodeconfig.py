"""The node config that a SuperNode is started with, the same in virtual time and live."""

from __future__ import annotations

from emulator.plan import Plan


def partition_configs(plan: Plan) -> dict[str, dict[str, str | int]]:
    """Return what each client is told of its part of the data: the data is dealt among those that train and have no role."""
    trained = {name: number for number, name in enumerate(plan.app.trained)}
    partitions = len(trained) or sum(not client.role for client in plan.clients)
    configs: dict[str, dict[str, str | int]] = {}
    for node in plan.clients:
        number = trained.get(node.name, len(trained)) if trained else node.partition_id or 0
        role: dict[str, str | int] = {"role": node.role} if node.role else {}
        configs[node.name] = {"partition-id": number, "num-partitions": partitions, **role}
    return configs
