"""Diagnostics: from pictures and features to findings, each beside what real pictures give."""
