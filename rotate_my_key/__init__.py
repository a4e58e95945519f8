"""rotate-my-key: replaces your own AWS access key, and never locks you out."""

__version__ = "0.1.0"
