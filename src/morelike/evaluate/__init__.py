"""Evaluation: reads runs and folders of pictures, asks the diagnostics, says what it found."""
