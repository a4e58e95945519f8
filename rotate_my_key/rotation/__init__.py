"""The rotation: the loop, what each step does, and the ports it needs. Imports no adapter."""
