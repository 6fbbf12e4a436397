"""Models of links, failures and energy: pure functions of the topology and a named random stream."""
