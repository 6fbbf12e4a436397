"""What is looked at inside Flower's own processes; the live backend uses private names of flwr (1.41) only here."""
