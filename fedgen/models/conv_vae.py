# SPDX-License-Identifier: Apache-2.0
"""A small conditional variational auto-encoder of heart beats.

Trained on normal beats only. Which beats are normal is read from the annotations, so the model is
unsupervised about diseases, not about the choice of its training beats.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fedgen.data.windows import RHYTHM_FEATURES, WINDOW_SAMPLES
from fedgen.models.base import AnomalyModel, BeatBatch

HIDDEN = 64
STRIDES = 3
BEAT_NOISE = 1.0
RHYTHM_NOISE = 0.3
LARGEST_LOG_VARIANCE = 8.0
JUDGED_SPAN = slice(30, 118)


class Explanation(NamedTuple):
    """What the model makes of beats: means of the decoder, mean and log variance of the latent code."""

    beats: Tensor
    rhythm: Tensor
    latent_mean: Tensor
    latent_log_variance: Tensor


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int) -> list[nn.Module]:
    return [nn.Conv1d(channels_in, channels_out, kernel, stride, kernel // 2), nn.ReLU()]


class ConvVae(AnomalyModel):
    """Variational auto-encoder, conditioned on the patient's usual beat.

    Encoder q(z|x, t, r): the beat x and the template t are two channels of three strided convolutions; the
    rhythm features r join before the last layers. Decoder p(x, r|z, t): three upsampling convolutions on z
    and a code of t give x; a small network gives r. (Adding the decoder's output to t instead learns faster, but
    let abnormal beats through in the validation inside DS1.)

    Loss per beat: ||x - x'||^2 / (2 s_x^2) + ||r - r'||^2 / (2 s_r^2) + beta KL(q || N(0, I)), with fixed
    s_x = 1 and s_r = 0.3 in the units of the prepared data. Upsampling with plain convolutions rather than
    transposed ones, and no batch norm, so that per-sample gradients can be had.

    Source: Kingma, Welling, "Auto-encoding variational Bayes", 2014; Sohn, Lee, Yan, "Learning structured
    output representation using deep conditional generative models", 2015; beta: Higgins et al., 2017.
    """

    def __init__(self, latent: int = 8, beta: float = 1.0, width: int = 12) -> None:
        """Make the layers.

        Args:
            latent: Dimensions of the latent code.
            beta: Weight of the KL term.
            width: Channels of the first convolution; the later ones have twice as many.
        """
        super().__init__()
        self.latent = latent
        self.beta = beta
        self.deep = 2 * width
        self.short = WINDOW_SAMPLES >> STRIDES
        self.encoder = nn.Sequential(
            *_convolution(2, width, 7, 2),
            *_convolution(width, self.deep, 5, 2),
            *_convolution(self.deep, self.deep, 5, 2),
            nn.Flatten(),
        )
        self.joint = nn.Linear(self.deep * self.short + RHYTHM_FEATURES, HIDDEN)
        self.latent_mean = nn.Linear(HIDDEN, latent)
        self.latent_log_variance = nn.Linear(HIDDEN, latent)
        self.template_code = nn.Sequential(*_convolution(1, 8, 7, 4), *_convolution(8, 8, 5, 4), nn.Flatten())
        self.start = nn.Linear(latent + 8 * (WINDOW_SAMPLES // 16), self.deep * self.short)
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2),
            *_convolution(self.deep, self.deep, 3, 1),
            nn.Upsample(scale_factor=2),
            *_convolution(self.deep, width, 3, 1),
            nn.Upsample(scale_factor=2),
            nn.Conv1d(width, 1, 5, 1, 2),
        )
        self.rhythm_decoder = nn.Sequential(
            nn.Linear(latent, HIDDEN // 2), nn.ReLU(), nn.Linear(HIDDEN // 2, RHYTHM_FEATURES)
        )

    def encode(self, batch: BeatBatch) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latent code, both of shape [n, latent]."""
        channels = torch.stack([batch.beats, batch.templates], dim=1)
        joint = torch.relu(self.joint(torch.cat([self.encoder(channels), batch.rhythm], dim=1)))
        log_variance = self.latent_log_variance(joint)
        return self.latent_mean(joint), log_variance.clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)

    def decode(self, code: Tensor, templates: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean beat [n, 128] and rhythm [n, 3] for latent codes [n, latent] and templates."""
        template_code = self.template_code(templates[:, None, :])
        start = torch.relu(self.start(torch.cat([code, template_code], dim=1)))
        beats = self.decoder(start.view(-1, self.deep, self.short))[:, 0, :]
        return beats, self.rhythm_decoder(code)

    def forward(self, batch: BeatBatch, generator: torch.Generator | None = None) -> Explanation:
        """Encode and decode beats.

        Args:
            batch: The beats.
            generator: Draws the latent code; None takes its mean.

        Returns:
            What the model makes of them.
        """
        mean, log_variance = self.encode(batch)
        code = mean
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator)
            code = mean + noise * torch.exp(0.5 * log_variance)
        return Explanation(*self.decode(code, batch.templates), mean, log_variance)

    def losses(self, batch: BeatBatch, generator: torch.Generator) -> Tensor:
        """Return the loss of each beat (see the class), shape [n], in nat."""
        seen = self.forward(batch, generator)
        beat = (batch.beats - seen.beats).square().sum(dim=1) / (2.0 * BEAT_NOISE**2)
        rhythm = (batch.rhythm - seen.rhythm).square().sum(dim=1) / (2.0 * RHYTHM_NOISE**2)
        variance = seen.latent_log_variance.exp()
        divergence = 0.5 * (variance + seen.latent_mean.square() - 1.0 - seen.latent_log_variance).sum(dim=1)
        return beat + rhythm + self.beta * divergence

    def errors(self, batch: BeatBatch) -> Tensor:
        """Return the mean squared error of each beat, decoded from the mean code, shape [n].

        Over the QRS complex and the T wave only (-0.1 to 0.39 s around the beat): what lies outside them
        is mostly noise and the neighbours' waves. The span was chosen by validation inside DS1.
        """
        difference = batch.beats - self.forward(batch).beats
        return difference[:, JUDGED_SPAN].square().mean(dim=1)
