"""Build alert messages, store them in the outbox, and deliver them to the configured channels."""
