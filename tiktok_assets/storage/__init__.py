"""Tables on disk and the warehouse built from them."""
