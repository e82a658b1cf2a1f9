"""Training: state, step, loop, and what is written along the way."""
