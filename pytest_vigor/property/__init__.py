"""The property language: what a property function sees of a step, on symbols and on plain values alike."""
