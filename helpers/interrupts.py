"""Interrupts that wait for a good moment: the end of a training step."""
import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def held_interrupts() -> Iterator[threading.Event]:
    """While active, an interrupt only sets the event, so that no step is cut in two; a second one acts at once."""
    wanted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield wanted                                        # only the main thread gets signals
        return

    def note(number: int, frame: object) -> None:
        if wanted.is_set():
            raise KeyboardInterrupt
        wanted.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield wanted
    finally:
        signal.signal(signal.SIGINT, before)
