"""`python -m tiktok_assets` is `tiktok-assets`."""

from tiktok_assets.cli import main

if __name__ == "__main__":
    main()
