"""What holds for every test, in tests/ and in notebooks/ and solutions/: that is why it lies here.

Kernels and other child processes inherit these variables.
"""
import os
import tempfile

_state = tempfile.TemporaryDirectory(prefix="press-enter-")
os.environ["COURSE_STATE"] = _state.name          # never the learner's own progress
os.environ.setdefault("HF_HUB_OFFLINE", "1")      # peers have random weights: nothing comes from a hub
_threads = os.environ.get("OMP_NUM_THREADS", "1")  # read when torch and numpy are imported
for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", _threads)
