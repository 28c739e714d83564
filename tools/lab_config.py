"""How `course.py lab` sets JupyterLab up: nothing asks before the lesson, and a saved notebook keeps its pictures.

JupyterLab reads this file through its --config. The learner's own settings stay where they are.
"""

import sys
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tools.notebook_store import drop_widget_view  # noqa: E402

ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"  # asks whether to fetch news, and fetches it


def keep_pictures(model, **_):
    """Save a picture where a slider was.

    The course shows an interactive view as one bundle of widget, picture and text. Of these JupyterLab shows the
    widget, and when the notebook is opened again, without the kernel that held it, an error in its place.
    """
    if model["type"] == "notebook":
        for cell in model["content"]["cells"]:
            for output in cell.get("outputs", ()):
                drop_widget_view(output.get("data", {}))


def without_announcements(handler, page_config):
    page_config["disabledExtensions"] = [*page_config.get("disabledExtensions", ()), ANNOUNCEMENTS]
    return page_config


warnings.filterwarnings("ignore", message="Overriding existing pre_save_hook")  # by itself: it is set twice

c = get_config()  # noqa: F821  (JupyterLab defines it)
c.ContentsManager.pre_save_hook = keep_pictures
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.ServerApp.tornado_settings = {"page_config_hook": without_announcements}
