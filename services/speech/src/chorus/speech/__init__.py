"""Words into sound, and sound into words: without a network, on a CPU."""
