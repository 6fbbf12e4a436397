# SPDX-License-Identifier: Apache-2.0
"""Simulated patients, for runs without real data.

Every beat is a sum of five Gaussian waves (P, Q, R, S, T): the closed form of the McSharry dynamical model
that ECGSYN integrates, with its published wave angles, heights and widths, and with P and T moving
with the square root of the RR interval. ECGSYN itself draws one kind of beat from a smooth rhythm and
cannot place a premature one, so the beats are laid down one by one here. Added are respiratory and
Mayer-wave rhythm, beat-to-beat amplitude, baseline wander, muscle noise and mains hum.

Premature ventricular beats come early, without P, wide and tall, with an inverted T, and are followed by
a full compensatory pause. Premature supraventricular beats come early with a normal narrow QRS and a
flat P, and reset the rhythm. Left out: fusion beats, bundle branch blocks, atrial fibrillation, runs of
ectopic beats, lost contact. Detection is far easier here than on real patients.

Source: McSharry, Clifford, Tarassenko, Smith, "A dynamical model for generating synthetic
electrocardiogram signals", IEEE TBME 50(3), 2003, table I.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedgen.data import aami
from fedgen.data.recording import Recording

SIMULATOR_VERSION = 1
SAMPLING_HZ = 360.0
DURATION_S = 600.0
WAVE_REACH_S = 0.8

Waves = NDArray[np.float64]
"""Shape [5, 3]: rows P Q R S T; columns height (R of a normal beat = 1), time from R in s, width in s."""

SINUS_WAVES: Waves = np.array(
    [
        [0.25, -70 / 360, 0.25 / (2 * np.pi)],
        [-5 / 30, -15 / 360, 0.1 / (2 * np.pi)],
        [1.0, 0.0, 0.1 / (2 * np.pi)],
        [-0.25, 15 / 360, 0.1 / (2 * np.pi)],
        [0.4, 100 / 360, 0.4 / (2 * np.pi)],
    ]
)
"""Table I of McSharry et al. at 60 beats/min: angle/(2 pi) is seconds, a*b^2 is height."""


@dataclass(frozen=True)
class SimulatedPatient:
    """What makes one patient differ from the next.

    Attributes:
        interval_s: Mean RR interval.
        respiration_hz: Breathing rate, which moves rhythm and amplitude.
        variability: Relative size of the rhythm's swings.
        ventricular_share: Chance that a beat is a premature ventricular one.
        supraventricular_share: Chance that a beat is a premature supraventricular one.
        gain_mv: Height of a normal R wave.
        noise_mv: Standard deviation of muscle noise.
        wander_mv: Height of baseline wander.
        sinus: Waves of a normal beat.
        ventricular: Waves of a premature ventricular beat.
    """

    interval_s: float
    respiration_hz: float
    variability: float
    ventricular_share: float
    supraventricular_share: float
    gain_mv: float
    noise_mv: float
    wander_mv: float
    sinus: Waves
    ventricular: Waves


def generator_for(seed: int, patient: str) -> np.random.Generator:
    """Return the random generator of one patient, independent of all others."""
    digest = hashlib.sha256(f"fedgen simulated patient {seed} {patient}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))


def draw_patient(random: np.random.Generator) -> SimulatedPatient:
    """Draw one patient's traits."""
    sinus = SINUS_WAVES.copy()
    sinus[:, 0] *= random.uniform(0.7, 1.3, 5)
    sinus[[0, 4], 1] *= random.uniform(0.9, 1.1, 2)
    sinus[:, 2] *= random.uniform(0.85, 1.2, 5)
    height, width_s = sinus[2, 0] * random.uniform(1.3, 2.0), random.uniform(0.035, 0.055)
    sign = random.choice([1.0, 1.0, -1.0])
    ventricular = np.array(
        [
            [0.0, -0.2, 0.04],
            [-0.15 * sign, -0.09, 0.02],
            [height * sign, 0.0, width_s],
            [-0.4 * height * sign, 2.2 * width_s, 1.2 * width_s],
            [-0.45 * height * sign, 0.32, 0.07],
        ]
    )
    return SimulatedPatient(
        interval_s=random.uniform(0.65, 1.05),
        respiration_hz=random.uniform(0.2, 0.35),
        variability=random.uniform(0.015, 0.05),
        ventricular_share=random.choice([0.01, 0.04, 0.12]) * random.uniform(0.7, 1.3),
        supraventricular_share=random.choice([0.01, 0.02, 0.05]) * random.uniform(0.7, 1.3),
        gain_mv=random.uniform(0.7, 1.8),
        noise_mv=random.uniform(0.01, 0.05),
        wander_mv=random.uniform(0.05, 0.3),
        sinus=sinus,
        ventricular=ventricular,
    )


