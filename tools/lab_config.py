"""How `course.py lab` starts JupyterLab: no question before the lesson, and pictures are saved.

JupyterLab reads this file through its --config. The learner's own settings stay where they are.
"""
import sys
import warnings
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from tools.notebook_store import keep_pictures  # noqa: E402

ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"  # asks whether to fetch news, and fetches it


def without_announcements(handler, page_config):
    page_config["disabledExtensions"] = [*page_config.get("disabledExtensions", ()), ANNOUNCEMENTS]
    return page_config


warnings.filterwarnings("ignore", message="Overriding existing pre_save_hook")  # by itself: it is set twice

c = get_config()  # noqa: F821  (JupyterLab defines it)
c.ContentsManager.pre_save_hook = keep_pictures
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.ServerApp.tornado_settings = {"page_config_hook": without_announcements}
