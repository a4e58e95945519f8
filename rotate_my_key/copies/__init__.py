"""Other copies of a pair: files and processes on this computer that hold it and are no profile.

Finds a key id and its secret as bytes, in the spellings that programs give them; says of each file whether it can take
the new pair, or why not; and puts it there, at once or not at all. Never prints, never shows a value, remembers paths
only."""
