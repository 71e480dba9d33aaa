"""The Celery app of the workers in `test_celery_launcher`: a task with the name and arguments of a run."""

import os
import time

from tiktok_assets.instance.celery_launcher import CeleryRunLauncher

URL = os.environ["CELERY_BROKER_URL"]
app = CeleryRunLauncher(default_queue="dagster", broker=URL, backend=URL).celery


@app.task(name="execute_job", track_started=True)  # type: ignore[untyped-decorator] # Celery has no types
def execute_job(execute_job_args_packed: dict[str, str]) -> int:
    """Take as long as the arguments say, as a run would."""
    time.sleep(float(execute_job_args_packed["seconds"]))
    return 0
