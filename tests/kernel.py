"""A real Jupyter kernel for tests: cells as the learner runs them, and the learner's own interrupt."""
import os
import queue
import time

from jupyter_client.manager import KernelManager

from tools.execute import ROOT, _ThisPython


class Kernel:
    """A kernel in which cells are run one by one; each gives the text that a learner would see."""

    def __init__(self, state):
        self.manager = KernelManager(kernel_name="python3", kernel_spec_manager=_ThisPython())
        self.manager.start_kernel(cwd=str(ROOT), env={**os.environ, "COURSE_STATE": str(state)},
                                  extra_arguments=["--log-level=ERROR"])
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, source, interrupted_after=None):
        request = self.client.execute(source, allow_stdin=True)
        shown, started = [], time.monotonic()
        while True:
            if interrupted_after and time.monotonic() - started > interrupted_after:
                self.manager.interrupt_kernel()
                interrupted_after = None
            try:
                message = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:                               # nothing came
                assert time.monotonic() - started < 60, shown
                continue
            content = message["content"]
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "stream":
                shown.append(content["text"])
            elif message["msg_type"] == "error":
                shown.append(f"{content['ename']}: {content['evalue']}")
            elif content.get("execution_state") == "idle":
                return "".join(shown)

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
