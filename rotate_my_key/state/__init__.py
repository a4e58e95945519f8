"""What this program remembers between runs: records as private files in the state folder, and what is on its way."""
