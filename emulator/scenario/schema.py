"""The keys of a scenario file. Every field's description here is its entry in the reference page.

Values keep the text in which they were written; quantities are proven readable and in range, not converted.
What only a plug-in can know (the parameters of a topology or a failure model) passes as plain data.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

from pydantic import BaseModel, ConfigDict, Field

from emulator.scenario import kinds

SUGAR: Final = ("data", "model", "training", "privacy", "threshold")
"""Top-level blocks that are only another way to write ``app.config``: ``data: {source: x}`` is ``data.source: x``."""

_TEXT: Final = kinds.text()
_COUNT: Final = kinds.integer(1)
_SIZE: Final = kinds.quantity("size", above=0)
_NO_RATE: Final = "; a link that carries nothing is a failure, under 'failures'"

Text = Annotated[str, _TEXT]
ProfileName = Annotated[str, kinds.name(of_scenario=False)]
Config = Annotated[dict[str, Any], kinds.mapping()]
Count = Annotated[int, _COUNT]
Seed = Annotated[int, kinds.integer(0)]
Switch = Annotated[bool, kinds.boolean()]
LearningKind = Annotated[str, kinds.choice("real", "none")]
ModelKind = Annotated[str, kinds.choice("auto", "packet", "fluid")]
Control = Annotated[str, kinds.choice("cubic", "reno", "bbr")]
TimeOfDay = Annotated[str, kinds.time_of_day()]
Duration = Annotated[str, kinds.quantity("time", above=0)]
Pause = Annotated[str, kinds.quantity("time", least=0)]
Size = Annotated[str, _SIZE]

# A key left out is None. A key written with nothing behind it is a fault, so the kind stands around the "| None".
MaybeName = Annotated[str | None, kinds.name(of_scenario=True)]
MaybeText = Annotated[str | None, _TEXT]
MaybeControl = Annotated[str | None, kinds.choice("cubic", "reno", "bbr")]
MaybeCount = Annotated[int | None, _COUNT]
MaybeFactor = Annotated[float | None, kinds.factor()]
MaybeSwitch = Annotated[bool | None, kinds.boolean()]
MaybePause = Annotated[str | None, kinds.quantity("time", least=0)]
MaybeSize = Annotated[str | None, _SIZE]
MaybeRate = Annotated[str | None, kinds.quantity("rate", above=0, hint=_NO_RATE)]
MaybePower = Annotated[str | None, kinds.quantity("power", least=0)]
MaybeFraction = Annotated[str | float | None, kinds.quantity("fraction", least=0, most=1)]
MaybeSample = Annotated[str | None, kinds.sample()]
MaybeCooling = Annotated[str | None, kinds.choice("fan", "none")]
MaybeTariff = Annotated[str | None, kinds.quantity("tariff", least=0)]


class Block(BaseModel):
    """A mapping with known keys only."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PluginBlock(BaseModel):
    """A plug-in by name; its other keys are its parameters, which it checks itself."""

    model_config = ConfigDict(extra="allow", frozen=True)


class AppBlock(Block):
    """The Flower app that is trained: an ordinary project folder, as `flwr run` takes it."""

    path: Text = Field(
        description="Folder of the app, with its `pyproject.toml`; relative to the scenario file.", examples=[".."]
    )
    config: Config = Field(
        default={},
        description="Flower run config, laid over the app's own defaults. Nested mappings are joined with dots.",
        examples=["{num-server-rounds: 10}"],
    )
    fresh_process: Switch = Field(
        default=False,
        description="Start each ClientApp call in a process of its own, as a SuperNode does. Needed only by an app whose "
        "replies depend on module globals that it changes; costs some milliseconds a call.",
    )


class TopologyBlock(PluginBlock):
    """The network's shape: a topology plug-in and its parameters."""

    kind: Text = Field(
        description="Name of the topology, or `package.module:function`. All other keys are its parameters.",
        examples=["rural_district"],
    )


class FailureBlock(PluginBlock):
    """One failure model; the list holds any number of them."""

    kind: Text = Field(
        description="Name of the failure model, or `package.module:function`. All other keys are its parameters.",
        examples=["schedule"],
    )


class LinkModelBlock(PluginBlock):
    """How a link behaves over time; without one it keeps its profile's figures from start to end."""

    kind: Text = Field(
        description="Name of the link model, or `package.module:function`. All other keys are its parameters.",
        examples=["trace"],
    )


class ProfileBlock(Block):
    """An own profile; it starts from another one or stands alone."""

    like: MaybeText = Field(
        default=None, description="Profile to start from; every other key replaces its figure.", examples=["geo_vsat"]
    )


