"""What IT does for all users of a company."""
