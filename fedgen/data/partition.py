# SPDX-License-Identifier: Apache-2.0
"""Which clinic holds which patients. A patient is never shared between two clinics."""

from fedgen.errors import DataError


def patients_of_client(patients: tuple[str, ...], partition: int, partitions: int) -> tuple[str, ...]:
    """Deal patients out to clinics in turn.

    Clinic p of n gets patients p, p+n, p+2n ... of the list: each patient once, clinic sizes at most one
    apart, the same on every machine.

    Args:
        patients: All patients to share out.
        partition: Number of this clinic, 0 to partitions - 1.
        partitions: Number of clinics.

    Returns:
        The clinic's patients, at least one.

    Raises:
        DataError: More clinics than patients, or a partition number out of range.
    """
    if not 1 <= partitions <= len(patients):
        raise DataError(
            f"num-partitions is {partitions}, but the data has {len(patients)} patients to share out: "
            f"choose 1 to {len(patients)} clients"
        )
    if not 0 <= partition < partitions:
        raise DataError(f"partition-id is {partition}; allowed: 0 to {partitions - 1}")
    return patients[partition::partitions]
