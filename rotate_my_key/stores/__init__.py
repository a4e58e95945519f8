"""The places of this computer that hold pairs, and where a pair rests between them."""
