"""The keyring, by the `keyring` package: pairs of profiles, and those of a rotation that touches them."""
