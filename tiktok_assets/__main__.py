"""Run the command line interface: `python -m tiktok_assets` does the same as `tiktok-assets`."""

from tiktok_assets.cli import main

if __name__ == "__main__":
    main()
