"""Run the project on several processes with Postgres, Redis, an object store and Celery; `make cluster` does."""
