"""deployer.yaml: the project, its targets, values and defaults; `load.load` reads it."""

from deployer.project.load import PROJECT_FILE, STATE_FOLDER, Project
from deployer.project.target import Polling, Rate, Retry, Target

__all__ = ["PROJECT_FILE", "STATE_FOLDER", "Polling", "Project", "Rate", "Retry", "Target"]
