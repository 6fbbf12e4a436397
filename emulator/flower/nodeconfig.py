"""The node config that a SuperNode is started with, the same in virtual time and live."""

from __future__ import annotations

from emulator.plan import Plan


def partition_config(plan: Plan, name: str) -> dict[str, str | int]:
    """Return what a client is told of its part of the data: the data is dealt among those that train and have no role."""
    node = plan.node_by_name[name]
    role: dict[str, str | int] = {"role": node.role} if node.role else {}
    if plan.app.trained:
        number = plan.app.trained.index(name) if name in plan.app.trained else len(plan.app.trained)
        return {"partition-id": number, "num-partitions": len(plan.app.trained), **role}
    partitions = sum(not client.role for client in plan.clients)
    return {"partition-id": node.partition_id or 0, "num-partitions": partitions, **role}
