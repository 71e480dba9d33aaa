"""Define the Celery app of the workers: `celery -A tiktok_assets.instance.celery_worker worker -Q dagster`.

Broker and backend are those of the launcher in `dagster.yaml`, so that they are written in one place.
"""

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

with dg.DagsterInstance.get() as _instance:
    _launcher = _instance.run_launcher
    if not isinstance(_launcher, CeleryRunLauncher):
        raise TypeError(f"the run_launcher of {_instance.root_directory}/dagster.yaml is not a CeleryRunLauncher")
    app = _launcher.celery

execute_job = create_execute_job_task(app)
resume_job = create_resume_job_task(app)
