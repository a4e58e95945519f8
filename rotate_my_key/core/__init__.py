"""What all rooms speak of: the words of the domain, its rules and its plan. No file, no clock, no other library."""
