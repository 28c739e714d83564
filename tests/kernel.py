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

    def run(self, source, interrupted_after=None, clicked=None):
        """What running the source shows. clicked: a button to click, by its words, as soon as the cell has made it."""
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
            elif message["msg_type"] == "comm_open" and content["data"]["state"].get("description", "") == clicked:
                self.click(content["comm_id"])
            elif content.get("execution_state") == "idle":
                return "".join(shown)

    def click(self, button):
        """Click as JupyterLab does: with a message to a subshell, as the main thread may be busy."""
        control, shell, session = self.client.control_channel, self.client.shell_channel, self.client.session
        control.send(session.msg("create_subshell_request", {}))
        data = {"method": "custom", "content": {"event": "click"}}
        click = session.msg("comm_msg", {"comm_id": button, "data": data})
        click["header"]["subshell_id"] = control.get_msg(timeout=30)["content"]["subshell_id"]
        shell.send(click)

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
