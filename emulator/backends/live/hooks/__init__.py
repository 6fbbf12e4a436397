"""What is looked at inside Flower's own processes. Private names of flwr (1.41) are used here and nowhere else in the live backend."""
