"""Ours against a peer, side by side in one run: `python -m benchmarks` (or `python3 course.py bench`)."""
