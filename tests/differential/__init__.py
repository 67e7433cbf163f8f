"""The VEX interpreter held against the processor and against angr's engine."""