class DeviceBlock(ProfileBlock):
    """An own device profile, used by its name wherever a topology takes one."""

    like: MaybeText = Field(
        default=None, description="Profile to start from; every other key replaces its figure.", examples=["rpi_4b_4gb"]
    )
    cores: MaybeCount = Field(default=None, description="CPU cores.", examples=[4])
    memory: MaybeSize = Field(default=None, description="Memory a job may use.", examples=["2 GB"])
    idle: MaybePower = Field(default=None, description="Power when on and idle.", examples=["2.7 W"])
    busy: MaybePower = Field(default=None, description="Power when computing.", examples=["6.4 W"])
    tx: MaybePower = Field(default=None, description="Extra power while sending.", examples=["800 mW"])
    rx: MaybePower = Field(default=None, description="Extra power while receiving.", examples=["300 mW"])
    boot: MaybePause = Field(
        default=None, description="From power-on until the device asks for work again.", examples=["45 s"]
    )
    speed: MaybeFactor = Field(
        default=None, description="Multiplies compute speed: 0.5 takes twice as long.", examples=[0.5]
    )
    background: MaybeFraction = Field(
        default=None, description="Share of all cores that other jobs keep busy.", examples=["25 %"]
    )
    cooling: MaybeCooling = Field(
        default=None, description="`none`: no fan or heat sink, so that lasting load slows it down.", examples=["none"]
    )
    file: MaybeText = Field(
        default=None,
        description="Instead of `like`: a profile that `emulate calibrate` wrote; relative to the scenario file.",
        examples=["my_pi.csv"],
    )


class LinkFields(Block):
    """What can be said of a link; `up` leads towards the server."""

    rate: MaybeRate = Field(default=None, description="Rate in both directions.", examples=["10 Mbit/s"])
    up: MaybeRate = Field(
        default=None, description="Rate towards the server. Not together with `rate`.", examples=["1 Mbit/s"]
    )
    down: MaybeRate = Field(
        default=None, description="Rate from the server. Not together with `rate`.", examples=["5 Mbit/s"]
    )
    delay: MaybePause = Field(default=None, description="Propagation delay one way.", examples=["300 ms"])
    rtt: MaybePause = Field(
        default=None, description="Round trip: twice the delay. Not together with `delay`.", examples=["600 ms"]
    )
    jitter: MaybePause = Field(default=None, description="Standard deviation of the delay.", examples=["20 ms"])
    loss: MaybeFraction = Field(
        default=None, description="Share of packets lost, each independently.", examples=["0.5 %"]
    )
    queue: MaybeSize = Field(default=None, description="Buffer in front of the link.", examples=["256 kB"])
    half_duplex: MaybeSwitch = Field(
        default=None, description="Both directions share one capacity, as in Wi-Fi.", examples=[True]
    )
    tariff: MaybeTariff = Field(default=None, description="Price of data in either direction.", examples=["4 USD/GB"])
    congestion_control: MaybeControl = Field(
        default=None,
        description="TCP congestion control of transfers that cross the link, instead of the run's; on a route, the "
        "link nearest to the client counts.",
        examples=["bbr"],
    )
    # Left out it is None; written with nothing behind it, a fault, so the annotation does not say "| None".
    model: LinkModelBlock = Field(
        default=cast(LinkModelBlock, None),
        description="How the link behaves over time, see below.",
        examples=["{kind: trace, down_file: traces/lte_drive.csv}"],
    )


class LinkBlock(LinkFields, ProfileBlock):
    """An own link profile, used by its name wherever a topology takes one. `up` leads towards the server."""


class OverrideBlock(LinkFields):
    """A change to every link whose name matches the pattern (`*`, `?`, `[...]`), whatever its profile."""


class LearningBlock(Block):
    """Whether the app trains for real, or only its timing is emulated (`learning: none` is short for `{kind: none}`)."""

    kind: LearningKind = Field(
        default="real", description="`real` runs the app; `none` sends messages of the sizes below.", examples=["none"]
    )
    rounds: Count = Field(default=10, description="With `none`: number of rounds.", examples=[100])
    deadline: Duration = Field(
        default="30 min", description="With `none`: how long the server waits for replies.", examples=["10 min"]
    )
    min_nodes: Count = Field(
        default=1, description="With `none`: nodes that must be listed before a round opens.", examples=[10]
    )
    download: Size = Field(default="250 kB", description="With `none`: message to a client.", examples=["1 MB"])
    upload: Size = Field(default="250 kB", description="With `none`: reply of a client.", examples=["1 MB"])
    objects: Count = Field(
        default=20, description="With `none`: objects in a message (one for each array, and a few more).", examples=[20]
    )
    work: Config = Field(
        default={}, description="With `none`: work of one call, by unit.", examples=["{train_macs: 1.0e+10}"]
    )
    recorded_file: MaybeText = Field(
        default=None,
        description="With `none`: `calls.json` of a run that trained; sizes and work are those of one of its clients.",
        examples=["../results/rural_clinic/001/calls.json"],
    )
    recorded_client: MaybeText = Field(
        default=None,
        description="Whose calls to take from `recorded_file`; else of those with the most calls the first by name.",
        examples=["clinic-01/gateway"],
    )
    trained_clients: MaybeSample = Field(
        default=None,
        description="With `real`: only so many clients train, chosen at random; the others stand in with their sizes.",
        examples=["50 of 5000"],
    )
    memory: Size = Field(
        default="50 MB", description="With `none`: peak memory of a call, without the process.", examples=["200 MB"]
    )


