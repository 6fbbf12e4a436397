"""How far is the general energy model from what a real deployment of federated learning measured on Raspberry Pis?

ns3-fl (scratch/wifi_exp/fl-energy.cc) fits training time, training power and sending power of a Raspberry Pi 4 and a Pi 400
for three data sets: with x = MAC (100 + 6 epochs) 600 / 1500e6 the time is A x + B seconds and the power C x + D watts. The
emulator knows none of this: its model is idle power throughout and extra power while computing, sending, receiving, with the
figures of the profile tables. Compared are, for 1 to 20 epochs: the power while training, and the energy of a turn that
trains for as long as the fit says and then sends for ten seconds. The fitted power falls in a straight line with the work;
where more work would cost less energy (d(time power)/dx <= 0), or power falls to idle, the fit is outside its range and its
row is left out.

Training times are not compared: the fit's x does not say what amount of work it stands for.
One of the profile's figures is not independent: the extra power while sending was taken from the fit for MNIST on the Pi 4.

Usage: python benchmarks/energy.py
The last line is one JSON object: relative deviations of the model from the fit.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass

from emulator.compute import resolve_device
from emulator.models.energy import energy_j
from emulator.plan import Device

PROFILE = "rpi_4b_4gb"
EPOCHS = (1, 2, 5, 10, 20)
SENDING_S = 10.0


@dataclass(frozen=True)
class Fit:
    """One regression: constants as in the source, ``macs`` in its units."""

    board: str
    data: str
    a: float
    b: float
    c: float
    d: float
    sending_w: float
    macs: float

    def x(self, epochs: int) -> float:
        """Return the regressor."""
        return self.macs * (100 + 6 * epochs) * 600 / 1500e6

    def training_s(self, epochs: int) -> float:
        """Return the fitted time."""
        return self.a * self.x(epochs) + self.b

    def is_valid(self, epochs: int, idle_w: float) -> bool:
        """Return whether energy still grows with the work, and more is drawn than at rest."""
        slope = self.a * self.training_w(epochs) + self.c * self.training_s(epochs)
        return slope > 0 and self.training_w(epochs) > idle_w

    def training_w(self, epochs: int) -> float:
        """Return the fitted power."""
        return self.c * self.x(epochs) + self.d


FITS = (
    Fit("Pi 4", "MNIST", 8.09e-4, 9.45, -1.32e-4, 6.49, 3.9422, 229_300_000),
    Fit("Pi 4", "FashionMNIST", 1.08e-3, 11.4, -1.04e-4, 6.4, 4.766, 285_689_600),
    Fit("Pi 4", "CIFAR-10", 0.0108, -4.43, -4.42e-4, 6.18, 4.397, 61_572_000),
    Fit("Pi 400", "MNIST", 3.32e-4, 16.6, -1.55e-4, 6.41, 3.8896, 229_300_000),
    Fit("Pi 400", "FashionMNIST", 8.13e-4, 15.7, -1.27e-4, 6.4, 4.532, 285_689_600),
    Fit("Pi 400", "CIFAR-10", 8.47e-3, 3.32, -5.65e-4, 6.31, 4.211, 61_572_000),
)


def turn_j(device: Device, training_s: float) -> float:
    """Return what the emulator's model says of training and then sending."""
    found = energy_j(device, busy_s=training_s, idle_s=SENDING_S, tx_s=SENDING_S)
    assert found is not None  # the profile has all three figures
    return found


def main() -> None:
    device, _ = resolve_device(PROFILE, {})
    assert device.idle_w is not None
    assert device.busy_w is not None
    assert device.tx_w is not None
    sending_w = device.idle_w + device.tx_w
    print(f"profile {PROFILE}: idle {device.idle_w} W, computing {device.busy_w} W, sending {sending_w:.2f} W")
    print(
        f"{'board':8}{'data':14}{'epochs':>6}{'s':>7}{'fit W':>7}{'model W':>9}{'':>7}{'fit J':>8}{'model J':>9}{'':>7}"
    )
    powers, energies = [], []
    for fit in FITS:
        for epochs in EPOCHS:
            training_s, power_w = fit.training_s(epochs), fit.training_w(epochs)
            if not fit.is_valid(epochs, device.idle_w):
                print(f"{fit.board:8}{fit.data:14}{epochs:6d}   outside the fit's range")
                continue
            fit_j, model_j = power_w * training_s + fit.sending_w * SENDING_S, turn_j(device, training_s)
            powers.append(device.busy_w / power_w - 1)
            energies.append(model_j / fit_j - 1)
            print(
                f"{fit.board:8}{fit.data:14}{epochs:6d}{training_s:7.1f}{power_w:7.2f}{device.busy_w:9.2f}{powers[-1]:+7.1%}"
                f"{fit_j:8.1f}{model_j:9.1f}{energies[-1]:+7.1%}"
            )
    sending = [sending_w / fit.sending_w - 1 for fit in FITS]
    print("sending power: " + ", ".join(f"{f.board} {f.data} {e:+.1%}" for f, e in zip(FITS, sending, strict=True)))
    figures = {
        "training_power_median": statistics.median(powers), "training_power_worst": max(powers, key=abs),
        "energy_median": statistics.median(energies), "energy_worst": max(energies, key=abs),
        "sending_power_median": statistics.median(sending), "sending_power_worst": max(sending, key=abs),
    }  # fmt: skip
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
