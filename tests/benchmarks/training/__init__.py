"""The parts of the trainer's benchmark: what is learned, by us, by the peers, and on a GPU."""