def draw_beats(
    traits: SimulatedPatient, random: np.random.Generator, duration_s: float
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Draw when beats come and of which class they are.

    A sinus interval swings with breathing and with a 0.1 Hz Mayer wave. A premature beat comes after 0.55
    to 0.75 (ventricular) or 0.6 to 0.8 (supraventricular) of it. After a ventricular one the next beat
    comes when it would have come anyway (full compensatory pause); after a supraventricular one the
    rhythm starts anew. At least two sinus beats lie between premature ones.

    Returns:
        Times of the R peaks in s and class codes, both of shape [beats].
    """
    times, classes = [random.uniform(0.3, 1.0)], [aami.N]
    sinus_beats, pause_s = 0, 0.0
    while True:
        now_s = times[-1]
        swing = np.sin(2 * np.pi * traits.respiration_hz * now_s) + 0.6 * np.sin(2 * np.pi * 0.1 * now_s)
        interval_s = traits.interval_s * (1 + traits.variability * (swing + 0.3 * random.standard_normal()))
        chance, early = random.random(), random.random()
        beat = aami.N
        if sinus_beats >= 2 and chance < traits.ventricular_share:
            beat, pause_s = aami.V, interval_s * (2.0 - (0.55 + 0.2 * early))
            step_s = interval_s * (0.55 + 0.2 * early)
        elif sinus_beats >= 2 and chance < traits.ventricular_share + traits.supraventricular_share:
            beat, step_s = aami.S, interval_s * (0.6 + 0.2 * early)
        else:
            step_s, pause_s = pause_s or interval_s, 0.0
        sinus_beats = sinus_beats + 1 if beat == aami.N else 0
        if now_s + step_s > duration_s - WAVE_REACH_S / 2:
            return np.asarray(times), np.asarray(classes, dtype=np.int8)
        times.append(now_s + step_s)
        classes.append(beat)


def draw_signal(
    traits: SimulatedPatient,
    beat_times_s: NDArray[np.float64],
    beat_classes: NDArray[np.int8],
    random: np.random.Generator,
    duration_s: float,
) -> NDArray[np.float64]:
    """Lay the waves of all beats on one line and add noise.

    Height at time t of a beat at t0: sum over waves of a exp(-(t - t0 - d)^2 / (2 b^2)).

    Returns:
        Signal in mV at 360 Hz, shape [duration_s * 360].
    """
    samples = round(duration_s * SAMPLING_HZ)
    time_s = np.arange(samples) / SAMPLING_HZ
    signal = np.zeros(samples)
    reach = round(WAVE_REACH_S * SAMPLING_HZ)
    intervals_s = np.diff(beat_times_s, prepend=beat_times_s[0] - traits.interval_s)
    for beat_s, beat, interval_s in zip(beat_times_s, beat_classes, intervals_s, strict=True):
        waves = (traits.ventricular if beat == aami.V else traits.sinus).copy()
        # Bazett: the P and T waves lie nearer to R when the heart beats faster.
        waves[[0, 4], 1] *= np.sqrt(min(interval_s, traits.interval_s))
        waves[0, 0] *= 0.3 if beat == aami.S else 1.0
        waves[:, 0] *= 1.0 + 0.04 * random.standard_normal(5)
        start = max(0, round(beat_s * SAMPLING_HZ) - reach)
        stop = min(samples, start + 2 * reach)
        offset_s = time_s[start:stop, None] - beat_s - waves[:, 1]
        signal[start:stop] += (waves[:, 0] * np.exp(-0.5 * (offset_s / waves[:, 2]) ** 2)).sum(axis=1)
    breathing = np.sin(2 * np.pi * traits.respiration_hz * time_s)
    signal *= traits.gain_mv * (1.0 + 0.05 * breathing)
    slow = np.sin(2 * np.pi * 0.07 * time_s + random.uniform(0, 2 * np.pi))
    signal += traits.wander_mv * (0.6 * breathing + slow)
    signal += 0.01 * np.sin(2 * np.pi * 50.0 * time_s)
    return signal + traits.noise_mv * random.standard_normal(samples)


def simulate(seed: int, patient: str, duration_s: float = DURATION_S) -> Recording:
    """Make one patient's recording; the same for the same seed, name and duration."""
    random = generator_for(seed, patient)
    traits = draw_patient(random)
    times_s, classes = draw_beats(traits, random, duration_s)
    return Recording(
        patient=patient,
        signal_mv=draw_signal(traits, times_s, classes, random, duration_s),
        sampling_hz=SAMPLING_HZ,
        beat_samples=np.rint(times_s * SAMPLING_HZ).astype(np.int64),
        beat_classes=classes,
    )