class NetworkBlock(Block):
    """How transfers are modelled, see [transfers.md](transfers.md)."""

    model: ModelKind = Field(
        default="auto",
        description="`packet` follows every TCP segment, `fluid` shares rates; `auto` takes packets within `packet_budget`.",
        examples=["packet"],
    )
    congestion_control: Control = Field(
        default="cubic",
        description="TCP congestion control of all transfers; only packets tell them apart.",
        examples=["reno"],
    )
    queue: Size = Field(
        default="150 kB", description="Buffer in front of links that give none (`queue`).", examples=["64 kB"]
    )
    packet_budget: Count = Field(
        default=200_000,
        description="With `auto`: most packet events of a run, some 4 CPU seconds for the default.",
        examples=[10000000],
    )


class ClockBlock(Block):
    """Virtual time."""

    starts_at: TimeOfDay = Field(
        default="00:00", description="Time of day at which the run begins.", examples=["18:00"]
    )
    horizon: Duration = Field(
        default="7 d", description="The run may not last longer; failures are drawn up to here.", examples=["3 d"]
    )


class FlowerBlock(Block):
    """Constants of Flower's deployment protocol; the defaults are those of flwr 1.41."""

    supernode_poll: Duration = Field(
        default="3 s", description="Pause of a SuperNode between two empty polls.", examples=["3 s"]
    )
    serverapp_poll: Duration = Field(
        default="3 s", description="Pause of the ServerApp between two pulls.", examples=["3 s"]
    )
    superexec_poll: Duration = Field(
        default="1 s", description="Pause of the process that starts ClientApps.", examples=["1 s"]
    )
    reply_poll: Duration = Field(
        default="500 ms", description="Pause of a SuperNode waiting for its ClientApp.", examples=["500 ms"]
    )
    heartbeat: Duration = Field(default="20 s", description="Mean interval between heartbeats.", examples=["20 s"])
    offline_after: Duration = Field(
        default="60 s",
        description="A node unheard for so long is not listed; must be longer than `heartbeat`.",
        examples=["60 s"],
    )
    lanes: Count = Field(default=2, description="Objects transferred at once.", examples=[2])
    chunk: Size = Field(
        default="5 MiB", description="Largest piece of an array sent as one object.", examples=["5 MiB"]
    )
    tls: Switch = Field(default=True, description="TLS on every connection.", examples=[True])
    fused: Switch = Field(
        default=False,
        description="Send the arrays of a record as one: fewer requests, as if the app had joined them.",
        examples=[True],
    )
    request_cpu: Pause = Field(
        default="5 ms",
        description="CPU time a request costs the SuperLink, on the reference core; `0 s` for one that is never busy.",
        examples=["2 ms"],
    )


_SUGAR_TEXT = "Short for `app.config` keys that begin with `{0}.`"


class Document(Block):
    """A whole scenario file. `app` and `topology` are required."""

    name: MaybeName = Field(
        default=None,
        description="Name of the scenario and of its results folder; else the file's own.",
        examples=["rural_clinic"],
    )
    seed: Seed = Field(
        default=1,
        description="Root of every random stream of the emulated world; an app's own seed is a setting of the app.",
        examples=[1],
    )
    app: AppBlock = Field(
        description="The Flower app; `app: PATH` is short for `app: {path: PATH}`.", examples=["{path: ..}"]
    )
    data: Config = Field(default={}, description=_SUGAR_TEXT.format("data"), examples=["{source: mitdb}"])
    model: Config = Field(default={}, description=_SUGAR_TEXT.format("model"), examples=["{kind: conv-vae}"])
    training: Config = Field(default={}, description=_SUGAR_TEXT.format("training"), examples=["{epochs: 2}"])
    privacy: Config = Field(default={}, description=_SUGAR_TEXT.format("privacy"), examples=["{kind: none}"])
    threshold: Config = Field(default={}, description=_SUGAR_TEXT.format("threshold"), examples=["{quantile: 0.99}"])
    learning: LearningBlock = Field(
        default=LearningBlock(), description="Real training, or timing only.", examples=["none"]
    )
    topology: TopologyBlock = Field(description="The network's shape.", examples=["{kind: star, sites: 10}"])
    devices: dict[ProfileName, DeviceBlock] = Field(default={}, description="Own device profiles by name.")
    links: dict[ProfileName, LinkBlock] = Field(default={}, description="Own link profiles by name.")
    overrides: dict[Text, OverrideBlock] = Field(default={}, description="Changes to single links by name pattern.")
    failures: list[FailureBlock] = Field(default=[], description="Failure models, in order.")
    clock: ClockBlock = Field(default=ClockBlock(), description="Virtual time.")
    flower: FlowerBlock = Field(default=FlowerBlock(), description="Protocol constants.")
    network: NetworkBlock = Field(default=NetworkBlock(), description="How transfers are modelled.")
    quick: Config = Field(
        default={},
        description="Changes that `--quick` makes, as nested or dotted keys; for a short first look.",
        examples=["{training.epochs: 1}"],
    )
