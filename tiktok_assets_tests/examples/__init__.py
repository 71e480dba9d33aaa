"""Install the projects of the folder `examples`, and one of `create-dagster`, and run them as their pages say.

`make examples` runs the modules `check_*.py`; they build environments, which takes minutes.
"""
