"""The command line: one small module a command, loaded when called. Only this package talks."""
