"""What a person sees, in a real Chromium: `make browser`; `PICTURES=docs make browser` also keeps the pictures."""
