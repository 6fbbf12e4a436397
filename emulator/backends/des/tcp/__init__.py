"""TCP transfers packet by packet.

``simulate`` is the pure function, ``network.PacketNetwork`` the same model behind the fluid engine's calls; ``tier``
says which of the two engines a run gets. Inside: ``engine`` (clock and heap), ``pipe`` (queue and transmitter),
``connection`` (one transfer), ``sender``, ``scoreboard``, ``receiver``, ``rtt``, ``rate``, ``control``.
"""
