"""Measures of generated pictures: pure functions over tensors."""
